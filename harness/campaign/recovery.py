"""One campaign at a time, and what killed ones left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from harness import places
from harness.errors import HostError
from harness.launch.plan import PLAN, launches_folder
from harness.launch.run import forget
from harness.records.plan import Plan
from harness.tools import owner, owner_is_gone

DRY_RUN_PREFIX = "dry-run-"


@contextmanager
def campaign_lock() -> Iterator[None]:
    """One campaign at a time: two would slow each other and both be wrong, whatever folders they write to. Raises `HostError`.

    The lock of the cache is what campaigns with different results have in common, unless nothing can be written there.
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
    """Hold a folder's lock file. Raises `OSError` where it cannot be opened, `HostError` where another holds it."""
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


def read_leftovers(*, of_this_process: bool = False) -> list[Plan]:
    """Plans of launches that are not in the store and whose harness is gone, or of this process where asked so."""
    plans = []
    for path in sorted(launches_folder().glob(f"*/{PLAN}")):
        try:
            plan = msgspec.json.decode(path.read_bytes(), type=Plan)
        except (OSError, msgspec.DecodeError):
            continue
        if plan.owner == owner() if of_this_process else owner_is_gone(plan.owner):
            plans.append(plan)
    return plans


def remove_unplanned() -> None:
    """Remove folders in which a harness died before the plan was written: nothing was started of them."""
    for folder in launches_folder().glob("*"):
        if not folder.name.startswith(DRY_RUN_PREFIX) and not (folder / PLAN).exists():
            forget(folder.name)
