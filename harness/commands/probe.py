"""`strixbench probe`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.catalog import load
from harness.catalog.select import select_fixes
from harness.commands import common, options
from harness.commands.running import run_and_report


@common.app.command()
def probe(
    images: options.Images = None,
    gfx: options.GfxOption = None,
    fixes: options.FixOption = None,
    try_fixes: Annotated[bool, typer.Option("--try-fixes", help="Where a step fails, try the work-arounds for it.")] = False,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    portable: options.PortableOption = False,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", help="Kill a step after this long: 300, on ROCm 3600 where it compiles kernels.", metavar="SECONDS"
        ),
    ] = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Try the imports, the device, and what pyannote computes, each step in a process of its own."""
    import msgspec

    from benchmarks.wire import STEPS
    from harness.commands.arguments import parse_engine, parse_time_limit
    from harness.engines.relaxations import parse_flags
    from harness.launch.plan import Settings

    preference, step_limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    known = load.load_catalog(catalogs or ())
    request = common.sample_request(
        known,
        common.choose_images(known, images, gfx=gfx, family=family, portable=portable),
        gfx=gfx,
        engine=preference,
        settings=Settings(
            last_stage="device",
            steps=STEPS,
            step_timeout_seconds=step_limit,
            flags=relaxed,
            gpu=gpu,
        ),
        fixes=select_fixes(known, fixes or ()),
    )
    if try_fixes:
        mending = tuple(fix for fix in known.variants.values() if fix.mends)
        request = msgspec.structs.replace(request, fixes_to_try=mending)
    run_and_report(known, request, None, as_json=as_json)
