"""`verify`: is what an image puts out right? One run beside the CPU run, or the ladder of batches."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import catalog
from harness.errors import UsageError
from harness.verbs import base

RUNG_SECONDS = 600
"""Time for one rung, its compilation on a GPU included; a launch of the ladder gets that for each."""


@base.app.command("verify")
def verify_images(
    images: base.Images = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Both networks at growing batches, each beside batch 1 on the CPU.")
    ] = False,
    batches: Annotated[
        str | None, typer.Option("--batches", help="Of the ladder, such as 1,32,111,112.", metavar="N,...")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", help="Of the ladder: segmentation, embedding.", metavar="NAME,...")
    ] = None,
    gfx: base.GfxOption = None,
    fixes: base.FixOption = None,
    pipeline: base.PipelineOption = "embedded",
    audio: base.AudioOption = "sample",
    engine: base.EngineOption = "auto",
    family: base.FamilyOption = None,
    timeout: base.TimeoutOption = None,
    memory: base.MemoryOption = None,
    flags: base.FlagsOption = "least",
    gpu: base.GpuOption = None,
    catalogs: base.Catalogs = None,
    as_json: base.AsJson = False,
) -> None:
    """Is the output right? One run beside the CPU run of the same image; with --ladder, at which batch it stops being right."""
    import msgspec

    from harness.devices import parse_flags
    from harness.inputs import fetch_inputs, parse_engine, parse_size, parse_time_limit
    from harness.ladder import BATCHES, parse_batches, parse_models
    from harness.launch import Settings
    from harness.request import Request
    from reports.terminal import print_agreements
    from reports.terminal_tasks import print_ladders

    if not ladder and (batches is not None or models is not None):
        raise UsageError("--batches and --models are of the ladder: add --ladder")
    options = {"batches": BATCHES if batches is None else parse_batches(batches), "models": parse_models(models)}
    rungs = len(options["batches"]) * len(options["models"])
    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    known = catalog.load_catalog(catalogs or ())
    row = catalog.select_pipeline(known, pipeline)
    chosen = base.choose_images(known, images, gfx=gfx, family=family)
    prepared_audio, found_models = fetch_inputs(known, row.name, audio, None, None, say=base.talk)
    settings = Settings(
        warm_passes=1, timeout_seconds=limit, memory_bytes=parse_size(memory), flags=relaxed, gpu=gpu, purpose="verify"
    )
    if ladder:
        settings = msgspec.structs.replace(
            settings, last_stage="device", task="ladder", options=options, reckoned_seconds=RUNG_SECONDS * (1 + rungs)
        )
    request = Request(
        images=chosen,
        gfx=gfx,
        pipeline=row,
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=1,
        settings=settings,
        fixes=catalog.select_fixes(known, fixes or ()),
    )
    campaign = base.run_campaign(known, request, base.open_store())
    if as_json:
        base.print_json(msgspec.to_builtins(campaign.launches))
    elif ladder:
        print_ladders(campaign.launches)
    else:
        print_agreements(campaign.launches, purpose="verify")
    base.end_with(campaign)
