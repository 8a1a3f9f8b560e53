"""The CPU run of an image, which the output of its other launches is compared with. Pure."""

from __future__ import annotations

import msgspec

from benchmarks.wire import STAGES
from harness.campaign.planner import ReadyCell
from harness.catalog.rows import Catalog
from harness.launch.plan import Settings
from harness.verdict.agreement import needs_reference, reference_cell


def cpu_run_of(ready: ReadyCell, settings: Settings, catalog: Catalog) -> ReadyCell | None:
    """The cell on the CPU whose output a cell's launches are compared with; ``None``: they are compared with nothing."""
    if not settings.verify or settings.last_stage != STAGES[-1] or settings.task or settings.purpose == "null":
        return None
    cell = reference_cell(ready.cell, catalog)
    device = "cpu" if ready.family in (None, "cpu") else "cuda"
    return msgspec.structs.replace(ready, cell=cell) if needs_reference(device, ready.cell.variant, cell.variant) else None


def settings_of_cpu_run(settings: Settings) -> Settings:
    """The settings of the CPU run beside launches with these. A kept cache belongs to the cell: the CPU run would fill it before
    the cell's first launch."""
    return msgspec.structs.replace(
        settings, purpose="reference", warm_passes=0, timeout_seconds=None, gpu=None, flags=(), caches="empty"
    )
