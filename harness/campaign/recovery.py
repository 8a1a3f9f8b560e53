"""One campaign at a time, and what killed campaigns left: containers, processes and launches."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness import places
from harness.campaign.request import OpenEngine
from harness.engines.base import Engine
from harness.errors import EngineError, HostError, RecordError
from harness.launch.plan import DRY_RUN_PREFIX, PLAN, launches_folder
from harness.launch.run import conclude, forget
from harness.records.outcome import ExitRecord
from harness.records.plan import Plan
from harness.records.upgrade import read_plan
from harness.text import Say
from harness.tools import owner, owner_is_gone

if TYPE_CHECKING:
    from harness.records.store import Store


@contextmanager
def campaign_lock() -> Iterator[None]:
    """Let one campaign run at a time: two would slow each other, and both would be wrong, whatever folders they write to.

    Raises `HostError`. Campaigns with different results folders share the lock of the cache, unless nothing can be written there.
    """
    with ExitStack() as held:
        results, cache = places.results(), places.cache()
        try:
            held.enter_context(_lock(results))
        except OSError as error:
            raise HostError(f"the results folder {results} cannot be used: {error.strerror}") from error
        if cache.resolve() != results.resolve():
            with suppress(OSError):
                held.enter_context(_lock(cache))
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold a folder's lock file. Raises `OSError` where it cannot be opened, `HostError` where another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            raise HostError(f"another strixbench runs (process {stream.read().strip() or '?'}): wait for its end") from None
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


class OpenedEngines:
    """The engines of one campaign by name, each opened and swept when it is first needed. ``announce`` is told what a sweep
    removed, or could not remove."""

    def __init__(self, open_engine: OpenEngine, *, announce: Say) -> None:
        self._open_engine = open_engine
        self._announce = announce
        self._engines: dict[str, Engine] = {}

    def get(self, name: str) -> Engine:
        """The engine of a name. Raises `EngineError` where it cannot be opened."""
        if name not in self._engines:
            engine = self._open_engine(name)
            self._engines[name] = engine
            try:
                swept = engine.sweep()
            except EngineError as error:  # no reason to launch nothing; an engine that is gone says so again
                self._announce(f"cannot remove all that a killed strixbench left: {error}")
                swept = 0
            if swept:
                self._announce(f"removed {swept} container(s) or process(es) that a killed strixbench left")
        return self._engines[name]

    def sweep_unopened(self, names: Collection[str]) -> None:
        """Open and sweep those of some engines that are not open yet."""
        for name in set(names) - set(self._engines):
            try:
                self._engines[name] = self._open_engine(name)
                self._engines[name].sweep()
            except EngineError as error:
                self._announce(f"cannot sweep what a killed strixbench left in {name}: {error}")

    def close(self) -> None:
        """Close what was opened."""
        for engine in self._engines.values():
            engine.close()


def recover(store: Store, engines: OpenedEngines, *, announce: Say) -> None:
    """Store the launches of harnesses that were killed, once nothing of theirs runs any more. Raises `StoreError`."""
    plans = plans_of(owner_is_gone)
    engines.sweep_unopened({plan.engine.name for plan in plans})
    for plan in plans:
        launch = conclude(plan, ExitRecord(started=True, interrupted=True))
        try:
            store.add(launch)
        except RecordError as error:  # no reason to launch nothing ever again; its folder stays
            announce(str(error))
            continue
        forget(plan.id)
        announce(f"recovered launch {plan.id} of a killed strixbench: {launch.verdict.cause or launch.verdict.status}")
    for folder in launches_folder().glob("*"):  # without a plan: its harness died before it had started anything of it
        if not folder.name.startswith(DRY_RUN_PREFIX) and not (folder / PLAN).exists():
            forget(folder.name)


def store_interrupted(store: Store) -> None:
    """Store the launch that an interruption of this very process ended. The engine has removed its container."""
    ours = owner()
    for plan in plans_of(lambda text: text == ours):
        store.add(conclude(plan, ExitRecord(started=True, interrupted=True)))
        forget(plan.id)


def plans_of(is_wanted: Callable[[str], bool]) -> list[Plan]:
    """Plans of launches that are not in the store and have such an owner, by name; one that cannot be read is left out."""
    found: list[Plan] = []
    for path in sorted(launches_folder().glob(f"*/{PLAN}")):
        with suppress(OSError, msgspec.DecodeError):
            found.append(read_plan(path.read_bytes()))
    return [plan for plan in found if is_wanted(plan.owner)]
