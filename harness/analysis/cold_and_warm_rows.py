"""Launches -> the three times of each row, from all launches that are like its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.analysis.cold_and_warm import ColdAndWarm, cold_and_warm_of
from harness.analysis.rows import Row
from harness.records.launch import Launch


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
        if launch.plan.purpose == "result" and not launch.plan.task:
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
    plan = launch.plan
    return (
        plan.cell,
        plan.workload.input_sha256,
        plan.engine.name,
        str(plan.engine.rootless),
        plan.image.id or "",
        plan.host.kernel,
        *plan.host.gpus,
        plan.gpu or "",
        plan.flags,
        str(plan.workload.numbers["segmentation_batch_size"]),
        str(plan.workload.numbers["embedding_batch_size"]),
    )
