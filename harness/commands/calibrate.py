"""`calibrate`: which meters of memory can be believed in an image."""

from typing import Annotated

import typer

from harness.commands import opening, options, output, running
from harness.commands.app import app
from harness.errors import UsageError

MOST_SIZES = 10
HOLD_SECONDS = (0.1, 60)
"""The shortest and the longest."""


@app.command()
def calibrate(
    context: typer.Context,
    images: options.Images = None,
    gfx: options.GfxOption = None,
    sizes: Annotated[
        str, typer.Option("--sizes", help="The sizes to allocate in turn, in GiB.", metavar="GIB,...")
    ] = "0.5,1,2",
    hold: Annotated[float, typer.Option("--hold", help="How long to keep each size.", metavar="SECONDS")] = 3.0,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Find which memory meters tell the truth in an image. Allocates known sizes on the device, and compares what each
    meter shows."""
    from harness.catalog.load import load_catalog
    from harness.commands.arguments import parse_engine, parse_number
    from harness.engines.relaxations import flags_text, parse_flags
    from harness.records.plan import Settings
    from harness.workloads.calibrate import calibration_of
    from reports.terminal.tasks import print_calibrations

    preference, relaxed, sizes_bytes = parse_engine(engine), flags_text(parse_flags(flags)), parse_sizes(sizes)
    hold_seconds = parse_number("--hold", hold, *HOLD_SECONDS, " seconds")
    known = load_catalog(catalogs or ())
    chosen = running.choose_images(known, images, gfx=gfx, family=family)
    request = running.make_request(
        known,
        chosen,
        gfx=gfx,
        engine=preference,
        settings=Settings(
            options={"sizes_bytes": list(sizes_bytes), "hold_seconds": hold_seconds},
            flags=relaxed,
            gpu=gpu,
        ),
        workload="calibrate",
    )
    campaign = running.run_campaign(known, request, opening.open_store(), open_engine=context.obj)
    if as_json:
        found = [(launch, calibration_of(launch)) for launch in campaign.launches]
        output.print_json([{"launch": launch, "findings": each.findings if each else []} for launch, each in found])
    else:
        print_calibrations(campaign.launches)
    running.end_with(campaign)


def parse_sizes(text: str) -> tuple[int, ...]:
    """``0.5,1,2`` GiB in bytes, ascending, each once. Raises `UsageError`."""
    refusal = f"--sizes {text!r} is not 1 to {MOST_SIZES} numbers of GiB from 0.0625 to 1024, such as 0.5,1,2"
    try:
        sizes = sorted({float(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(refusal) from None
    # In less, the noise of a process is more than the 5% that a meter may be off. NaN compares as false.
    if len(sizes) > MOST_SIZES or not all(0.0625 <= size <= 1024 for size in sizes):
        raise UsageError(refusal)
    return tuple(round(size * 2**30) for size in sizes)
