"""`calibrate`: which meters of memory can be believed in an image."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import catalog
from harness.errors import UsageError
from harness.verbs import base

MOST_SIZES = 10
HOLD_SECONDS = (0.1, 60)
"""From and to."""


@base.app.command()
def calibrate(
    images: base.Images = None,
    gfx: base.GfxOption = None,
    sizes: Annotated[str, typer.Option("--sizes", help="GiB to hold, one after the other.", metavar="GIB,...")] = "0.5,1,2",
    hold: Annotated[float, typer.Option("--hold", help="How long each is held.", metavar="SECONDS")] = 3.0,
    engine: base.EngineOption = "auto",
    family: base.FamilyOption = None,
    flags: base.FlagsOption = "least",
    gpu: base.GpuOption = None,
    catalogs: base.Catalogs = None,
    as_json: base.AsJson = False,
) -> None:
    """Hold known sizes of memory on the device and say which meters moved by as much."""
    import msgspec

    from harness.calibration import TASK, calibration_of
    from harness.devices import parse_flags
    from harness.inputs import parse_engine, parse_number
    from harness.launch import Settings
    from reports.terminal_tasks import print_calibrations

    preference, relaxed, sizes_bytes = parse_engine(engine), parse_flags(flags), parse_sizes(sizes)
    hold_seconds = parse_number("--hold", hold, *HOLD_SECONDS, " seconds")
    known = catalog.load_catalog(catalogs or ())
    chosen = base.choose_images(known, images, gfx=gfx, family=family)
    request = base.sample_request(
        known,
        chosen,
        gfx=gfx,
        engine=preference,
        settings=Settings(
            last_stage="device",
            task=TASK,
            options={"sizes_bytes": list(sizes_bytes), "hold_seconds": hold_seconds},
            timeout_seconds=600 + (2 * len(sizes_bytes) + 1) * hold_seconds,
            flags=relaxed,
            gpu=gpu,
        ),
    )
    campaign = base.run_campaign(known, request, base.open_store())
    if as_json:
        found = [calibration_of(launch) for launch in campaign.launches]
        pairs = zip(campaign.launches, found, strict=True)
        base.print_json(
            [{"launch": msgspec.to_builtins(x), "findings": msgspec.to_builtins(c.findings) if c else []} for x, c in pairs]
        )
    else:
        print_calibrations(campaign.launches)
    base.end_with(campaign)


def parse_sizes(text: str) -> tuple[int, ...]:
    """``0.5,1,2`` GiB in bytes, ascending, each once. Raises `UsageError`."""
    refusal = f"--sizes {text!r} is not 1 to {MOST_SIZES} numbers of GiB from 0.0625 to 1024, such as 0.5,1,2"
    try:
        sizes = sorted({float(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(refusal) from None
    # Below, the noise of a process is more than the 5% that a meter may be off. What is no number compares as false.
    if len(sizes) > MOST_SIZES or not all(0.0625 <= size <= 1024 for size in sizes):
        raise UsageError(refusal)
    return tuple(round(size * 2**30) for size in sizes)
