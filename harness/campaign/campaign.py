"""One invocation that runs cells: which launches, in which order, and what killed invocations left.

Every launch is stored as soon as it ends. Launches of different cells are interleaved, in rounds that alternate their direction,
so that a machine that grows warm or busy slows all of them and not the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from harness.analysis.energy import is_idle_known
from harness.analysis.image_variables import with_remarks
from harness.analysis.stopping import budget_is_spent, budget_text, decide, value_of
from harness.campaign.arms import order
from harness.campaign.cool_down import CampaignClock
from harness.campaign.planner import Planner, ReadyCell
from harness.campaign.ready_cells import Obstacle, build_lines, cpu_run_of, ready_cells, settings_of_cpu_run, with_each_fix
from harness.campaign.recovery import OpenedEngines, campaign_lock, forget_or_say, recover, store_interrupted
from harness.campaign.request import BenchRequest, Observer, OpenEngine, engine_name
from harness.catalog.rows import Catalog
from harness.engines.base import Engine
from harness.errors import EngineError, HostError
from harness.images.build import BuildOutcome, recipe_of
from harness.images.disk_space import Room
from harness.launch.plan import Prepared
from harness.launch.run import conclude_left, execute
from harness.machine.gpu_faults import gpu_events, state_of
from harness.machine.gpus import check_gpu_use
from harness.machine.host import describe_host
from harness.machine.kernel_log import kernel_seconds
from harness.machine.thermometers import Thermometers, find_thermometers
from harness.records.launch import Launch, new_id
from harness.records.outcome import KERNEL_LOG_MAY_TELL, ExitRecord
from harness.records.plan import CoolDown
from harness.telemetry.start import Sampling, sampling
from harness.tools import owner
from harness.verdict.agreement import CpuReference, as_reference, compared, find_reference
from harness.workloads.workload import workload_of

if TYPE_CHECKING:
    from harness.records.store import Store

QUIET_SECONDS = 2.6
"""Five samples at 2 Hz of the idle host, before a campaign's first launch."""


class Campaign:
    """Runs one `BenchRequest`. Holds the lock, the engines and the store while it does."""

    def __init__(
        self,
        request: BenchRequest,
        catalog: Catalog,
        store: Store,
        *,
        open_engine: OpenEngine,
        observer: Observer,
        clock: CampaignClock | None = None,
        sample: Sampling = sampling,
    ) -> None:
        self._request = request
        self._store = store
        self._observer = observer
        self._clock = clock or CampaignClock(Thermometers(find_thermometers()).celsius)
        self._sample = sample
        self._planner = Planner(request=request, catalog=catalog, host=describe_host(), campaign=new_id(), owner=owner())
        self._engines = OpenedEngines(open_engine, announce=observer.announce)
        self._room = Room(observer.announce)
        self.launches: list[Launch] = []
        """What was kept so far, in the order of time"""
        self.environment_error: HostError | None = None
        """The last error of this host for which something could not be launched"""
        self._comparisons: dict[tuple[str, str], CpuReference] = {}
        self._announced: set[str] = set()
        self._has_looked_at_gpu = False

    def run(self) -> None:
        """Recover, build, launch, store. What fails is in ``launches`` like what passes.

        Raises `UsageError` before anything is done where an image cannot be built or run so, and `HostError` where
        another campaign runs or the store refuses.
        """
        self._check_images()
        with campaign_lock():
            try:
                recover(self._store, self._engines, announce=self._observer.announce)
                if self._request.cool_down_seconds:
                    self._clock.note_start()
                if len(self._request.images) > 1:
                    for line in build_lines(self._request, self._engines):
                        self._observer.announce(line)
                ready = self._ready_cells()
                self._launch_in_rounds(ready)
                fixed = with_each_fix(ready, self.launches, self._request.fixes_to_try)
                for number, cell in enumerate(fixed, 1):
                    self._launch(cell, number, len(fixed), cool_down=self._cool_down())
            except BaseException:
                store_interrupted(self._store, announce=self._observer.announce)
                raise
            finally:
                self._engines.close()

    def build(self, outcomes: Iterator[BuildOutcome]) -> tuple[BuildOutcome, ...]:
        """Take what builds come to, one after the other, and store those that failed; returns all.

        Raises `HostError` where another campaign runs or the store refuses.
        """
        with campaign_lock():
            taken = []
            for outcome in outcomes:
                taken.append(outcome)
                if outcome.cause is not None:
                    failed = self._planner.unlaunched(
                        self._planner.cells(outcome.image),
                        outcome.engine,
                        cause=outcome.cause,
                        message=f"the build failed: {outcome.message}",
                        log_tail=outcome.log_tail,
                    )
                    self._keep(*failed)
            return tuple(taken)

    def _check_images(self) -> None:
        """Raise `UsageError` for an image that cannot be built or run so; announce what the others are warned of."""
        for image in self._request.images:
            engine_name(image, self._request.engine)
            if image.reference is None:
                recipe_of(image)
            cells = self._planner.cells(image)
            self._announce_once(*check_gpu_use(image, [cell.variant for cell in cells], self._request.settings.gpu))
            if image.family is not None:
                self._announce_hazards(self._planner.hazards(cells, image.family))

    def _ready_cells(self) -> list[ReadyCell]:
        """All cells that can be launched; what stands in the way of the others is stored."""
        all_ready: list[ReadyCell] = []
        for image in self._request.images:
            found = ready_cells(
                image, self._planner, self._engines, room=self._room, observer=self._observer, sample=self._sample
            )
            if isinstance(found, Obstacle):
                self.environment_error = found.environment_error or self.environment_error
                self._keep(*found.launches)
            else:
                self._announce_hazards({ready.cell.id: ready.hazards for ready in found})
                all_ready += found
        return all_ready

    def _launch_in_rounds(self, cells: Sequence[ReadyCell]) -> None:
        """Launch each cell in turn, until the rule says that it has been launched often enough."""
        rule, number, round_number, waiting = self._request.rule, 0, 0, list(cells)
        total = None if rule.until is not None else rule.launches * len(cells)
        values: list[list[float | None]] = [[] for _ in cells]  # not by cell: the arms of a null test are one
        for ready in cells:  # minutes on all cores, which no launch of a round should have right before it
            self._comparison(ready)
        while waiting:
            for ready in order(waiting, round_number):
                so_far = values[cells.index(ready)]
                self._clock.elapsed_seconds()  # the budget is counted from here
                cool_down = self._cool_down()
                if budget_is_spent(rule, self._clock.elapsed_seconds()):
                    if not so_far:  # without a record it would look as if nobody had asked for it
                        self._keep(
                            *self._planner.unlaunched(
                                [ready.cell],
                                ready.engine.record,
                                family=ready.family,
                                cause="interrupted",
                                message=f"not launched: {budget_text(rule)}",
                            )
                        )
                    waiting.remove(ready)
                    continue
                number += 1
                launch = self._launch(ready, number, total, so_far, cool_down=cool_down, round_number=round_number)
                so_far.append(value_of(launch))
                if (launch.decision or decide(rule, so_far, elapsed_seconds=self._clock.elapsed_seconds())).stop is not None:
                    waiting.remove(ready)
            round_number += 1

    def _launch(
        self,
        ready: ReadyCell,
        number: int,
        total: int | None,
        so_far: Sequence[float | None] = (),
        *,
        cool_down: CoolDown | None,
        round_number: int | None = None,
    ) -> Launch:
        """One launch, from its plan to the store; ``so_far`` is what its cell's earlier launches came to."""
        comparison = self._comparison(ready)
        prepared = self._planner.prepare_ready(ready)
        plan = msgspec.structs.replace(prepared.plan, cool_down=cool_down, round=round_number, hazards=ready.hazards)
        prepared = msgspec.structs.replace(prepared, plan=plan)
        self._observer.begins(prepared, number, total)
        launch = compared(self._execute(prepared, ready.engine), comparison)
        targets = self._planner.targets(ready.family)
        launch = with_remarks(launch, self._planner.catalog, ready.cell, family=ready.family, targets=targets)
        self._announce_once(*(f"{ready.cell.id}: {remark}" for remark in launch.remarks))
        if self._request.stopping is not None:
            values = (*so_far, value_of(launch))
            decision = decide(self._request.stopping, values, elapsed_seconds=self._clock.elapsed_seconds())
            launch = msgspec.structs.replace(launch, decision=decision)
        self._keep(launch)
        return launch

    def _comparison(self, ready: ReadyCell) -> CpuReference | None:
        """What a cell's launches are compared with: the CPU run that the store has, or one that is made now; ``None``: nothing."""
        on_cpu = cpu_run_of(ready, self._request.settings, self._planner.catalog)
        if on_cpu is None:
            return None
        key = (on_cpu.cell.id, on_cpu.built.id)
        if key not in self._comparisons:
            prepared = self._planner.prepare_ready(on_cpu, settings_of_cpu_run(self._request.settings))
            reference = find_reference(self._store.launches(cell_like=on_cpu.cell.id), prepared.plan)
            if reference is None:
                self._observer.announce(
                    f"the CPU run of {on_cpu.cell.image.name} comes first, to compare with (--no-verify: without)"
                )
                self._observer.begins(prepared, 1, 1)
                reference = self._execute(prepared, on_cpu.engine)
                self._keep(reference)
            self._comparisons[key] = as_reference(reference)
        return self._comparisons[key]

    def _execute(self, prepared: Prepared, engine: Engine) -> Launch:
        """Run a launch; where the engine refuses, the record says so."""
        plan = prepared.plan
        if plan.device != "cpu" and not self._has_looked_at_gpu:
            self._has_looked_at_gpu = True
            self._announce_once(_lost_gpu(engine, plan.gpu))
        # Later launches have the same idle host, and only passes have an energy that is of interest.
        is_quiet_time_due = workload_of(plan).is_measured and not is_idle_known(self.launches, plan)
        try:
            launch = execute(prepared, engine, quiet_seconds=QUIET_SECONDS if is_quiet_time_due else 0.0, sample=self._sample)
        except EngineError as error:
            self.environment_error = error
            # What the guest wrote until then is kept with it.
            launch = conclude_left(plan, ExitRecord(started=False, message=str(error)))
        self._announce_once(launch.exit.remark)
        if launch.caches is not None and launch.caches.remark:
            self._observer.announce(launch.caches.remark)
        self._announce_once(_closed_kernel_log(launch))
        return launch

    def _keep(self, *launches: Launch) -> None:
        """Put launches into the store; only then are their folders removed."""
        for launch in launches:
            self._store.add(launch)
            forget_or_say(launch.id, announce=self._observer.announce)
            self.launches.append(launch)
            self._observer.ended(launch)

    def _announce_hazards(self, hazards: dict[str, tuple[str, ...]]) -> None:
        """Say each hazard with the id of its cell, once."""
        self._announce_once(*(f"{cell_id}: {hazard}" for cell_id, found in hazards.items() for hazard in found))

    def _announce_once(self, *texts: str | None) -> None:
        """Say each that was not said before; ``None`` and empty say nothing."""
        for text in texts:
            if text and text not in self._announced:
                self._announced.add(text)
                self._observer.announce(text)

    def _cool_down(self) -> CoolDown | None:
        """The wait before a launch, no longer than the budget lasts; ``None`` where none is asked for."""
        most, budget = self._request.cool_down_seconds, self._request.rule.budget_seconds
        if not most:
            return None
        left = most if budget is None else max(0.0, budget - self._clock.elapsed_seconds())
        return self._clock.cool_down(min(most, left), say=self._observer.say)


def _lost_gpu(engine: Engine, gpu: str | None) -> str | None:
    """The warning that the GPU may have stopped responding; ``None``: it has not, as far as the log says.

    No reason to launch nothing: the log says nothing of what was mended since.
    """
    events = gpu_events(engine.kernel_log.since_boot().lines, gpu=gpu)
    if state_of(events, now_seconds=kernel_seconds()) not in ("lost", "unresponsive"):
        return None
    worst = [event for event in events if event.is_of_whole_gpu]
    return (
        f"the GPU may have stopped responding: the kernel said {worst[-1].text!r}. Launches on it may hang, or compute wrong "
        "numbers: reboot first (docs/gpu-hang.md, `strixbench doctor`)"
    )


def _closed_kernel_log(launch: Launch) -> str | None:
    """The warning that the log could not be read after a launch failed on a GPU; ``None``: it could, or has nothing to add."""
    if launch.plan.device == "cpu" or not launch.kernel_log_refused or launch.verdict.cause not in KERNEL_LOG_MAY_TELL:
        return None
    return (
        f"the kernel's log could not be read ({launch.kernel_log_refused}): `sudo dmesg` may say more of why a launch "
        "failed; `strixbench doctor` says how to open it to you"
    )
