"""One campaign at a time, and what killed campaigns left: containers, processes and launches."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness import places
from harness.campaign.request import OpenEngine
from harness.engines.base import Engine
from harness.errors import EngineError, HostError, RecordError
from harness.launch.cache_folder import how_to_remove
from harness.launch.exchange import is_trimmed
from harness.launch.leftovers import find_leftovers
from harness.launch.plan import EXCHANGE, launches_folder
from harness.launch.run import conclude_left, forget
from harness.records.outcome import ExitRecord
from harness.records.plan import Plan
from harness.secrets import clean_text
from harness.text import Say, one_line
from harness.tools import open_own_file, owner, owner_is_gone

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
    with open_own_file(folder / "lock") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = one_line(stream.read(20).decode(errors="replace")).strip()
            raise HostError(f"another strixbench runs (process {holder or '?'}): wait for its end") from None
        stream.truncate()
        stream.write(f"{os.getpid()}\n".encode())
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
    """Store the launches of harnesses that were killed, once nothing of theirs runs any more. What cannot be stored or removed is told
    of, and stops nothing. Raises `StoreError` where the store takes no launch at all."""
    left = find_leftovers()
    for text in left.unreadable:
        announce(text)
    plans = [plan for plan in left.plans if owner_is_gone(plan.owner)]
    engines.sweep_unopened({plan.engine.name for plan in plans})
    for plan in plans:
        launch_id = plan.id
        if (verdict := _store_left(plan, store, announce=announce)) is not None:
            announce(f"recovered launch {launch_id} of a killed strixbench: {verdict}")
    for launch_id in left.unplanned:
        forget_or_say(launch_id, announce=announce)


def store_interrupted(store: Store, *, announce: Say) -> None:
    """Store the launch that an interruption of this very process ended. The engine has removed its container."""
    ours = owner()
    for plan in find_leftovers().plans:
        if plan.owner == ours:
            _store_left(plan, store, announce=announce)


def forget_or_say(launch_id: str, *, announce: Say) -> None:
    """Remove the folder of a launch, and say how a person can where we cannot."""
    if not forget(launch_id):
        _say_it_stays(launch_id, announce)


def _store_left(plan: Plan, store: Store, *, announce: Say) -> str | None:
    """Store a launch that nobody saw to its end, and remove its folder; returns its verdict in a word, ``None``: it is not stored."""
    try:
        launch = conclude_left(plan, ExitRecord(started=True, interrupted=True))
    except Exception as error:  # a fault of ours over what one launch left is no reason to launch nothing ever again
        told = one_line(clean_text(f"{type(error).__name__}: {error}"))[:300]
        announce(f"launch {plan.id} cannot be recovered ({told}): its folder stays, {launches_folder() / plan.id}")
        return None
    if not is_trimmed(launches_folder() / plan.id / EXCHANGE):  # said first: the store may lack that very room
        _say_it_stays(plan.id, announce)
    try:
        store.add(launch)
    except RecordError as error:
        announce(f"{error}; its folder stays, {launches_folder() / plan.id}")
        return None
    forget_or_say(plan.id, announce=announce)
    return launch.verdict.cause or launch.verdict.status


def _say_it_stays(launch_id: str, announce: Say) -> None:
    folder = launches_folder() / launch_id
    announce(f"{folder} is left of a launch and cannot be removed: {how_to_remove(folder)}")
