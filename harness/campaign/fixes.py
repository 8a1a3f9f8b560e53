"""Cells that failed -> the same cells with each fix that may mend them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.campaign.planner import ReadyCell
from harness.catalog.rows import Variant
from harness.catalog.select import with_fixes
from harness.records.launch import Launch
from harness.verdict.steps import judge_step


def with_each_fix(cells: Iterable[ReadyCell], launches: Iterable[Launch], fixes: Iterable[Variant]) -> tuple[ReadyCell, ...]:
    """Each cell that failed in its last failing launch, once for each fix that may mend that."""
    failures = {launch.plan.cell: launch for launch in launches if launch.verdict.status != "pass"}
    fixes = tuple(fixes)
    return tuple(
        msgspec.structs.replace(ready, cell=msgspec.structs.replace(ready.cell, variant=with_fixes(ready.cell.variant, [fix])))
        for ready in cells
        if ready.cell.id in failures
        for fix in fixes_that_may_mend(failures[ready.cell.id], fixes)
    )


def fixes_that_may_mend(launch: Launch, fixes: Iterable[Variant]) -> tuple[Variant, ...]:
    """The fixes that bear on a stage or step in which a launch failed, and that it did not have already."""
    tried = ((name, event) for name, event in launch.steps.items() if name in launch.plan.steps)
    failed = {name for name, event in tried if judge_step(name, event).status != "pass"}
    if not failed:
        failed = {launch.verdict.stage}
    return tuple(fix for fix in fixes if failed & set(fix.mends) and fix.name not in launch.plan.fixes)
