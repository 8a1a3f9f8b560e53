"""Launches -> three times: cold, second launch, steady; and whether the kernel cache between launches works. Pure.

Whether a launch's first pass was cold or second is read from the recorded state of its cache, never from the order of launches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal

import msgspec

from harness.analysis.intervals import Estimate, estimate, launch_seconds
from harness.records.launch import Launch

Phase = Literal["cold", "second", "filled by other work"]

LEAST_WARMING_SECONDS = 0.5
LEAST_WARMING_SHARE = 0.1
"""A cold first pass that exceeds a steady one by less than either of these compiled nothing worth keeping."""

ALWAYS_WRITE = ("rocm", "therock")
"""Families whose images keep what they compile, as MIOpen does. cuDNN comes compiled and may write nothing."""

LEAST_SAVED_SHARE = 0.2
"""The share of a cold launch's extra time, beyond a steady pass, that a second launch must save. A cache that saves less is dead, as
after ROCm 7.2.4 on gfx1201, where every launch took as long as the first (https://github.com/ROCm/legacy-rocm-build/issues/6369)."""


class Health(msgspec.Struct, frozen=True):
    """What is known of a kernel cache."""

    state: Literal["no cache on a CPU", "alive", "dead", "nothing to save", "not known"]
    text: str
    """One sentence"""

    @property
    def is_alarm(self) -> bool:
        return self.state == "dead"


class ColdAndWarm(msgspec.Struct, frozen=True, kw_only=True):
    """The times of the launches of one cell on one engine and machine. Where at least one launch is right, only right ones count."""

    cold: Estimate | None
    """Seconds of the first pass of launches that began with an empty cache; ``None``: there is no such launch"""
    second: Estimate | None
    """The same for launches whose cache the same work had filled before"""
    steady: Estimate | None
    """Seconds of each launch's median warm pass"""
    cold_result_seconds: float | None
    """From the order to start until the first pass ended, as a median; ``None``: not known"""
    second_result_seconds: float | None
    cold_growth: tuple[float, float] | None
    """Files and bytes that a launch adds to its cache, as medians; ``None``: not counted"""
    second_growth: tuple[float, float] | None
    others: int
    """Launches whose cache other work had filled; they count as neither cold nor second"""
    health: Health
    is_wrong: bool = False
    """Whether all of these launches have wrong output"""


def phase_of(launch: Launch) -> Phase | None:
    """What a launch's first pass was; ``None`` where it had none, or where the record says nothing of its cache."""
    record = launch.caches
    if record is None or record.files_before is None or not launch.pass_seconds("cold"):
        return None
    if record.seen_before:
        return "second"
    return "cold" if record.files_before == 0 else "filled by other work"


def cold_and_warm_of(launches: Iterable[Launch]) -> ColdAndWarm | None:
    """The three times of one cell's launches; ``None`` where none of them finished with its cache on record.

    A launch with wrong output may have skipped the work that a cache is for, so it counts only where there is no other.
    """
    phases = [(phase_of(launch), launch) for launch in launches if launch.verdict.status != "fail"]
    ended = [(phase, launch) for phase, launch in phases if phase is not None]
    if not ended:
        return None
    known = [(phase, launch) for phase, launch in ended if launch.verdict.status == "pass"] or ended
    is_wrong = known[0][1].verdict.status != "pass"
    cold = [launch for phase, launch in known if phase == "cold"]
    second = [launch for phase, launch in known if phase == "second"]
    first_cold, first_second = _first_pass(cold), _first_pass(second)
    steady = estimate([seconds for _, launch in known if (seconds := launch_seconds(launch)) is not None])
    return ColdAndWarm(
        cold=first_cold,
        second=first_second,
        steady=steady,
        cold_result_seconds=_median([_result_seconds(launch) for launch in cold]),
        second_result_seconds=_median([_result_seconds(launch) for launch in second]),
        cold_growth=_growth(cold),
        second_growth=_growth(second),
        others=len(known) - len(cold) - len(second),
        health=(
            Health("not known", "not known: each launch has wrong output")
            if is_wrong
            else _health([launch for _, launch in known], first_cold, first_second, steady)
        ),
        is_wrong=is_wrong,
    )


def _health(launches: Sequence[Launch], cold: Estimate | None, second: Estimate | None, steady: Estimate | None) -> Health:
    """What the times and the folders say about the cache."""
    if all(launch.plan.device == "cpu" for launch in launches):
        return Health(
            "no cache on a CPU", "no kernel cache on a CPU: cold and second launch differ by chance, or by what the disk keeps"
        )
    wrote = any((launch.caches.files_after or 0) > 0 for launch in launches if launch.caches is not None)
    if cold is None or second is None or steady is None:
        missing = " and ".join(
            name for name, each in (("a cold", cold), ("a second", second), ("a steady", steady)) if each is None
        )
        return Health("not known", f"not known without {missing} time: run `bench --caches keep` with two launches or more")
    warming, saved = cold.median - steady.median, cold.median - second.median
    if warming < max(LEAST_WARMING_SECONDS, LEAST_WARMING_SHARE * steady.median):
        return Health(
            "nothing to save", f"a cold first pass is {max(0.0, warming):.2f} s longer than a steady one: nothing to save"
        )
    numbers = (
        f"of the {warming:.2f} s that a cold first pass is longer than a steady one, a second launch saves {saved:.2f} s "
        f"({saved / warming:.0%}; n = {cold.n} cold, {second.n} second, {steady.n} steady)"
    )
    if not wrote and not any(launch.plan.image.family in ALWAYS_WRITE for launch in launches):
        return Health("nothing to save", f"the image keeps no kernels; {numbers}")
    if not wrote:
        return Health("dead", f"the image wrote nothing into its cache folders; {numbers}")
    if saved < LEAST_SAVED_SHARE * warming:
        return Health("dead", f"{numbers}: less than {LEAST_SAVED_SHARE:.0%}, so each launch compiles its kernels anew")
    return Health("alive", numbers)


def _first_pass(launches: Sequence[Launch]) -> Estimate | None:
    return estimate([launch.pass_seconds("cold")[0] for launch in launches])


def _result_seconds(launch: Launch) -> float | None:
    """From the order to start until the end of the first pass."""
    cold = launch.said.ends("cold")
    begun, ended = launch.said.first_at, cold.at if cold else None
    if launch.start_seconds is None or begun is None or ended is None or ended < begun:
        return None
    seconds, whole = launch.start_seconds + ended - begun, launch.wall_seconds
    # The guest told both times: a value outside the launch is not believed.
    return seconds if seconds > 0 and (whole is None or seconds <= whole) else None


def _growth(launches: Sequence[Launch]) -> tuple[float, float] | None:
    """Files and bytes added, as medians."""
    files = [_difference(launch.caches.files_before, launch.caches.files_after) for launch in launches if launch.caches]
    taken = [_difference(launch.caches.bytes_before, launch.caches.bytes_after) for launch in launches if launch.caches]
    both = (_median(files), _median(taken))
    return None if both[0] is None or both[1] is None else (both[0], both[1])


def _difference(before: int | None, after: int | None) -> float | None:
    return None if before is None or after is None else float(after - before)


def _median(values: Sequence[float | None]) -> float | None:
    """The median of the known values; ``None`` where none is known."""
    known = [value for value in values if value is not None]
    return median(known) if known else None
