"""`probe`: which step of an image fails."""

from typing import Annotated

import typer

from harness.commands import options, running
from harness.commands.app import app


@app.command()
def probe(
    context: typer.Context,
    images: options.Images = None,
    gfx: options.GfxOption = None,
    fixes: options.FixOption = None,
    try_fixes: Annotated[
        bool, typer.Option("--try-fixes", help="If a step fails, try the work-arounds that may mend it.")
    ] = False,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    portable: options.PortableOption = False,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            help="Kill a step after this long. Default: 300; on ROCm 3600 for steps that compile kernels.",
            metavar="TIME",
        ),
    ] = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Find the step at which an image fails. Tries the imports, the device and pyannote's parts, each in its own process."""
    import msgspec

    from benchmarks.wire import STEPS
    from harness.catalog.load import load_catalog
    from harness.commands.arguments import parse_engine, parse_time_limit
    from harness.engines.relaxations import flags_text, parse_flags
    from harness.records.plan import Settings
    from reports.terminal.tasks import print_probes

    preference, limit = parse_engine(engine), parse_time_limit(timeout)
    settings = Settings(
        options={"steps": STEPS, **({"step_timeout_seconds": limit} if limit is not None else {})},
        flags=flags_text(parse_flags(flags)),
        gpu=gpu,
    )
    known = load_catalog(catalogs or ())
    request = running.make_request(
        known,
        running.choose_images(known, images, gfx=gfx, family=family, portable=portable),
        gfx=gfx,
        engine=preference,
        settings=settings,
        workload="probe",
        fixes=fixes,
    )
    if try_fixes:
        mending = tuple(fix for fix in known.variants.values() if fix.mends)
        request = msgspec.structs.replace(request, fixes_to_try=mending)
    running.run_and_show(known, request, open_engine=context.obj, show=print_probes, as_json=as_json)
