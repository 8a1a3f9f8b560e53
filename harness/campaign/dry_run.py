"""What `bench --dry-run` prints: each cell's command line, from the same values that would be executed."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator

import msgspec

from harness.analysis.stopping import rule_text
from harness.campaign.recovery import DRY_RUN_PREFIX
from harness.campaign.request import BenchRequest, engine_name
from harness.catalog.cells import cells_of
from harness.catalog.hazards import hazards_of
from harness.catalog.rows import GPU_FAMILIES, Catalog
from harness.engines.command import container_command
from harness.engines.find import find_engine, is_rootless
from harness.engines.local import Local, environment_folder
from harness.images.build import recipe_of
from harness.launch.plan import make_folders, prepare_launch
from harness.machine.gpus import check_gpu_use, used_targets
from harness.machine.host import describe_host
from harness.records.plan import EngineRecord


class Line(msgspec.Struct, frozen=True):
    """A line to print; a remark is not part of what is pasted."""

    text: str
    is_remark: bool = False


def dry_run_lines(known: Catalog, request: BenchRequest) -> Iterator[Line]:
    """The line of each cell, fit to paste. What it reads is written into a folder of its own, so that it works.

    Raises `EngineError` where no engine is here.
    """
    if request.stopping is not None:
        yield Line(f"# launches: {rule_text(request.stopping)}", is_remark=True)
    for image in request.images:
        name = engine_name(image, request.engine)
        engine = EngineRecord(name="local")
        if name != "local":
            found = find_engine(name)
            if found.remark:
                yield Line(f"# {found.remark}", is_remark=True)
            engine = EngineRecord(name=found.name, rootless=found.name == "podman" and is_rootless())
        cells = cells_of(
            known,
            image,
            request.gfx,
            fixes=request.fixes,
            pipeline=request.pipeline,
            audio=request.audio.name,
            arms=request.arms,
        )
        cells = tuple({cell.id: cell for cell in cells}.values())  # the arms of a null test are one cell
        for warning in check_gpu_use(image, [cell.variant for cell in cells], request.settings.gpu):
            yield Line(f"# {warning}", is_remark=True)
        targets = used_targets(request.settings.gpu) if image.family in GPU_FAMILIES[:2] else ()
        for cell in cells:
            for hazard in hazards_of(known, cell, image.family, targets):
                yield Line(f"# {hazard}", is_remark=True)
        for cell, audio in itertools.product(cells, request.recordings):
            cell = msgspec.structs.replace(cell, audio=audio.name)
            prepared = prepare_launch(
                cell,
                None,
                engine,
                campaign="dry-run",
                audio=audio,
                models=request.models,
                settings=request.settings,
                host=describe_host(),
                family=image.family,
                owned_by="",
                launch_id=DRY_RUN_PREFIX + re.sub(r"[^A-Za-z0-9_.-]+", "-", cell.id),
            )
            make_folders(prepared)
            if engine.name == "local":
                line = Local().command(prepared.run)
                if not environment_folder(recipe_of(image)).exists():
                    yield Line(f"# not built yet: strixbench build {image.name}", is_remark=True)
            else:
                line = container_command(found.name, prepared.run)
                if image.reference is None:
                    yield Line(
                        f"# if it is not built yet: strixbench build {image.name} --engine {engine.name}", is_remark=True
                    )
            yield Line(f"# its journal: {prepared.run.exchange / 'journal.jsonl'}", is_remark=True)
            yield Line(shlex.join(line))
