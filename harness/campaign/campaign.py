"""One invocation that runs cells: what it expects, in which order, and what killed ones left behind.

Every launch is stored as soon as it ends. Launches of different cells are interleaved, in rounds that alternate their direction,
so that a machine that grows warm or busy slows all of them and not the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from harness.analysis.stopping import budget_is_spent, budget_text, decide, value_of
from harness.campaign.arms import order
from harness.campaign.cool_down import Pace
from harness.campaign.cpu_runs import CpuRuns
from harness.campaign.launcher import Launcher, Obstacle
from harness.campaign.ready_cells import Slot, Slots
from harness.campaign.recovery import campaign_lock, read_leftovers, remove_unplanned
from harness.campaign.request import BenchRequest, Observer, OpenEngine, engine_name
from harness.catalog.rows import Catalog, Variant
from harness.catalog.select import with_fixes
from harness.errors import HostError, RecordError
from harness.images.build import recipe_of
from harness.images.build_all import BuildOutcome
from harness.launch.run import conclude, forget
from harness.machine.gpus import check_gpu_use
from harness.machine.thermometers import Thermometers, find_thermometers
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.records.plan import CoolDown
from harness.verdict.agreement import compared
from harness.verdict.judge import judge_step

if TYPE_CHECKING:
    from harness.records.store import Store


class Campaign:
    """Runs one `Request`. Holds the lock, the engines and the store while it does."""

    def __init__(
        self,
        request: BenchRequest,
        catalog: Catalog,
        store: Store,
        *,
        open_engine: OpenEngine,
        observer: Observer,
        pace: Pace | None = None,
    ) -> None:
        self._request = request
        self._store = store
        self._observer = observer
        self._launcher = Launcher(request, catalog, store, observer=observer)
        self._slots = Slots(request, self._launcher, open_engine=open_engine, observer=observer)
        self._cpu_runs = CpuRuns(request.settings, catalog, store, self._launcher, observer=observer)
        self._pace = pace or Pace(Thermometers(find_thermometers()).celsius)

    @property
    def id(self) -> str:
        return self._launcher.campaign

    @property
    def launches(self) -> list[Launch]:
        """What was kept so far, in the order of time."""
        return self._launcher.launches

    @property
    def environment_error(self) -> HostError | None:
        """The last reason of this host's for which something could not be launched."""
        return self._launcher.environment_error

    def run(self) -> None:
        """Recover, build, launch, store. What fails is in ``launches`` like what passes.

        Raises `UsageError` before anything is done where an image cannot be built or run so, and `HostError` where
        another campaign runs or the store refuses.
        """
        for image in self._request.images:
            engine_name(image, self._request.engine)
            if image.reference is None:
                recipe_of(image)
            cells = self._launcher.cells(image)
            for warning in check_gpu_use(image, [cell.variant for cell in cells], self._request.settings.gpu):
                self._launcher.announce_once(warning)
            if image.family is not None:
                self._launcher.warn(cells, image.family)
        with campaign_lock():
            try:
                self._recover()
                if self._request.cool_down_seconds:
                    self._pace.note_start()
                if len(self._request.images) > 1:
                    self._slots.tell_builds()
                slots = [slot for image in self._request.images for slot in self._slots.of(image)]
                self._launch_in_rounds(slots)
                self._try_fixes(slots)
            except BaseException:
                self._record_interrupted()
                raise
            finally:
                self._slots.close()

    def build(self, outcomes: Iterator[BuildOutcome]) -> tuple[BuildOutcome, ...]:
        """Take what builds come to, one after the other, and store those that failed; returns all.

        Raises `HostError` where another campaign runs or the store refuses.
        """
        with campaign_lock():
            taken = []
            for outcome in outcomes:
                taken.append(outcome)
                if outcome.cause is None:
                    continue
                cells = self._launcher.cells(outcome.image)
                obstacle = Obstacle(cells, outcome.engine)
                message = f"the build failed: {outcome.message}"
                self._launcher.store_unlaunched(obstacle, cause=outcome.cause, message=message, log_tail=outcome.log_tail)
            return tuple(taken)

    def _launch_in_rounds(self, slots: Sequence[Slot]) -> None:
        """Launch each cell in turn, until the rule says of it that it has enough."""
        rule, number, round_number, waiting = self._request.rule, 0, 0, list(slots)
        total = None if rule.until is not None else rule.launches * len(slots)
        values: list[list[float | None]] = [[] for _ in slots]  # not by cell: the arms of a null test are one
        for slot in slots:  # minutes on all cores, which no launch of a round should have right before it
            self._cpu_runs.comparison(slot)
        while waiting:
            for slot in order(waiting, round_number):
                so_far = values[slots.index(slot)]
                self._pace.elapsed_seconds()  # the budget is counted from here
                cool_down = self._cool_down()
                if budget_is_spent(rule, self._pace.elapsed_seconds()):
                    if not so_far:  # absent would look like never asked for
                        obstacle = Obstacle((slot.cell,), slot.engine.record, family=slot.family)
                        self._launcher.store_unlaunched(
                            obstacle, cause="interrupted", message=f"not launched: {budget_text(rule)}"
                        )
                    waiting.remove(slot)
                    continue
                number += 1
                launch = self._launch(slot, number, total, so_far, cool_down=cool_down, round_number=round_number)
                so_far.append(value_of(launch))
                decision = launch.decision or decide(rule, so_far, elapsed_seconds=self._pace.elapsed_seconds())
                if decision.stop is not None:
                    waiting.remove(slot)
            round_number += 1

    def _try_fixes(self, slots: Sequence[Slot]) -> None:
        """Launch each cell that failed once more with each fix that may mend it."""
        failures = {launch.plan.cell: launch for launch in self.launches if launch.verdict.status != "pass"}
        trials = [
            msgspec.structs.replace(slot, cell=msgspec.structs.replace(slot.cell, variant=with_fixes(slot.cell.variant, [fix])))
            for slot in slots
            if slot.cell.id in failures
            for fix in fixes_that_may_mend(failures[slot.cell.id], self._request.fixes_to_try)
        ]
        for number, trial in enumerate(trials):
            self._launch(trial, number + 1, len(trials), cool_down=self._cool_down())

    def _launch(
        self,
        slot: Slot,
        number: int,
        total: int | None,
        so_far: Sequence[float | None] = (),
        *,
        cool_down: CoolDown | None,
        round_number: int | None = None,
    ) -> Launch:
        """One launch, from its plan to the store, compared with the CPU run where it is none itself.

        ``so_far`` is what its cell's earlier launches came to.
        """
        comparison = self._cpu_runs.comparison(slot)
        prepared = self._launcher.prepare(slot.cell, slot.engine, slot.built, slot.family, self._request.settings)
        plan = msgspec.structs.replace(prepared.plan, cool_down=cool_down, round=round_number, hazards=slot.hazards)
        prepared = msgspec.structs.replace(prepared, plan=plan)
        self._observer.begins(prepared, number, total)
        launch = compared(self._launcher.execute(prepared, slot.engine), comparison)
        launch = self._launcher.with_remarks(launch, slot.cell, slot.family)
        if self._request.stopping is not None:
            values = (*so_far, value_of(launch))
            decision = decide(self._request.stopping, values, elapsed_seconds=self._pace.elapsed_seconds())
            launch = msgspec.structs.replace(launch, decision=decision)
        self._launcher.keep(launch)
        return launch

    def _cool_down(self) -> CoolDown | None:
        """The wait in front of a launch, no longer than the budget lasts; ``None`` where none is asked for."""
        most, budget = self._request.cool_down_seconds, self._request.rule.budget_seconds
        if not most:
            return None
        if budget is not None:
            most = min(most, max(0.0, budget - self._pace.elapsed_seconds()))
        return self._pace.cool_down(most, say=self._observer.say)

    def _recover(self) -> None:
        """Store the launches of harnesses that died, once nothing of theirs runs any more."""
        leftovers = read_leftovers()
        self._slots.sweep_others({plan.engine.name for plan in leftovers})
        for plan in leftovers:
            launch = conclude(plan, ExitRecord(started=True, interrupted=True))
            try:
                self._store.add(launch)
            except RecordError as error:  # no reason to launch nothing ever again; its folder stays
                self._observer.announce(str(error))
                continue
            forget(plan.id)
            self._observer.announce(
                f"recovered launch {plan.id} of a killed strixbench: {launch.verdict.cause or launch.verdict.status}"
            )
        remove_unplanned()

    def _record_interrupted(self) -> None:
        """Store the launch that an interruption of this very process ended. The engine has removed its container."""
        for plan in read_leftovers(of_this_process=True):
            self._store.add(conclude(plan, ExitRecord(started=True, interrupted=True)))
            forget(plan.id)


def fixes_that_may_mend(launch: Launch, fixes: Iterable[Variant]) -> tuple[Variant, ...]:
    """Of some fixes those that bear on a stage or step in which a launch failed, and that it did not have already."""
    tried = ((name, event) for name, event in launch.steps.items() if name in launch.plan.steps)
    failed = {name for name, event in tried if judge_step(name, event).status != "pass"}
    if not failed:
        failed = {launch.verdict.stage}
    return tuple(fix for fix in fixes if failed & set(fix.mends) and fix.name not in launch.plan.fixes)
