"""A campaign's launches one by one: planned, run, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from harness.analysis.energy import is_idle_known
from harness.analysis.image_variables import with_remarks
from harness.campaign.request import BenchRequest, Observer
from harness.catalog.cells import cells_of
from harness.catalog.hazards import hazards_of
from harness.catalog.knobs import Family
from harness.catalog.rows import GPU_FAMILIES, Catalog, Cell, Image
from harness.engines.base import BuiltImage, Engine
from harness.errors import EngineError, HostError
from harness.launch.plan import Prepared, Settings, prepare_launch
from harness.launch.run import conclude, execute, forget, not_launched
from harness.machine.gpu_faults import gpu_events, state_of
from harness.machine.gpus import used_targets
from harness.machine.host import describe_host
from harness.machine.kernel_log import kernel_seconds
from harness.records.launch import Launch, new_id
from harness.records.outcome import Cause, ExitRecord
from harness.records.plan import EngineRecord, Plan
from harness.secrets import without_home
from harness.tools import owner

if TYPE_CHECKING:
    from harness.records.store import Store

QUIET_SECONDS = 2.6
"""Five samples at 2 Hz of the idle host, before a campaign's first launch."""


KERNEL_MAY_KNOW: tuple[Cause, ...] = ("gpu fault", "crash", "timeout", "out of memory", "error")
"""Causes of which the kernel's log may say more than the guest could."""


class Obstacle(msgspec.Struct, frozen=True):
    """Cells that cannot be launched, and how far it came with them."""

    cells: tuple[Cell, ...]
    engine: EngineRecord
    stage: str = "launch"
    family: Family | None = None


class Launcher:
    """Plans, runs and keeps the launches of one `Request`."""

    def __init__(self, request: BenchRequest, catalog: Catalog, store: Store, *, observer: Observer) -> None:
        self._request = request
        self._catalog = catalog
        self._store = store
        self._observer = observer
        self._announced: set[str] = set()
        self._has_looked_at_gpu = False
        self._host = describe_host()
        self.campaign = new_id()
        self.launches: list[Launch] = []
        self.environment_error: HostError | None = None
        """The last reason of this host's for which something could not be launched."""

    def cells(self, image: Image) -> tuple[Cell, ...]:
        """What is asked for of an image."""
        request = self._request
        return tuple(
            cell
            for audio in request.recordings
            for cell in cells_of(
                self._catalog,
                image,
                request.gfx,
                fixes=request.fixes,
                pipeline=request.pipeline,
                audio=audio.name,
                arms=request.arms,
            )
        )

    def warn(self, cells: Sequence[Cell], family: Family) -> dict[str, tuple[str, ...]]:
        """The known hazards of cells, by their ids, each said once."""
        targets = used_targets(self._request.settings.gpu) if family in GPU_FAMILIES[:2] else ()
        found = {cell.id: hazards_of(self._catalog, cell, family, targets) for cell in cells}
        for cell_id, hazards in found.items():
            for hazard in hazards:
                self.announce_once(f"{cell_id}: {hazard}")
        return found

    def with_remarks(self, launch: Launch, cell: Cell, family: Family | None) -> Launch:
        """The launch with what the image's own variables made of it, each said once."""
        targets = used_targets(self._request.settings.gpu) if family in GPU_FAMILIES[:2] else ()
        launch = with_remarks(launch, self._catalog, cell, family=family, targets=targets)
        for remark in launch.remarks:
            self.announce_once(f"{cell.id}: {remark}")
        return launch

    def announce_once(self, text: str) -> None:
        """A line that stays, however often it is true."""
        if text not in self._announced:
            self._announced.add(text)
            self._observer.announce(text)

    def prepare(self, cell: Cell, engine: Engine, built: BuiltImage, family: Family | None, settings: Settings) -> Prepared:
        """A launch of this campaign that could start now, with the command that it will be."""
        prepared = self._prepared(cell, engine.record, built, family, settings)
        command = tuple(without_home(word) for word in engine.command(prepared.run))
        plan = msgspec.structs.replace(prepared.plan, command=command, stopping=self._request.stopping)
        return msgspec.structs.replace(prepared, plan=plan)

    def execute(self, prepared: Prepared, engine: Engine) -> Launch:
        """Run a launch; where the engine refuses, that is what became of it."""
        uses_gpu = prepared.plan.device != "cpu"
        if uses_gpu:
            self._warn_of_lost_gpu(engine, prepared.plan.gpu)
        try:
            launch = execute(prepared, engine, quiet_seconds=self._quiet_seconds(prepared.plan))
        except EngineError as error:
            self.environment_error = error
            # What the guest wrote until then is kept with it.
            launch = conclude(prepared.plan, ExitRecord(started=False, message=str(error)))
        if launch.exit.remark:
            self.announce_once(launch.exit.remark)
        if launch.caches is not None and launch.caches.remark:
            self._observer.announce(launch.caches.remark)
        if uses_gpu and launch.kernel_log_refused and launch.verdict.cause in KERNEL_MAY_KNOW:
            self.announce_once(
                f"the kernel's log could not be read ({launch.kernel_log_refused}): `sudo dmesg` may say more of why a launch "
                "failed; `strixbench doctor` says how to open it to you"
            )
        return launch

    def _warn_of_lost_gpu(self, engine: Engine, gpu: str | None) -> None:
        """Say once, before the first launch on a GPU, that it may have stopped responding. It is tried all the same: the kernel's log
        says nothing of what was mended since."""
        if self._has_looked_at_gpu:
            return
        self._has_looked_at_gpu = True
        events = gpu_events(engine.kernel_log.since_boot().lines, gpu=gpu)
        if state_of(events, now_seconds=kernel_seconds()) in ("lost", "unresponsive"):
            worst = [event for event in events if event.is_of_whole_gpu]
            self.announce_once(
                f"the GPU may have stopped responding: the kernel said {worst[-1].text!r}. Launches on it may hang, or compute wrong "
                "numbers: reboot first (docs/gpu-hang.md, `strixbench doctor`)"
            )

    def _quiet_seconds(self, plan: Plan) -> float:
        """Once a campaign for each set of meters, and where passes follow whose energy is of interest: later launches have the
        same idle host."""
        is_of_interest = not plan.task and not plan.steps
        return QUIET_SECONDS if is_of_interest and not is_idle_known(self.launches, plan) else 0.0

    def store_unlaunched(self, obstacle: Obstacle, *, cause: Cause, message: str, log_tail: str = "") -> None:
        """One record a cell of why it could not be launched."""
        for cell in obstacle.cells:
            family = obstacle.family or cell.image.family
            prepared = self._prepared(cell, obstacle.engine, None, family, self._request.settings)
            self.keep(not_launched(prepared.plan, stage=obstacle.stage, cause=cause, message=message, log_tail=log_tail))

    def keep(self, launch: Launch) -> None:
        """Into the store; only then is its folder removed."""
        self._store.add(launch)
        forget(launch.id)
        self.launches.append(launch)
        self._observer.ended(launch)

    def _prepared(
        self, cell: Cell, engine: EngineRecord, built: BuiltImage | None, family: Family | None, settings: Settings
    ) -> Prepared:
        """With the recording that the cell names."""
        return prepare_launch(
            cell,
            built,
            engine,
            campaign=self.campaign,
            audio=next(audio for audio in self._request.recordings if audio.name == cell.audio),
            models=self._request.models,
            settings=settings,
            host=self._host,
            family=family,
            owned_by=owner(),
        )
