"""Image -> its cells that can be launched: built, with a known family, on a host that has what it needs. And what comes of these:
the CPU run to compare with, and a failed cell with a fix."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.campaign.planner import Planner, ReadyCell
from harness.campaign.recovery import OpenedEngines
from harness.campaign.request import BenchRequest, Observer, engine_name
from harness.catalog.knobs import Family
from harness.catalog.rows import Catalog, Image, Variant
from harness.catalog.select import with_fixes
from harness.engines.base import BuiltImage
from harness.engines.devices import request_devices
from harness.engines.relaxations import parse_flags
from harness.errors import BuildFailed, EngineError, HostError
from harness.images.build import ensure_built
from harness.images.build_plan import plan_lines, planned
from harness.images.disk_space import Room
from harness.launch.run import execute, forget, not_launched
from harness.records.launch import Launch
from harness.records.plan import EngineRecord, Settings
from harness.telemetry.start import Sampling
from harness.verdict.agreement import needs_reference, reference_cell
from harness.workloads.steps import judge_step
from harness.workloads.workload import workload_named


class Obstacle(msgspec.Struct, frozen=True):
    """What keeps the cells of an image from being launched."""

    launches: tuple[Launch, ...]
    """The records that say so"""
    environment_error: HostError | None = None
    """The error of this host that it comes from; ``None``: the image's own fault"""


def ready_cells(
    image: Image, planner: Planner, engines: OpenedEngines, *, room: Room, observer: Observer, sample: Sampling
) -> tuple[ReadyCell, ...] | Obstacle:
    """The image's cells, once it is built and its family is known; or what stands in the way of all of them."""
    cells = planner.cells(image)
    name = engine_name(image, planner.request.engine)
    record = EngineRecord(name=name)
    try:
        engine = engines.get(name)
        record = engine.record
        if image.family is not None and (missing := _missing_devices(image.family, record, planner.request.settings)):
            # Before a build of 20 GB.
            return Obstacle(planner.unlaunched(cells, record, stage="device", cause="no device", message=missing))
        if image.reference is None:
            built: BuiltImage | None = ensure_built(image, engine, say=observer.say, room=room, announce=observer.announce)
        else:
            built = engine.find_reference(image.reference)
        if built is None:
            message = f"no such image: {record.name} has no {image.reference}"
            return Obstacle(planner.unlaunched(cells, record, cause="engine", message=message))
        found = image.family or _probe_family(ReadyCell(cells[0], engine, built, None), planner, observer, sample=sample)
    except EngineError as error:
        return Obstacle(planner.unlaunched(cells, record, cause="engine", message=str(error)), environment_error=error)
    except BuildFailed as error:
        message = f"the build failed: {error}"
        return Obstacle(planner.unlaunched(cells, record, cause="build", message=message, log_tail=error.log_tail))
    if isinstance(found, Launch):
        return Obstacle((found,))
    family = found
    if image.family is None and (missing := _missing_devices(family, record, planner.request.settings)):
        return Obstacle(planner.unlaunched(cells, record, stage="device", family=family, cause="no device", message=missing))
    hazards = planner.hazards(cells, family)
    return tuple(ReadyCell(cell, engine, built, family, hazards[cell.id]) for cell in cells)


def build_lines(request: BenchRequest, engines: OpenedEngines) -> list[str]:
    """What is about to be fetched and built; nothing where that is not more than one image."""
    plans = []
    for image in request.images:
        try:
            engine = engines.get(engine_name(image, request.engine))
            if image.reference is None and not _missing_devices(image.family, engine.record, request.settings):
                plans.append(planned(image, engine))
        except EngineError:  # each image that needs this engine will say so
            continue
    return plan_lines(plans) if sum(not plan.is_built for plan in plans) > 1 else []


def cpu_run_of(ready: ReadyCell, settings: Settings, catalog: Catalog) -> ReadyCell | None:
    """The cell on the CPU whose output a cell's launches are compared with; ``None``: they are compared with nothing."""
    workload = workload_named(ready.cell.profile.workload)
    if (
        not (settings.verify and workload.is_measured and workload.is_compared)
        or settings.last_stage
        or settings.purpose == "null"
    ):
        return None
    cell = reference_cell(ready.cell, catalog)
    device = "cpu" if ready.family in (None, "cpu") else "cuda"
    return msgspec.structs.replace(ready, cell=cell) if needs_reference(device, ready.cell, cell) else None


def settings_of_cpu_run(settings: Settings) -> Settings:
    """The settings of the CPU run beside launches with these. A kept cache belongs to the cell: the CPU run would fill it before
    the cell's first launch."""
    return msgspec.structs.replace(
        settings, purpose="reference", warm_passes=0, time_limit_seconds=None, gpu=None, flags="least", caches="empty"
    )


def with_each_fix(cells: Iterable[ReadyCell], launches: Iterable[Launch], fixes: tuple[Variant, ...]) -> tuple[ReadyCell, ...]:
    """Each cell that failed in its last failing launch, once for each fix that may mend that."""
    failures = {launch.plan.cell: launch for launch in launches if launch.verdict.status != "pass"}
    return tuple(
        msgspec.structs.replace(ready, cell=msgspec.structs.replace(ready.cell, variant=with_fixes(ready.cell.variant, [fix])))
        for ready in cells
        if ready.cell.id in failures
        for fix in _fixes_that_may_mend(failures[ready.cell.id], fixes)
    )


def _fixes_that_may_mend(launch: Launch, fixes: Iterable[Variant]) -> tuple[Variant, ...]:
    """The fixes that bear on a stage or step in which a launch failed, and that it did not have already."""
    tried = (step for name, step in launch.said.steps.items() if name in launch.plan.steps)
    failed = {step.name for step in tried if judge_step(step).status != "pass"}
    if not failed:
        failed = {launch.verdict.stage}
    return tuple(fix for fix in fixes if failed & set(fix.mends) and fix.name not in launch.plan.fixes)


def _missing_devices(family: Family | None, engine: EngineRecord, settings: Settings) -> str:
    """What this host lacks of what a family needs, in words; empty where it has all, or the family is not known yet."""
    found = (
        request_devices(family, engine, flags=parse_flags(settings.flags or "least"), gpu=settings.gpu).missing
        if family
        else ()
    )
    return "; ".join(found)


def _probe_family(ready: ReadyCell, planner: Planner, observer: Observer, *, sample: Sampling) -> Family | Launch:
    """What torch in the image was built for, by a launch that goes no further than its import; or the record of why that could
    not be found out."""
    observer.say(f"probing {ready.cell.image.name} for its family")
    settings = msgspec.structs.replace(planner.request.settings, last_stage="import", options={}, caches="empty")
    if not workload_named(ready.cell.profile.workload).is_measured:  # it may need options that are for its own stage
        profile = msgspec.structs.replace(ready.cell.profile, workload="probe")
        ready = msgspec.structs.replace(ready, cell=msgspec.structs.replace(ready.cell, profile=profile))
    prepared = planner.prepare_ready(ready, settings)
    try:
        launch = execute(prepared, ready.engine, sample=sample)
    except EngineError:
        forget(prepared.plan.id)
        raise
    imported = launch.said.found("import")
    if launch.verdict.status != "pass":
        return launch
    forget(launch.id)
    if not imported.has_fields("torch"):
        message = "its import stage passed without telling which torch it has"
        return not_launched(launch.plan, stage="import", cause="error", message=message)
    torch = imported.fields("torch")
    return "rocm" if torch.text("hip") else "cuda" if torch.text("cuda") else "cpu"
