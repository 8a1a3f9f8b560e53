"""`kernels`: what pyannote's networks are made of, timed one kernel at a time."""

from typing import Annotated

import typer

from harness.commands import opening, options, output, running
from harness.commands.app import app

MOST_SECONDS = 600


@app.command()
def kernels(
    context: typer.Context,
    images: options.Images = None,
    gfx: options.GfxOption = None,
    launches: Annotated[int, typer.Option("--launches", min=1, help="Launches of each configuration.", metavar="N")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", help="How long to repeat each kernel.", metavar="SECONDS")] = 1.0,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only kernels that match, such as 'lstm*'; repeatable.", metavar="KERNEL")
    ] = None,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    portable: options.PortableOption = False,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    timeout: options.TimeoutOption = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Time pyannote's kernels at their real shapes. The best rate is the most that the image could reach."""
    from harness.catalog.load import load_catalog
    from harness.commands.arguments import parse_engine, parse_number, parse_time_limit
    from harness.engines.relaxations import flags_text, parse_flags
    from harness.records.plan import Settings
    from harness.workloads.kernels import ensure_tools, parse_only
    from reports.terminal.tasks import print_kernels

    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), flags_text(parse_flags(flags))
    seconds = parse_number("--seconds", seconds, 0.01, MOST_SECONDS)
    patterns = parse_only(only)
    known = load_catalog(catalogs or ())
    chosen = running.choose_images(known, images, gfx=gfx, family=family, portable=portable)
    request = running.make_request(
        known,
        chosen,
        gfx=gfx,
        engine=preference,
        settings=Settings(
            options={"seconds": seconds, **({"only": patterns} if patterns else {})},
            time_limit_seconds=limit,
            flags=relaxed,
            gpu=gpu,
        ),
        workload="kernels",
        files={"tools": ensure_tools(say=output.talk)},
        launches=launches,
    )
    running.run_and_show(
        known,
        request,
        open_engine=context.obj,
        show=lambda found: print_kernels(found, beside=opening.stored_launches()),
        as_json=as_json,
    )
