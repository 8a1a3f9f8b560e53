"""`bench`: launches images and reports how fast they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from harness import places
from harness.commands import opening, options, output, running
from harness.commands.app import GroupedCommand, app
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.campaign.request import BenchRequest, OpenEngine
    from harness.catalog.rows import Catalog
    from harness.records.price import Price


class BenchCommand(GroupedCommand):
    """`bench`, whose most used options come first in its help."""

    groups: ClassVar = {
        "What to run": ("--engine", "--gfx", "--pipeline", "--audio", "--reference", "--workload", "--input"),
        "How often": ("--launches", "--until", "--budget"),
        "Output": ("--dry-run", "--report", "--label", "--json"),
        "Comparisons": ("--vary", "--set", "--null"),
        "Advanced": (),
    }


@app.command(cls=BenchCommand)
def bench(
    context: typer.Context,
    images: options.Images = None,
    engine: options.EngineOption = "auto",
    gfx: options.GfxOption = None,
    pipeline: options.PipelineOption = "embedded",
    audio: options.AudioOption = "sample",
    reference: Annotated[
        Path | None, typer.Option("--reference", help="The recording's RTTM, to score the output.", metavar="FILE")
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option("--workload", help="diarization if none, or another workload of `list`, such as vit.", metavar="NAME"),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option("--input", help="Only the other workload's inputs that match, such as batch-8.", metavar="INPUT"),
    ] = None,
    launches: Annotated[
        int | None,
        typer.Option(
            "--launches", min=1, help="Launches of each configuration: 3; with --vary 6, with --null 12.", metavar="N"
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", help="Launch until the 95% interval is within this of the median, such as 2%.", metavar="PERCENT"
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Start no launch later than this after the first one.", metavar="MINUTES")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the engine's command lines and run nothing.")] = False,
    report_to: Annotated[Path | None, typer.Option("--report", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    label: options.LabelOption = None,
    as_json: options.AsJson = False,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", help="Compare a knob's values with its first one; repeatable.", metavar="KNOB=A,B"),
    ] = None,
    set_knobs: Annotated[list[str] | None, typer.Option("--set", help="Set a knob; repeatable.", metavar="KNOB=VALUE")] = None,
    null: Annotated[
        bool,
        typer.Option(
            "--null", help="Compare each configuration with itself, to see how small a difference this machine can show."
        ),
    ] = False,
    audio_seconds: Annotated[
        float | None, typer.Option("--audio-seconds", help="Repeat or cut the audio to this length.", metavar="SECONDS")
    ] = None,
    durations: Annotated[
        str | None,
        typer.Option(
            "--durations", help="Run the audio at several lengths, and fit a line to the times.", metavar="SECONDS,..."
        ),
    ] = None,
    passes: Annotated[
        int, typer.Option("--passes", min=1, help="Warm passes of a launch, after the cold one.", metavar="N")
    ] = 3,
    cool_down: Annotated[
        float,
        typer.Option(
            "--cool-down",
            help="Before a launch, wait at most this long until the machine is as cool as at the start; 0: do not wait.",
            metavar="SECONDS",
        ),
    ] = 60.0,
    caches: Annotated[
        str, typer.Option("--caches", help="The cache of compiled kernels: empty for each launch, or keep.", metavar="MODE")
    ] = "empty",
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify", help="Compare the GPU's output with that of the image on the CPU. Without this, no rank."
        ),
    ] = True,
    timeout: options.TimeoutOption = None,
    memory: options.MemoryOption = None,
    gpu: options.GpuOption = None,
    flags: options.FlagsOption = "least",
    fixes: options.FixOption = None,
    family: options.FamilyOption = None,
    portable: options.PortableOption = False,
    catalogs: options.Catalogs = None,
    price_per_kwh: options.PricePerKwhOption = None,
    price_per_hour: options.PricePerHourOption = None,
) -> None:
    """Run images, store every launch, write BENCHMARKS.md. Prints a table of the results."""
    from harness.analysis.stopping import parse_stopping
    from harness.campaign.arms import DEFAULT_LAUNCHES, arms_of, read_factors, read_settings
    from harness.campaign.cool_down import MOST_COOL_DOWN_SECONDS
    from harness.campaign.request import BenchRequest
    from harness.catalog.cells import cells_of
    from harness.catalog.load import load_catalog
    from harness.catalog.rows import DIARIZATION
    from harness.catalog.select import select_fixes, select_pipeline, select_workload
    from harness.commands import arguments
    from harness.engines.relaxations import flags_text, parse_flags
    from harness.inputs.gather import fetch_inputs, locate_inputs
    from harness.inputs.launch_inputs import row_inputs
    from harness.launch.kernel_cache import parse_mode
    from harness.records.plan import Settings
    from harness.workloads.workload import workload_named

    preference = arguments.parse_engine(engine)
    settings = Settings(
        warm_passes=passes,
        purpose="null" if null else "result",
        label=label,
        time_limit_seconds=arguments.parse_time_limit(timeout),
        memory_limit_bytes=arguments.parse_size(memory),
        flags=flags_text(parse_flags(flags)),
        gpu=gpu,
        caches=parse_mode(caches),
        verify=verify,
    )
    price = arguments.parse_prices(price_per_kwh, price_per_hour)
    kind = "null" if null else "vary" if vary else "bench"
    rule = parse_stopping(launches, until, budget, default=DEFAULT_LAUNCHES[kind])
    if until is not None and kind != "bench":
        raise UsageError(f"--until and --{kind} exclude each other: the arms of a comparison have one number of launches")
    longest_wait = arguments.parse_number("--cool-down", cool_down, 0, MOST_COOL_DOWN_SECONDS, " seconds")
    lengths = arguments.parse_durations(durations, audio_seconds)
    known = load_catalog(catalogs or ())
    workload = workload or DIARIZATION
    chosen_workload = select_workload(known, workload)
    profile = chosen_workload.profile if chosen_workload is not None else select_pipeline(known, pipeline)
    arms = arms_of(read_factors(known, vary or ()), read_settings(known, set_knobs or ()), null=null)
    if kind != "bench" and launches is not None:
        from harness.analysis.compare import FEWEST_PAIRS

        if launches < FEWEST_PAIRS:
            output.talk(f"{launches} pair(s) are too few to claim anything: that takes --launches {FEWEST_PAIRS} or more")
    chosen = running.choose_images(known, images, gfx=gfx, family=family, portable=portable, dry_run=dry_run)
    chosen_fixes = select_fixes(known, fixes or ())
    for image in chosen:  # a knob that has no bearing on an image is refused before anything is fetched
        cells_of(known, image, gfx, fixes=chosen_fixes, profile=profile, given="", arms=arms)
    page = report_to or places.ROOT / "BENCHMARKS.md"
    if not dry_run:
        output.refuse_page(page)
    if chosen_workload is not None:
        _refuse_recordings(context, workload)
        if not workload_named(workload).is_measured:  # an overlay may name any
            raise UsageError(f"the workload {workload} has no passes to time: see `strixbench --help` for its verb")
        given = row_inputs(chosen_workload, inputs or "*")
    else:
        if reference is not None and _was_left_out(context, "audio"):
            raise UsageError("--reference is the RTTM of a recording of yours: name that too, with --audio")
        if inputs is not None:
            raise UsageError("--input names an input of another workload: a recording is named by --audio")
        take = partial(locate_inputs) if dry_run else partial(fetch_inputs, say=output.talk)
        given = tuple(take(known, profile.name, audio, reference, seconds) for seconds in lengths)
    request = BenchRequest(
        images=chosen,
        gfx=gfx,
        profile=profile,
        inputs=given,
        engine=preference,
        launches=rule.launches,
        stopping=rule,
        cool_down_seconds=longest_wait,
        settings=settings,
        fixes=chosen_fixes,
        arms=arms,
    )
    if dry_run:
        from harness.campaign.dry_run import dry_run_lines

        for line in dry_run_lines(known, request, remark=lambda text: typer.echo(text, err=True)):
            typer.echo(line)
    else:
        _run_and_report(known, request, page, open_engine=context.obj, as_json=as_json, price=price)


def _refuse_recordings(context: typer.Context, workload: str) -> None:
    """Raise `UsageError` where an option about recordings was given to a workload that reads none."""
    for name in ("pipeline", "audio", "reference", "audio_seconds", "durations"):
        if not _was_left_out(context, name):
            raise UsageError(f"--{name.replace('_', '-')} is of diarization: the workload {workload} reads no recording")


def _was_left_out(context: typer.Context, name: str) -> bool:
    """Whether an option has its default because nobody gave it."""
    source = context.get_parameter_source(name)
    return source is None or source.name == "DEFAULT"


def _run_and_report(
    known: Catalog, request: BenchRequest, page: Path, *, open_engine: OpenEngine, as_json: bool, price: Price
) -> None:
    """Run it, print what it found, write the page, and end with the exit code."""
    from harness.analysis.cold_and_warm_rows import alarms
    from harness.analysis.effects import compared_data
    from harness.analysis.rows import rows_of
    from harness.analysis.stopping import rule_text
    from reports.markdown.render import render_benchmarks
    from reports.markdown.write import write_page
    from reports.terminal.results import print_agreements, print_comparisons, print_results

    if request.rule.until is not None or request.rule.budget_seconds is not None:
        output.talk(f"launches: {rule_text(request.rule)}")
    store = opening.open_store()
    campaign = running.run_campaign(known, request, store, open_engine=open_engine)
    stored = store.launches()
    if as_json:
        compared = compared_data(campaign.launches)
        output.print_json({"launches": campaign.launches, **compared} if compared else campaign.launches)
    else:
        print_results(campaign.launches, stored=stored)
        print_comparisons(campaign.launches)
        print_agreements(campaign.launches)
    for line in alarms(rows_of(campaign.launches), stored):
        output.talk(line)
    write_page(page, render_benchmarks(stored, price))
    output.talk(f"wrote {page}")
    running.end_with(campaign)
