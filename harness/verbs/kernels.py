"""`kernels`: what pyannote's networks are made of, timed one kernel at a time."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import catalog
from harness.verbs import base

MOST_SECONDS = 600


@base.app.command()
def kernels(
    images: base.Images = None,
    gfx: base.GfxOption = None,
    launches: Annotated[int, typer.Option("--launches", min=1, help="Fresh containers a cell.", metavar="N")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", help="How long each kernel is repeated.", metavar="SECONDS")] = 1.0,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Kernels of this name or glob; may be given again.", metavar="KERNEL")
    ] = None,
    engine: base.EngineOption = "auto",
    family: base.FamilyOption = None,
    portable: base.PortableOption = False,
    flags: base.FlagsOption = "least",
    gpu: base.GpuOption = None,
    timeout: base.TimeoutOption = None,
    catalogs: base.Catalogs = None,
    as_json: base.AsJson = False,
) -> None:
    """Time pyannote's kernels at their real shapes, and so what an image could reach at most."""
    import msgspec

    from harness.devices import parse_flags
    from harness.inputs import parse_engine, parse_number, parse_time_limit
    from harness.kernels import TIMEOUT_SECONDS, ensure_tools, parse_only
    from harness.launch import Settings
    from reports.terminal_tasks import print_kernels

    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    seconds = parse_number("--seconds", seconds, 0.01, MOST_SECONDS)
    patterns = parse_only(only)
    known = catalog.load_catalog(catalogs or ())
    chosen = base.choose_images(known, images, gfx=gfx, family=family, portable=portable)
    request = base.sample_request(
        known,
        chosen,
        gfx=gfx,
        engine=preference,
        settings=Settings(
            last_stage="device",
            task="kernels",
            options={"seconds": seconds, **({"only": patterns} if patterns else {})},
            folders={"tools": ensure_tools(say=base.talk)},
            timeout_seconds=limit,
            reckoned_seconds=TIMEOUT_SECONDS,
            flags=relaxed,
            gpu=gpu,
        ),
    )
    store = base.open_store()
    campaign = base.run_campaign(known, msgspec.structs.replace(request, launches=launches), store)
    if as_json:
        base.print_json(msgspec.to_builtins(campaign.launches))
    else:
        print_kernels(campaign.launches, beside=store.launches())
    base.end_with(campaign)
