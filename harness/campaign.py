"""One invocation that runs cells: what it expects, in which order, and what killed ones left behind.

Every launch is stored as soon as it ends. Launches of different cells are interleaved, so that a machine that grows
warm or busy slows all of them and not the last.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from harness import places
from harness.audio import Audio
from harness.build import build_log, ensure_built, recipe_of
from harness.builds import BuildOutcome
from harness.catalog import Catalog, Cell, Family, Image, PipelineRow, Variant, select_variants, with_fixes
from harness.devices import request_devices
from harness.engines.base import BuiltImage, Engine, owner, owner_is_gone
from harness.errors import BuildFailed, EngineError, HostError, UsageError
from harness.exchange import without_home
from harness.gpus import check_gpu_use
from harness.host import describe_host
from harness.launch import PLAN, Prepared, Settings, conclude, execute, forget, launches_folder, not_launched, prepare_launch
from harness.models import Models
from harness.records import Cause, EngineRecord, ExitRecord, Launch, Plan, new_id
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

    def begins(self, prepared: Prepared, number: int, total: int) -> None:
        """A launch is about to start."""
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


OpenEngine = Callable[[str], Engine]
"""Opens the engine of a name; raises `EngineError`."""


class _Slot(msgspec.Struct, frozen=True):
    """A cell that can be launched."""

    cell: Cell
    engine: Engine
    built: BuiltImage
    family: Family | None


class _Obstacle(msgspec.Struct, frozen=True):
    """Cells that cannot be launched, and how far it came with them."""

    cells: tuple[Cell, ...]
    engine: EngineRecord
    stage: str = "launch"
    family: Family | None = None


class Campaign:
    """Runs one `Request`. Holds the lock, the engines and the store while it does."""

    def __init__(
        self, request: Request, catalog: Catalog, store: Store, *, open_engine: OpenEngine, observer: Observer
    ) -> None:
        self._request = request
        self._catalog = catalog
        self._store = store
        self._open_engine = open_engine
        self._observer = observer
        self._engines: dict[str, Engine] = {}
        self._host = describe_host()
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
            variants = select_variants(self._catalog, image, self._request.gfx)
            for warning in check_gpu_use(image, variants, self._request.settings.gpu):
                self._observer.announce(warning)
        with campaign_lock():
            try:
                self._recover()
                slots = [slot for image in self._request.images for slot in self._slots(image)]
                total = self._request.launches * len(slots)
                for number in range(total):
                    self._launch(slots[number % len(slots)], number + 1, total)
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
        variants = select_variants(self._catalog, image, self._request.gfx)
        variants = tuple(with_fixes(variant, self._request.fixes) for variant in variants)
        return tuple(Cell(image, variant, self._request.pipeline, self._request.audio.name) for variant in variants)

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
        return tuple(_Slot(cell, engine, built, family) for cell in cells)

    def _lacks_devices(self, obstacle: _Obstacle, family: Family) -> bool:
        """Whether this host lacks what a family needs, which is stored."""
        settings = self._request.settings
        missing = request_devices(family, obstacle.engine, flags=settings.flags, gpu=settings.gpu).missing
        if missing:
            obstacle = msgspec.structs.replace(obstacle, stage="device", family=family)
            self._store_unlaunched(obstacle, cause="no device", message="; ".join(missing))
        return bool(missing)

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
        settings = msgspec.structs.replace(self._request.settings, last_stage="import", steps=())
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

    def _launch(self, slot: _Slot, number: int, total: int) -> None:
        """One launch, from its plan to the store."""
        prepared = self._prepare(slot.cell, slot.engine, slot.built, slot.family, self._request.settings)
        self._observer.begins(prepared, number, total)
        try:
            launch = execute(prepared, slot.engine, quiet_seconds=self._quiet_seconds(prepared.plan))
        except EngineError as error:
            self.environment_error = error
            # What the guest wrote until then is kept with it.
            launch = conclude(prepared.plan, ExitRecord(started=False, message=str(error)))
        self._keep(launch)

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
            audio=self._request.audio,
            models=self._request.models,
            settings=settings,
            host=self._host,
            family=family,
            owned_by=owner(),
        )
        command = tuple(without_home(word) for word in engine.command(prepared.run))
        plan = msgspec.structs.replace(prepared.plan, command=command)
        return msgspec.structs.replace(prepared, plan=plan)

    def _store_unlaunched(self, obstacle: _Obstacle, *, cause: Cause, message: str, log_tail: str = "") -> None:
        """One record a cell of why it could not be launched."""
        for cell in obstacle.cells:
            prepared = prepare_launch(
                cell,
                None,
                obstacle.engine,
                campaign=self.id,
                audio=self._request.audio,
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
