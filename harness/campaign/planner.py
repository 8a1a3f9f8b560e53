"""Cells -> what a campaign would launch, as values: plans, known hazards, and records of what cannot be launched."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.campaign.request import BenchRequest
from harness.catalog.cells import cells_of
from harness.catalog.hazards import hazards_of
from harness.catalog.knobs import Family
from harness.catalog.rows import GPU_FAMILIES, Catalog, Cell, Image
from harness.engines.base import BuiltImage, Engine
from harness.launch.plan import Origin, Prepared, prepare_launch
from harness.machine.gpus import used_targets
from harness.records.host import HostRecord
from harness.records.launch import Launch
from harness.records.outcome import Cause
from harness.records.plan import EngineRecord, Settings
from harness.secrets import without_home


class ReadyCell(msgspec.Struct, frozen=True):
    """A cell that can be launched."""

    cell: Cell
    engine: Engine
    built: BuiltImage
    family: Family | None
    """``None``: not found out yet"""
    hazards: tuple[str, ...] = ()


class Planner(msgspec.Struct, frozen=True, kw_only=True):
    """Plans the launches of one campaign. Starts and stores nothing."""

    request: BenchRequest
    catalog: Catalog
    host: HostRecord
    campaign: str
    owner: str
    """The process that may sweep these launches; empty: none may"""

    def cells(self, image: Image) -> tuple[Cell, ...]:
        """The cells that the request asks of an image, input by input."""
        request = self.request
        return tuple(
            cell
            for given in request.inputs
            for cell in cells_of(
                self.catalog,
                image,
                request.gfx,
                fixes=request.fixes,
                profile=request.profile,
                given=given.name,
                arms=request.arms,
            )
        )

    def targets(self, family: Family | None) -> tuple[str, ...]:
        """The targets of the AMD GPUs that images of a family would use."""
        return used_targets(self.request.settings.gpu) if family in GPU_FAMILIES[:2] else ()

    def hazards(self, cells: Iterable[Cell], family: Family | None) -> dict[str, tuple[str, ...]]:
        """The known hazards of cells, by the cells' ids."""
        targets = self.targets(family)
        return {cell.id: hazards_of(self.catalog, cell, family, targets) for cell in cells}

    def prepare(
        self,
        cell: Cell,
        engine: EngineRecord,
        *,
        built: BuiltImage | None = None,
        family: Family | None,
        settings: Settings | None = None,
        launch_id: str | None = None,
    ) -> Prepared:
        """A launch of a cell with the input that it names. ``built`` is ``None`` where there is no image yet; ``settings`` are
        the request's unless others are given."""
        return prepare_launch(
            cell,
            built,
            engine,
            origin=Origin(self.campaign, self.owner, self.host),
            inputs=next(given for given in self.request.inputs if given.name == cell.input),
            settings=settings or self.request.settings,
            family=family,
            launch_id=launch_id,
        )

    def prepare_ready(self, ready: ReadyCell, settings: Settings | None = None) -> Prepared:
        """A launch that could start now, with the command that its record will show."""
        prepared = self.prepare(ready.cell, ready.engine.record, built=ready.built, family=ready.family, settings=settings)
        # Without labels: a line that is pasted later has no owner, and must not be swept for the lack of one.
        shown = msgspec.structs.replace(prepared.run, labels={})
        command = tuple(without_home(word) for word in ready.engine.command(shown))
        plan = msgspec.structs.replace(prepared.plan, command=command, stopping=self.request.stopping)
        return msgspec.structs.replace(prepared, plan=plan)

    def unlaunched(
        self,
        cells: Iterable[Cell],
        engine: EngineRecord,
        *,
        cause: Cause,
        message: str,
        stage: str = "launch",
        family: Family | None = None,
        log_tail: str = "",
    ) -> tuple[Launch, ...]:
        """One record for each cell of why it could not be launched. ``family`` is given where the image's row does not name it."""
        from harness.launch.run import not_launched  # a dry run does without

        plans = [self.prepare(cell, engine, family=family or cell.image.family).plan for cell in cells]
        return tuple(not_launched(plan, stage=stage, cause=cause, message=message, log_tail=log_tail) for plan in plans)
