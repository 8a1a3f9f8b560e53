"""Images -> what of them can be launched: built, with a known family, on a host that has what it needs."""

from __future__ import annotations

import msgspec

from harness.campaign.launcher import Launcher, Obstacle
from harness.campaign.request import BenchRequest, Observer, OpenEngine, engine_name
from harness.catalog.knobs import Family
from harness.catalog.rows import Cell, Image
from harness.engines.base import BuiltImage, Engine
from harness.engines.devices import request_devices
from harness.errors import BuildFailed, EngineError
from harness.images.build import ensure_built
from harness.images.build_plan import plan_lines, planned
from harness.images.disk_space import Room
from harness.launch.run import execute, forget, not_launched
from harness.records.plan import EngineRecord


class Slot(msgspec.Struct, frozen=True):
    """A cell that can be launched."""

    cell: Cell
    engine: Engine
    built: BuiltImage
    family: Family | None
    hazards: tuple[str, ...] = ()


class Slots:
    """Readies the images of one `Request`. Holds the engines while it does."""

    def __init__(self, request: BenchRequest, launcher: Launcher, *, open_engine: OpenEngine, observer: Observer) -> None:
        self._request = request
        self._launcher = launcher
        self._open_engine = open_engine
        self._observer = observer
        self._engines: dict[str, Engine] = {}
        self._room = Room(observer.announce)

    def tell_builds(self) -> None:
        """Say what is about to be fetched and built, where that is more than one image."""
        plans = []
        for image in self._request.images:
            try:
                engine = self._engine(image)
                if image.reference is None and not self._missing_devices(image.family, engine.record):
                    plans.append(planned(image, engine))
            except EngineError:  # each image that needs this engine will say so
                continue
        if sum(not plan.is_built for plan in plans) > 1:
            for line in plan_lines(plans):
                self._observer.announce(line)

    def of(self, image: Image) -> tuple[Slot, ...]:
        """The image's cells, once it is built and its family is known; what stands in the way is stored."""
        cells = self._launcher.cells(image)
        obstacle = Obstacle(cells, EngineRecord(name=engine_name(image, self._request.engine)))
        try:
            engine = self._engine(image)
            obstacle = msgspec.structs.replace(obstacle, engine=engine.record)
            if image.family is not None and self._lacks_devices(obstacle, image.family):
                return ()  # before a build of 20 GB
            built = self._built(image, engine)
            if built is None:
                message = f"no such image: {engine.record.name} has no {image.reference}"
                self._launcher.store_unlaunched(obstacle, cause="engine", message=message)
                return ()
            family = image.family or self._probe_family(cells[0], engine, built)
        except EngineError as error:
            self._launcher.environment_error = error
            self._launcher.store_unlaunched(obstacle, cause="engine", message=str(error))
            return ()
        except BuildFailed as error:
            message = f"the build failed: {error}"
            self._launcher.store_unlaunched(obstacle, cause="build", message=message, log_tail=error.log_tail)
            return ()
        if family is None:
            return ()
        if image.family is None and self._lacks_devices(obstacle, family):
            return ()
        hazards = self._launcher.warn(cells, family)
        return tuple(Slot(cell, engine, built, family, hazards[cell.id]) for cell in cells)

    def sweep_others(self, names: set[str]) -> None:
        """Sweep engines that a killed strixbench used, and that are not open yet."""
        for name in names - set(self._engines):
            try:
                self._engines[name] = self._open_engine(name)
                self._engines[name].sweep()
            except EngineError as error:
                self._observer.announce(f"cannot sweep what a killed strixbench left in {name}: {error}")

    def close(self) -> None:
        """Let go of the engines."""
        for engine in self._engines.values():
            engine.close()

    def _lacks_devices(self, obstacle: Obstacle, family: Family) -> bool:
        """Whether this host lacks what a family needs, which is stored."""
        missing = self._missing_devices(family, obstacle.engine)
        if missing:
            obstacle = msgspec.structs.replace(obstacle, stage="device", family=family)
            self._launcher.store_unlaunched(obstacle, cause="no device", message="; ".join(missing))
        return bool(missing)

    def _missing_devices(self, family: Family | None, engine: EngineRecord) -> tuple[str, ...]:
        """What this host lacks of what a family needs; nothing where the family is not known yet."""
        settings = self._request.settings
        return request_devices(family, engine, flags=settings.flags, gpu=settings.gpu).missing if family else ()

    def _engine(self, image: Image) -> Engine:
        """The engine that runs an image, opened and swept at its first use."""
        name = engine_name(image, self._request.engine)
        if name not in self._engines:
            engine = self._open_engine(name)
            self._engines[name] = engine
            try:
                swept = engine.sweep()
            except EngineError as error:  # no reason to launch nothing; an engine that is gone says so again
                self._observer.announce(f"cannot remove all that a killed strixbench left: {error}")
                swept = 0
            if swept:
                self._observer.announce(f"removed {swept} container(s) or process(es) that a killed strixbench left behind")
        return self._engines[name]

    def _built(self, image: Image, engine: Engine) -> BuiltImage | None:
        """The image in the engine; ``None`` where a reference names none."""
        if image.reference is not None:
            return engine.find_reference(image.reference)
        return ensure_built(image, engine, say=self._observer.say, room=self._room, announce=self._observer.announce)

    def _probe_family(self, cell: Cell, engine: Engine, built: BuiltImage) -> Family | None:
        """What torch in the image was built for; ``None`` where that could not be found out, which is stored."""
        self._observer.say(f"probing {cell.image.name} for its family")
        settings = msgspec.structs.replace(self._request.settings, last_stage="import", steps=(), task="", caches="empty")
        prepared = self._launcher.prepare(cell, engine, built, None, settings)
        try:
            launch = execute(prepared, engine)
        except EngineError:
            forget(prepared.plan.id)
            raise
        torch = launch.ends("import").get("torch")
        if launch.verdict.status != "pass":
            self._launcher.keep(launch)
            return None
        forget(launch.id)
        if not isinstance(torch, dict):
            message = "its import stage passed without telling which torch it has"
            self._launcher.keep(not_launched(launch.plan, stage="import", cause="error", message=message))
            return None
        if torch.get("hip"):
            return "rocm"
        return "cuda" if torch.get("cuda") else "cpu"
