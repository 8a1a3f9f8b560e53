"""One invocation that runs cells: what it expects, in which order, and what killed ones left behind.

Every launch is stored as soon as it ends. Launches of different cells are interleaved, in rounds that alternate their direction,
so that a machine that grows warm or busy slows all of them and not the last.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from benchmarks.wire import STAGES
from harness import places
from harness.agreement import Comparison, compared, comparison_with, find_reference, needs_reference, reference_cell
from harness.arms import Arm, cells_of, hazards_of, order
from harness.audio import Audio
from harness.build import build_log, ensure_built, recipe_of
from harness.builds import BuildOutcome
from harness.catalog import GPU_FAMILIES, Catalog, Cell, Family, Image, PipelineRow, Variant, with_fixes
from harness.devices import request_devices
from harness.engines.base import BuiltImage, Engine, owner, owner_is_gone
from harness.errors import BuildFailed, EngineError, HostError, UsageError
from harness.exchange import without_home
from harness.gpus import check_gpu_use, used_targets
from harness.host import describe_host
from harness.launch import PLAN, Prepared, Settings, conclude, execute, forget, launches_folder, not_launched, prepare_launch
from harness.models import Models
from harness.pace import Pace
from harness.records import Cause, CoolDown, EngineRecord, ExitRecord, Launch, Plan, StoppingRule, new_id
from harness.stopping import budget_is_spent, budget_text, decide, value_of
from harness.thermometers import Thermometers, find_thermometers
from harness.verdict import judge_step

if TYPE_CHECKING:
    from harness.store import Store

DRY_RUN_PREFIX = "dry-run-"

QUIET_SECONDS = 2.6
"""Five samples at 2 Hz of the idle host, before a campaign's first launch."""


class Observer(Protocol):
    """What a person watching wants to be told."""

    def say(self, text: str) -> None:
        """A line of progress that the next one may take the place of."""
        ...

    def announce(self, text: str) -> None:
        """A line that stays."""
        ...

    def begins(self, prepared: Prepared, number: int, total: int | None) -> None:
        """A launch is about to start; ``total`` is ``None`` where nobody knows how many there will be."""
        ...

    def ended(self, launch: Launch) -> None:
        """A launch is in the store."""
        ...


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What one `bench` asks for."""

    images: tuple[Image, ...]
    gfx: str | None
    pipeline: PipelineRow
    audio: Audio
    models: Models
    engine: str
    """``auto``, ``podman``, ``docker`` or ``local``"""
    launches: int
    settings: Settings
    fixes: tuple[Variant, ...] = ()
    """Set on top of each variant."""
    fixes_to_try: tuple[Variant, ...] = ()
    """Each set on top of a cell of its own where it may mend what failed."""
    arms: tuple[Arm, ...] = ()
    """Each set on top of every variant; none: nothing is compared."""
    more_audio: tuple[Audio, ...] = ()
    """Further lengths of the recording, whose cells are launched in turn with the others."""
    stopping: StoppingRule | None = None
    """``None``: ``launches`` of each cell."""
    cool_down_seconds: float = 0.0
    """At most so long a wait in front of each launch; 0: none"""

    @property
    def recordings(self) -> tuple[Audio, ...]:
        return (self.audio, *self.more_audio)

    @property
    def rule(self) -> StoppingRule:
        return self.stopping or StoppingRule(launches=self.launches)


OpenEngine = Callable[[str], Engine]
"""Opens the engine of a name; raises `EngineError`."""


class _Slot(msgspec.Struct, frozen=True):
    """A cell that can be launched."""

    cell: Cell
    engine: Engine
    built: BuiltImage
    family: Family | None
    hazards: tuple[str, ...] = ()


class _Obstacle(msgspec.Struct, frozen=True):
    """Cells that cannot be launched, and how far it came with them."""

    cells: tuple[Cell, ...]
    engine: EngineRecord
    stage: str = "launch"
    family: Family | None = None


class Campaign:
    """Runs one `Request`. Holds the lock, the engines and the store while it does."""

    def __init__(
        self,
        request: Request,
        catalog: Catalog,
        store: Store,
        *,
        open_engine: OpenEngine,
        observer: Observer,
        pace: Pace | None = None,
    ) -> None:
        self._request = request
        self._catalog = catalog
        self._store = store
        self._open_engine = open_engine
        self._observer = observer
        self._engines: dict[str, Engine] = {}
        self._announced: set[str] = set()
        self._comparisons: dict[tuple[str, str, PipelineRow], Comparison] = {}
        self._host = describe_host()
        self._pace = pace or Pace(Thermometers(find_thermometers()).celsius)
        self.id = new_id()
        self.launches: list[Launch] = []
        self.environment_error: HostError | None = None
        """The last reason of this host's for which something could not be launched."""

    def run(self) -> None:
        """Recover, build, launch, store. What fails is in ``launches`` like what passes.

        Raises `UsageError` before anything is done where an image cannot be built or run so, and `HostError` where
        another campaign runs or the store refuses.
        """
        for image in self._request.images:
            engine_name(image, self._request.engine)
            if image.reference is None:
                recipe_of(image)
            cells = self._cells(image)
            for warning in check_gpu_use(image, [cell.variant for cell in cells], self._request.settings.gpu):
                self._announce_once(warning)
            if image.family is not None:
                self._warn(cells, image.family)
        with campaign_lock():
            try:
                self._recover()
                if self._request.cool_down_seconds:
                    self._pace.note_start()
                slots = [slot for image in self._request.images for slot in self._slots(image)]
                self._launch_in_rounds(slots)
                self._try_fixes(slots)
            except BaseException:
                self._record_interrupted()
                raise
            finally:
                for engine in self._engines.values():
                    engine.close()

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
                cells = self._cells(outcome.image)
                obstacle = _Obstacle(cells, outcome.engine)
                message = f"the build failed: {outcome.message}"
                self._store_unlaunched(obstacle, cause=outcome.cause, message=message, log_tail=outcome.log_tail)
            return tuple(taken)

    def _cells(self, image: Image) -> tuple[Cell, ...]:
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

    def _warn(self, cells: Sequence[Cell], family: Family) -> dict[str, tuple[str, ...]]:
        """The known hazards of cells, by their ids, each said once."""
        targets = used_targets(self._request.settings.gpu) if family in GPU_FAMILIES[:2] else ()
        found = {cell.id: hazards_of(self._catalog, cell, family, targets) for cell in cells}
        for cell_id, hazards in found.items():
            for hazard in hazards:
                self._announce_once(f"{cell_id}: {hazard}")
        return found

    def _announce_once(self, text: str) -> None:
        if text not in self._announced:
            self._announced.add(text)
            self._observer.announce(text)

    def _slots(self, image: Image) -> tuple[_Slot, ...]:
        """The image's cells, once it is built and its family is known; what stands in the way is stored."""
        cells = self._cells(image)
        obstacle = _Obstacle(cells, EngineRecord(name=engine_name(image, self._request.engine)))
        try:
            engine = self._engine(image)
            obstacle = msgspec.structs.replace(obstacle, engine=engine.record)
            if image.family is not None and self._lacks_devices(obstacle, image.family):
                return ()  # before a build of 20 GB
            built = self._built(image, engine)
            if built is None:
                message = f"no such image: {engine.record.name} has no {image.reference}"
                self._store_unlaunched(obstacle, cause="engine", message=message)
                return ()
            family = image.family or self._probe_family(cells[0], engine, built)
        except EngineError as error:
            self.environment_error = error
            self._store_unlaunched(obstacle, cause="engine", message=str(error))
            return ()
        except BuildFailed as error:
            message = f"the build failed: {error}"
            self._store_unlaunched(obstacle, cause="build", message=message, log_tail=error.log_tail)
            return ()
        if family is None:
            return ()
        if image.family is None and self._lacks_devices(obstacle, family):
            return ()
        hazards = self._warn(cells, family)
        return tuple(_Slot(cell, engine, built, family, hazards[cell.id]) for cell in cells)

    def _lacks_devices(self, obstacle: _Obstacle, family: Family) -> bool:
        """Whether this host lacks what a family needs, which is stored."""
        settings = self._request.settings
        missing = request_devices(family, obstacle.engine, flags=settings.flags, gpu=settings.gpu).missing
        if missing:
            obstacle = msgspec.structs.replace(obstacle, stage="device", family=family)
            self._store_unlaunched(obstacle, cause="no device", message="; ".join(missing))
        return bool(missing)

    def _launch_in_rounds(self, slots: Sequence[_Slot]) -> None:
        """Launch each cell in turn, until the rule says of it that it has enough."""
        rule, number, round_number, waiting = self._request.rule, 0, 0, list(slots)
        total = None if rule.until is not None else rule.launches * len(slots)
        values: list[list[float | None]] = [[] for _ in slots]  # not by cell: the arms of a null test are one
        while waiting:
            for slot in order(waiting, round_number):
                so_far = values[slots.index(slot)]
                if budget_is_spent(rule, self._pace.elapsed_seconds()):
                    if not so_far:  # absent would look like never asked for
                        obstacle = _Obstacle((slot.cell,), slot.engine.record, family=slot.family)
                        self._store_unlaunched(obstacle, cause="interrupted", message=f"not launched: {budget_text(rule)}")
                    waiting.remove(slot)
                    continue
                number += 1
                launch = self._launch(slot, number, total, so_far, round_number=round_number)
                so_far.append(value_of(launch))
                decision = launch.decision or decide(rule, so_far, elapsed_seconds=self._pace.elapsed_seconds())
                if decision.stop is not None:
                    waiting.remove(slot)
            round_number += 1

    def _try_fixes(self, slots: Sequence[_Slot]) -> None:
        """Launch each cell that failed once more with each fix that may mend it."""
        failures = {launch.plan.cell: launch for launch in self.launches if launch.verdict.status != "pass"}
        trials = [
            msgspec.structs.replace(slot, cell=msgspec.structs.replace(slot.cell, variant=with_fixes(slot.cell.variant, [fix])))
            for slot in slots
            if slot.cell.id in failures
            for fix in fixes_that_may_mend(failures[slot.cell.id], self._request.fixes_to_try)
        ]
        for number, trial in enumerate(trials):
            self._launch(trial, number + 1, len(trials))

    def _engine(self, image: Image) -> Engine:
        """The engine that runs an image, opened and swept at its first use."""
        name = engine_name(image, self._request.engine)
        if name not in self._engines:
            engine = self._open_engine(name)
            self._engines[name] = engine
            swept = engine.sweep()
            if swept:
                self._observer.announce(f"removed {swept} container(s) or process(es) that a killed strixbench left behind")
        return self._engines[name]

    def _built(self, image: Image, engine: Engine) -> BuiltImage | None:
        """The image in the engine; ``None`` where a reference names none."""
        if image.reference is not None:
            return engine.find_reference(image.reference)
        log = build_log(recipe_of(image))
        if engine.find_built(recipe_of(image)) is None:
            self._observer.announce(f"building {image.name} with {engine.record.name}, which takes minutes; log: {log}")
        return ensure_built(image, engine, say=self._observer.say)

    def _probe_family(self, cell: Cell, engine: Engine, built: BuiltImage) -> Family | None:
        """What torch in the image was built for; ``None`` where that could not be found out, which is stored."""
        self._observer.say(f"probing {cell.image.name} for its family")
        settings = msgspec.structs.replace(self._request.settings, last_stage="import", steps=(), task="", caches="empty")
        prepared = self._prepare(cell, engine, built, None, settings)
        try:
            launch = execute(prepared, engine)
        except EngineError:
            forget(prepared.plan.id)
            raise
        torch = launch.ends("import").get("torch")
        if launch.verdict.status != "pass":
            self._keep(launch)
            return None
        forget(launch.id)
        if not isinstance(torch, dict):
            message = "its import stage passed without telling which torch it has"
            self._keep(not_launched(launch.plan, stage="import", cause="error", message=message))
            return None
        if torch.get("hip"):
            return "rocm"
        return "cuda" if torch.get("cuda") else "cpu"

    def _launch(
        self,
        slot: _Slot,
        number: int,
        total: int | None,
        so_far: Sequence[float | None] = (),
        *,
        round_number: int | None = None,
    ) -> Launch:
        """One launch, from its plan to the store, compared with the CPU run where it is none itself.

        ``so_far`` is what its cell's earlier launches came to.
        """
        comparison = self._comparison(slot)
        cool_down = self._cool_down()
        prepared = self._prepare(slot.cell, slot.engine, slot.built, slot.family, self._request.settings)
        plan = msgspec.structs.replace(prepared.plan, cool_down=cool_down, round=round_number, hazards=slot.hazards)
        prepared = msgspec.structs.replace(prepared, plan=plan)
        self._observer.begins(prepared, number, total)
        launch = compared(self._execute(prepared, slot.engine), comparison)
        if self._request.stopping is not None:
            values = (*so_far, value_of(launch))
            decision = decide(self._request.stopping, values, elapsed_seconds=self._pace.elapsed_seconds())
            launch = msgspec.structs.replace(launch, decision=decision)
        self._keep(launch)
        return launch

    def _comparison(self, slot: _Slot) -> Comparison | None:
        """What a cell's launches are held against: the CPU run that the store has, or one that is made now; ``None``: nothing."""
        settings, cell = self._request.settings, reference_cell(slot.cell, self._catalog)
        device = "cpu" if slot.family in (None, "cpu") else "cuda"
        if not settings.verify or settings.last_stage != STAGES[-1] or settings.task or settings.purpose != "result":
            return None
        if not needs_reference(device, slot.cell.variant, cell.variant):
            return None
        key = (cell.id, slot.built.id, cell.pipeline)
        if key not in self._comparisons:
            settings = msgspec.structs.replace(
                settings, purpose="reference", warm_passes=0, timeout_seconds=None, gpu=None, flags=()
            )
            prepared = self._prepare(cell, slot.engine, slot.built, slot.family, settings)
            reference = find_reference(self._store.launches(cell_like=cell.id), prepared.plan)
            if reference is None:
                self._observer.announce(
                    f"the CPU run of {slot.cell.image.name} comes first, to compare with (--no-verify: without)"
                )
                self._observer.begins(prepared, 1, 1)
                reference = self._execute(prepared, slot.engine)
                self._keep(reference)
            self._comparisons[key] = comparison_with(reference)
        return self._comparisons[key]

    def _execute(self, prepared: Prepared, engine: Engine) -> Launch:
        """Run a launch; where the engine refuses, that is what became of it."""
        try:
            launch = execute(prepared, engine, quiet_seconds=self._quiet_seconds(prepared.plan))
        except EngineError as error:
            self.environment_error = error
            # What the guest wrote until then is kept with it.
            launch = conclude(prepared.plan, ExitRecord(started=False, message=str(error)))
        if launch.caches is not None and launch.caches.remark:
            self._observer.announce(launch.caches.remark)
        return launch

    def _cool_down(self) -> CoolDown | None:
        """The wait in front of a launch, no longer than the budget lasts; ``None`` where none is asked for."""
        most, budget = self._request.cool_down_seconds, self._request.rule.budget_seconds
        if not most:
            return None
        if budget is not None:
            most = min(most, max(0.0, budget - self._pace.elapsed_seconds()))
        return self._pace.cool_down(most, say=self._observer.say)

    def _quiet_seconds(self, plan: Plan) -> float:
        """Once a campaign, and where passes follow whose energy is of interest: later launches have the same idle host."""
        has_rested = any(launch.telemetry is not None for launch in self.launches)
        return 0.0 if has_rested or plan.task or plan.steps else QUIET_SECONDS

    def _prepare(self, cell: Cell, engine: Engine, built: BuiltImage, family: Family | None, settings: Settings) -> Prepared:
        prepared = prepare_launch(
            cell,
            built,
            engine.record,
            campaign=self.id,
            audio=self._audio(cell),
            models=self._request.models,
            settings=settings,
            host=self._host,
            family=family,
            owned_by=owner(),
        )
        command = tuple(without_home(word) for word in engine.command(prepared.run))
        plan = msgspec.structs.replace(prepared.plan, command=command, stopping=self._request.stopping)
        return msgspec.structs.replace(prepared, plan=plan)

    def _audio(self, cell: Cell) -> Audio:
        """The recording that a cell names."""
        return next(audio for audio in self._request.recordings if audio.name == cell.audio)

    def _store_unlaunched(self, obstacle: _Obstacle, *, cause: Cause, message: str, log_tail: str = "") -> None:
        """One record a cell of why it could not be launched."""
        for cell in obstacle.cells:
            prepared = prepare_launch(
                cell,
                None,
                obstacle.engine,
                campaign=self.id,
                audio=self._audio(cell),
                models=self._request.models,
                settings=self._request.settings,
                host=self._host,
                family=obstacle.family or cell.image.family,
                owned_by=owner(),
            )
            self._keep(not_launched(prepared.plan, stage=obstacle.stage, cause=cause, message=message, log_tail=log_tail))

    def _keep(self, launch: Launch) -> None:
        """Into the store; only then is its folder removed."""
        self._store.add(launch)
        forget(launch.id)
        self.launches.append(launch)
        self._observer.ended(launch)

    def _recover(self) -> None:
        """Store the launches of harnesses that died, once nothing of theirs runs any more."""
        leftovers = read_leftovers()
        for name in {plan.engine.name for plan in leftovers} - set(self._engines):
            try:
                self._engines[name] = self._open_engine(name)
                self._engines[name].sweep()
            except EngineError as error:
                self._observer.announce(f"cannot sweep what a killed strixbench left in {name}: {error}")
        for plan in leftovers:
            launch = conclude(plan, ExitRecord(started=True, interrupted=True))
            self._store.add(launch)
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


def engine_name(image: Image, preference: str) -> str:
    """The engine of an image under ``--engine``. Raises `UsageError` where the two exclude each other."""
    if image.engine == "local":
        if preference not in ("auto", "local"):
            raise UsageError(f"image {image.name} is a virtual environment and runs with --engine local, not {preference}")
        return "local"
    if preference == "local" and image.reference is not None:
        raise UsageError(f"{image.reference} is a container image: --engine local cannot run it")
    return preference


def fixes_that_may_mend(launch: Launch, fixes: Iterable[Variant]) -> tuple[Variant, ...]:
    """Of some fixes those that bear on a stage or step in which a launch failed, and that it did not have already."""
    tried = ((name, event) for name, event in launch.steps.items() if name in launch.plan.steps)
    failed = {name for name, event in tried if judge_step(name, event).status != "pass"}
    if not failed:
        failed = {launch.verdict.stage}
    return tuple(fix for fix in fixes if failed & set(fix.mends) and fix.name not in launch.plan.fixes)


def read_leftovers(*, of_this_process: bool = False) -> list[Plan]:
    """Plans of launches that are not in the store and whose harness is gone, or of this process where asked so."""
    plans = []
    for path in sorted(launches_folder().glob(f"*/{PLAN}")):
        try:
            plan = msgspec.json.decode(path.read_bytes(), type=Plan)
        except (OSError, msgspec.DecodeError):
            continue
        if plan.owner == owner() if of_this_process else owner_is_gone(plan.owner):
            plans.append(plan)
    return plans


def remove_unplanned() -> None:
    """Remove folders in which a harness died before the plan was written: nothing was started of them."""
    for folder in launches_folder().glob("*"):
        if not folder.name.startswith(DRY_RUN_PREFIX) and not (folder / PLAN).exists():
            forget(folder.name)


@contextmanager
def campaign_lock() -> Iterator[None]:
    """One campaign at a time: two would slow each other and both be wrong. Raises `HostError`."""
    path: Path = places.results() / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+")
    except OSError as error:
        raise HostError(f"the results folder {path.parent} cannot be used: {error.strerror}") from error
    with opened as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            raise HostError(f"another strixbench runs (process {stream.read().strip() or '?'}): wait for its end") from None
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield
