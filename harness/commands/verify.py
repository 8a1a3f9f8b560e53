"""`verify`: whether an image's output is right, in one run beside the CPU run or up a ladder of batches."""

from typing import Annotated

import typer

from harness.commands import options, running
from harness.commands.app import app
from harness.errors import UsageError


@app.command("verify")
def verify_images(
    context: typer.Context,
    images: options.Images = None,
    ladder: Annotated[
        bool, typer.Option("--ladder", help="Run both networks at growing batches; compare each with batch 1 on the CPU.")
    ] = False,
    batches: Annotated[
        str | None, typer.Option("--batches", help="The ladder's batches, such as 1,32,111,112.", metavar="N,...")
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", help="The ladder's networks: segmentation, embedding.", metavar="NAME,...")
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
    """Check whether an image's output is right. Compares it with that of the image on the CPU. --ladder finds the batch size
    from which it is wrong."""
    import msgspec

    from harness.catalog.load import load_catalog
    from harness.catalog.rows import DIARIZATION
    from harness.catalog.select import select_pipeline
    from harness.commands.arguments import parse_engine, parse_size, parse_time_limit
    from harness.engines.relaxations import flags_text, parse_flags
    from harness.records.plan import Settings
    from harness.workloads.ladder import BATCHES, parse_batches, parse_models
    from reports.terminal.results import print_agreements
    from reports.terminal.tasks import print_ladders

    if not ladder and (batches is not None or models is not None):
        raise UsageError("--batches and --models are of the ladder: add --ladder")
    rungs = {"batches": BATCHES if batches is None else parse_batches(batches), "models": parse_models(models)}
    preference = parse_engine(engine)
    settings = Settings(
        warm_passes=1,
        time_limit_seconds=parse_time_limit(timeout),
        memory_limit_bytes=parse_size(memory),
        flags=flags_text(parse_flags(flags)),
        gpu=gpu,
        purpose="verify",
    )
    if ladder:
        settings = msgspec.structs.replace(settings, options=rungs)
    known = load_catalog(catalogs or ())
    select_pipeline(known, pipeline)  # a wrong word is refused before an index of nightlies is asked
    request = running.make_request(
        known,
        running.choose_images(known, images, gfx=gfx, family=family),
        gfx=gfx,
        engine=preference,
        settings=settings,
        workload="ladder" if ladder else DIARIZATION,
        pipeline=pipeline,
        audio=audio,
        fixes=fixes,
    )
    show = print_ladders if ladder else lambda launches: print_agreements(launches, purpose="verify")
    running.run_and_show(known, request, open_engine=context.obj, show=show, as_json=as_json)
