"""The CPU run of an image, which its other launches are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from benchmarks.wire import STAGES
from harness.campaign.launcher import Launcher
from harness.campaign.ready_cells import Slot
from harness.campaign.request import Observer
from harness.catalog.rows import Catalog
from harness.launch.plan import Settings
from harness.verdict.agreement import Comparison, comparison_with, find_reference, needs_reference, reference_cell

if TYPE_CHECKING:
    from harness.records.store import Store


class CpuRuns:
    """Finds or makes the CPU run of each image, once a campaign."""

    def __init__(self, settings: Settings, catalog: Catalog, store: Store, launcher: Launcher, *, observer: Observer) -> None:
        self._settings = settings
        self._catalog = catalog
        self._store = store
        self._launcher = launcher
        self._observer = observer
        self._comparisons: dict[tuple[str, str], Comparison] = {}

    def comparison(self, slot: Slot) -> Comparison | None:
        """What a cell's launches are held against: the CPU run that the store has, or one that is made now; ``None``: nothing."""
        settings, cell = self._settings, reference_cell(slot.cell, self._catalog)
        device = "cpu" if slot.family in (None, "cpu") else "cuda"
        if not settings.verify or settings.last_stage != STAGES[-1] or settings.task or settings.purpose == "null":
            return None
        if not needs_reference(device, slot.cell.variant, cell.variant):
            return None
        key = (cell.id, slot.built.id)
        if key not in self._comparisons:
            # A kept cache belongs to the cell: the CPU run would fill it in front of the cell's first launch.
            settings = msgspec.structs.replace(
                settings, purpose="reference", warm_passes=0, timeout_seconds=None, gpu=None, flags=(), caches="empty"
            )
            prepared = self._launcher.prepare(cell, slot.engine, slot.built, slot.family, settings)
            reference = find_reference(self._store.launches(cell_like=cell.id), prepared.plan)
            if reference is None:
                self._observer.announce(
                    f"the CPU run of {slot.cell.image.name} comes first, to compare with (--no-verify: without)"
                )
                self._observer.begins(prepared, 1, 1)
                reference = self._launcher.execute(prepared, slot.engine)
                self._launcher.keep(reference)
            self._comparisons[key] = comparison_with(reference)
        return self._comparisons[key]
