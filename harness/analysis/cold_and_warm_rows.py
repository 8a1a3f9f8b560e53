"""Launches -> the three times of each row, from all launches that are like its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.analysis.cold_and_warm import ColdAndWarm, cold_and_warm_of
from harness.analysis.rows import Row
from harness.records.launch import Launch
from harness.records.likeness import key_of
from harness.workloads.workload import workload_of


class ColdAndWarmRow(msgspec.Struct, frozen=True):
    """One row, with the times of all launches of its cell that are like its own."""

    row: Row
    times: ColdAndWarm

    @property
    def is_struck(self) -> bool:
        """Whether the figures come from wrong output."""
        return self.times.is_wrong or self.row.is_struck


def cold_and_warm_rows(rows: Iterable[Row], launches: Sequence[Launch]) -> tuple[ColdAndWarmRow, ...]:
    """The rows that have a launch with its cache on record.

    A cold launch and a second one may be from two campaigns, so all launches of the cell count that have the same engine, image,
    kernel and GPUs as the row's last.
    """
    groups: dict[tuple[str, ...], list[Launch]] = {}
    for launch in launches:
        if launch.plan.purpose == "result" and workload_of(launch.plan).is_measured:
            groups.setdefault(_likeness(launch), []).append(launch)
    told = []
    for row in rows:
        times = cold_and_warm_of(groups.get(_likeness(row.launches[-1]), ()))
        if times is not None and not row.is_portable:
            told.append(ColdAndWarmRow(row, times))
    return tuple(told)


def alarms(rows: Iterable[Row], launches: Sequence[Launch]) -> tuple[str, ...]:
    """One line for each row whose kernel cache is dead."""
    found = cold_and_warm_rows(rows, launches)
    return tuple(
        f"{each.row.image}: dead kernel cache: {each.times.health.text}" for each in found if each.times.health.is_alarm
    )


def _likeness(launch: Launch) -> tuple[str, ...]:
    """What launches must share for their first passes to be compared."""
    plan, host = launch.plan, launch.plan.host
    numbers = (f"{name}={value}" for name, value in sorted(plan.workload.numbers.items()))
    likeness = key_of(plan, without=["truth hash"])
    return (*likeness, plan.image.id or "", host.kernel, *host.gpus, *numbers)
