"""`accuracy`: scores an image on a corpus of recordings with references."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands import opening, options, output, running
from harness.commands.app import app
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.campaign.campaign import Campaign
    from harness.campaign.request import BenchRequest
    from harness.catalog.rows import PipelineRow
    from harness.inputs.corpus_folder import CorpusFolder
    from harness.records.launch import Launch

DEFAULT_COLLAR_SECONDS = 0.25
"""On each side of a boundary, as in NIST's evaluations and the literature since."""

MOST_COLLAR_SECONDS = 5

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")


@app.command()
def accuracy(
    context: typer.Context,
    images: options.Images = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="A folder of recordings with RTTM (and UEM) files.", metavar="DIR")
    ] = None,
    references: Annotated[
        Path | None, typer.Option("--references", help="Where the RTTM and UEM files are, if not in the corpus.", metavar="DIR")
    ] = None,
    files: Annotated[
        str, typer.Option("--files", help="Only recordings that match, such as '*.Mix-Headset.wav'.", metavar="GLOB")
    ] = "*",
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="The corpus's name. For AMI, VoxConverse and DIHARD3 the expected DER is known.", metavar="NAME"
        ),
    ] = None,
    collar: Annotated[
        float,
        typer.Option("--collar", help="In the second scoring, ignore this much on each side of a boundary.", metavar="SECONDS"),
    ] = DEFAULT_COLLAR_SECONDS,
    gfx: options.GfxOption = None,
    fixes: options.FixOption = None,
    pipeline: Annotated[str, typer.Option("--pipeline", help="embedded, 3.1 or community-1.", metavar="NAME")] = "embedded",
    label: options.LabelOption = None,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="Give up on a recording after this long, such as 10m.", metavar="TIME")
    ] = None,
    memory: options.MemoryOption = None,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    catalogs: options.Catalogs = None,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="Also write BENCHMARKS.md to this file.", metavar="FILE")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Score an image on a corpus: DER, JER and speakers. Shows DER for each recording and for all, and hours of audio per hour."""
    import msgspec

    from harness.campaign.request import BenchRequest
    from harness.catalog.load import load_catalog
    from harness.catalog.select import select_fixes, select_pipeline
    from harness.commands.arguments import parse_engine, parse_size, parse_time_limit
    from harness.engines.relaxations import flags_text, parse_flags
    from harness.inputs.audio import Audio
    from harness.inputs.embedded import fetch_embedded
    from harness.inputs.gather import show_licences
    from harness.inputs.launch_inputs import recording_inputs
    from harness.inputs.models import models_for
    from harness.records.launch import new_id
    from harness.records.plan import Settings
    from harness.workloads.accuracy import accuracies_of
    from harness.workloads.corpus_results import as_builtins
    from harness.workloads.corpus_runs import run_to_the_end
    from reports.markdown.render import render_benchmarks
    from reports.markdown.write import write_page
    from reports.terminal.tasks import print_accuracies

    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), flags_text(parse_flags(flags))
    memory_bytes = parse_size(memory)
    known = load_catalog(catalogs or ())
    row = select_pipeline(known, pipeline)
    _refuse(known.pipelines[row.name], name, collar, corpus, report_to)
    chosen = running.choose_images(known, images, gfx=gfx, family=family)
    chosen_fixes = select_fixes(known, fixes or ())
    laid = _read(Path(corpus or ""), references, files, limit)
    if row.name == "embedded":
        show_licences(fetch_embedded(say=output.talk), say=output.talk)
    label_of_corpus = f"{name or f'corpus-{laid.sha256[:8]}'}-{len(laid.files)}-files"
    # In place of the one recording that other launches have.
    whole = Audio(name=label_of_corpus, path=laid.first.path, seconds=laid.seconds, sha256=laid.sha256)
    read = recording_inputs(whole, models_for(row.name), {"corpus": laid.path})
    request = BenchRequest(
        images=chosen,
        gfx=gfx,
        profile=msgspec.structs.replace(row, workload="accuracy"),
        inputs=(msgspec.structs.replace(read, truth=laid.truth),),
        engine=preference,
        settings=Settings(
            warm_passes=0,
            # What the guest reads, and what the record needs to explain the result by itself.
            options={
                "run": new_id(),
                "name": name or "",
                "collar_seconds": collar,
                "files": msgspec.to_builtins(laid.files),
                "left_out": msgspec.to_builtins(laid.left_out),
                "notes": list(laid.notes),
                "first": 0,
            },
            time_limit_seconds=limit,
            label=label,
            memory_limit_bytes=memory_bytes,
            flags=relaxed,
            gpu=gpu,
        ),
        fixes=chosen_fixes,
    )
    store = opening.open_store()
    campaigns: list[Campaign] = []

    def launch(asked: BenchRequest) -> list[Launch]:
        campaigns.append(running.run_campaign(known, asked, store, open_engine=context.obj))
        return campaigns[-1].launches

    def launch_again(ended: Launch, first: int) -> list[Launch]:
        output.talk(f"{ended.plan.cell} ended at recording {first} of {len(laid.files)}; going on after it")
        return launch(going_on(request, ended, first))

    findings = accuracies_of(run_to_the_end(lambda: launch(request), launch_again))
    if as_json:
        output.print_json([as_builtins(each) for each in findings])
    else:
        print_accuracies(findings)
    if report_to is not None:
        write_page(report_to, render_benchmarks(store.launches()))
        output.talk(f"wrote {report_to}")
    running.end_with(*campaigns, failed=any(each.failed for each in findings))


def _refuse(pipeline: PipelineRow, name: str | None, collar: float, corpus: Path | None, report_to: Path | None) -> None:
    """Raise `UsageError` for what cannot be scored."""
    from harness.commands.arguments import parse_number

    if pipeline.random_weights:
        raise UsageError(f"accuracy of the {pipeline.name} pipeline: its weights are random, so there is nothing to score")
    if corpus is None:
        raise UsageError("name a folder of recordings and their .rttm files: --corpus DIR")
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError(f"--name {name!r} is no short name: letters, digits, dots, dashes and underscores")
    parse_number("--collar", collar, 0, MOST_COLLAR_SECONDS, " seconds")
    if report_to is not None:
        output.refuse_page(report_to)


def _read(corpus: Path, references: Path | None, files: str, limit_seconds: float | None) -> CorpusFolder:
    """The corpus, laid out for the launches. Announces what is wrong with it."""
    from harness.inputs.corpus import read_corpus
    from harness.inputs.corpus_folder import lay_out
    from harness.text import counted
    from reports.sections.accuracy import length_text

    progress = output.show_progress()
    try:
        laid = lay_out(
            read_corpus(corpus, references=references, files=files), corpus, say=progress.say, limit_seconds=limit_seconds
        )
    finally:
        progress.stop()
    for note in laid.notes:
        progress.announce(note)
    for each in laid.left_out:
        progress.announce(f"left out: {each.name}: {each.why}")
    progress.announce(f"{counted(len(laid.files), 'recording')}, {length_text(laid.seconds)}")
    return laid


def going_on(request: BenchRequest, ended: Launch, first: int) -> BenchRequest:
    """The same request for one cell, from a recording on."""
    import msgspec

    (image,) = [image for image in request.images if image.name == ended.image]
    return msgspec.structs.replace(
        request,
        # What the first launch found out need not be found out again.
        images=(msgspec.structs.replace(image, family=image.family or ended.plan.image.family),),
        gfx=ended.plan.variant.split("+")[0],
        settings=msgspec.structs.replace(request.settings, options={**request.settings.options, "first": first}),
    )
