"""`verify`: is what an image puts out right? One run beside the CPU run, or the ladder of batches."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.catalog import load
from harness.catalog.select import select_fixes, select_pipeline
from harness.commands import common, options, running
from harness.errors import UsageError

RUNG_SECONDS = 600
"""Time for one rung, its compilation on a GPU included; a launch of the ladder gets that for each."""


@common.app.command("verify")
def verify_images(
    images: options.Images = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Both networks at growing batches, each beside batch 1 on the CPU.")
    ] = False,
    batches: Annotated[
        str | None, typer.Option("--batches", help="Of the ladder, such as 1,32,111,112.", metavar="N,...")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", help="Of the ladder: segmentation, embedding.", metavar="NAME,...")
    ] = None,
    gfx: options.GfxOption = None,
    fixes: options.FixOption = None,
    pipeline: options.PipelineOption = "embedded",
    audio: options.AudioOption = "sample",
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    timeout: options.TimeoutOption = None,
    memory: options.MemoryOption = None,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Is the output right? One run beside the CPU run of the same image; with --ladder, at which batch it stops being right."""
    import msgspec

    from harness.campaign.request import BenchRequest
    from harness.commands.arguments import parse_engine, parse_size, parse_time_limit
    from harness.engines.relaxations import parse_flags
    from harness.inputs.gather import fetch_inputs
    from harness.launch.plan import Settings
    from harness.workloads.ladder import BATCHES, parse_batches, parse_models
    from reports.terminal.launches import print_agreements
    from reports.terminal.tasks import print_ladders

    if not ladder and (batches is not None or models is not None):
        raise UsageError("--batches and --models are of the ladder: add --ladder")
    options = {"batches": BATCHES if batches is None else parse_batches(batches), "models": parse_models(models)}
    rungs = len(options["batches"]) * len(options["models"])
    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    known = load.load_catalog(catalogs or ())
    row = select_pipeline(known, pipeline)
    chosen = common.choose_images(known, images, gfx=gfx, family=family)
    prepared_audio, found_models = fetch_inputs(known, row.name, audio, None, None, say=common.talk)
    settings = Settings(
        warm_passes=1, timeout_seconds=limit, memory_bytes=parse_size(memory), flags=relaxed, gpu=gpu, purpose="verify"
    )
    if ladder:
        settings = msgspec.structs.replace(
            settings, last_stage="device", task="ladder", options=options, reckoned_seconds=RUNG_SECONDS * (1 + rungs)
        )
    request = BenchRequest(
        images=chosen,
        gfx=gfx,
        pipeline=row,
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=1,
        settings=settings,
        fixes=select_fixes(known, fixes or ()),
    )
    campaign = running.run_campaign(known, request, common.open_store())
    if as_json:
        common.print_json(msgspec.to_builtins(campaign.launches))
    elif ladder:
        print_ladders(campaign.launches)
    else:
        print_agreements(campaign.launches, purpose="verify")
    running.end_with(campaign)
