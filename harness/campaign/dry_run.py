"""What `bench --dry-run` prints: each cell's command line, from the same values that would be executed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from harness.analysis.stopping import rule_text
from harness.campaign.planner import Planner
from harness.campaign.request import BenchRequest, engine_name
from harness.catalog.rows import Catalog
from harness.engines.discovery import find_engine, is_rootless
from harness.engines.local import Local, environment_folder
from harness.engines.options import container_command
from harness.images.build import recipe_of
from harness.launch.plan import DRY_RUN_PREFIX, make_folders
from harness.machine.gpus import check_gpu_use
from harness.machine.host import describe_host
from harness.records.plan import EngineRecord
from harness.text import Say


def dry_run_lines(known: Catalog, request: BenchRequest, *, remark: Say) -> Iterator[str]:
    """The line of each cell, ready to paste. What a line reads is written into a folder of its own, so that the line works.
    ``remark`` is told what is not to be pasted.

    Raises `EngineError` where this host has no engine.
    """
    if request.stopping is not None:
        remark(f"# launches: {rule_text(request.stopping)}")
    planner = Planner(request=request, catalog=known, host=describe_host(), campaign="dry-run", owner="")
    for image in request.images:
        name = engine_name(image, request.engine)
        engine = EngineRecord(name="local")
        if name != "local":
            found = find_engine(name)
            if found.remark:
                remark(f"# {found.remark}")
            engine = EngineRecord(name=found.name, rootless=found.name == "podman" and is_rootless())
        cells = tuple({cell.id: cell for cell in planner.cells(image)}.values())  # the arms of a null test are one cell
        warnings = check_gpu_use(image, [cell.variant for cell in cells], request.settings.gpu)
        hazards = planner.hazards(cells, image.family).values()
        for warning in dict.fromkeys((*warnings, *(hazard for each in hazards for hazard in each))):
            remark(f"# {warning}")
        for cell in cells:
            launch_id = DRY_RUN_PREFIX + re.sub(r"[^A-Za-z0-9_.-]+", "-", cell.id)
            prepared = planner.prepare(cell, engine, family=image.family, launch_id=launch_id)
            make_folders(prepared)
            if engine.name == "local":
                line = Local().command(prepared.run)
                if not environment_folder(recipe_of(image)).exists():
                    remark(f"# not built yet: strixbench build {image.name}")
            else:
                line = container_command(found.name, prepared.run)
                if image.reference is None:
                    remark(f"# if it is not built yet: strixbench build {image.name} --engine {engine.name}")
            remark(f"# its journal: {prepared.run.exchange / 'journal.jsonl'}")
            yield shlex.join(line)
