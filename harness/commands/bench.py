"""`bench`, `probe` and `flags`: what launches images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import places
from harness.catalog import load
from harness.catalog.select import select_fixes, select_pipeline
from harness.commands import common, options
from harness.commands.running import run_and_report
from harness.errors import UsageError

if TYPE_CHECKING:
    pass


@common.app.command()
def bench(
    images: options.Images = None,
    gfx: options.GfxOption = None,
    fixes: options.FixOption = None,
    pipeline: options.PipelineOption = "embedded",
    audio: options.AudioOption = "sample",
    reference: Annotated[Path | None, typer.Option("--reference", help="RTTM of the audio file.", metavar="FILE")] = None,
    audio_seconds: Annotated[
        float | None, typer.Option("--audio-seconds", help="Repeat or cut the audio to this length.", metavar="SECONDS")
    ] = None,
    durations: Annotated[
        str | None,
        typer.Option(
            "--durations", help="Lengths of the audio, and a fit of the time over them.", metavar="SECONDS,SECONDS,..."
        ),
    ] = None,
    launches: Annotated[
        int | None,
        typer.Option(
            "--launches", min=1, help="Fresh containers a cell: 3, with --vary 6, with --null 12 of each arm.", metavar="N"
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Launch until the 95% interval is within this of the median.", metavar="PERCENT"),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Begin no launch later than this after the first.", metavar="MINUTES")
    ] = None,
    cool_down: Annotated[
        float,
        typer.Option("--cool-down", help="Longest wait for the first temperature before a launch; 0: none.", metavar="SECONDS"),
    ] = 60.0,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="Compare values of a knob, the first is the reference; may be given again.", metavar="KNOB=A,B"
        ),
    ] = None,
    set_knobs: Annotated[
        list[str] | None, typer.Option("--set", help="Set a knob; may be given again.", metavar="KNOB=VALUE")
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", help="Compare each cell with itself: what can this machine tell apart?")
    ] = False,
    passes: Annotated[int, typer.Option("--passes", min=1, help="Warm passes a launch, after the cold one.", metavar="N")] = 3,
    label: options.LabelOption = None,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    portable: options.PortableOption = False,
    timeout: options.TimeoutOption = None,
    memory: options.MemoryOption = None,
    flags: options.FlagsOption = "least",
    gpu: options.GpuOption = None,
    caches: Annotated[
        str, typer.Option("--caches", help="Compiled kernels: empty for each launch, or keep between launches.", metavar="MODE")
    ] = "empty",
    verify: options.VerifyOption = True,
    catalogs: options.Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the engine's command line and run nothing.")] = False,
    report_to: Annotated[Path | None, typer.Option("--report", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    price_per_kwh: options.PricePerKwhOption = None,
    price_per_hour: options.PricePerHourOption = None,
    as_json: options.AsJson = False,
) -> None:
    """Run images, store every launch, print the results table and write BENCHMARKS.md."""
    from harness.analysis.stopping import parse_stopping
    from harness.campaign.arms import DEFAULT_LAUNCHES, arms_of, read_factors, read_settings
    from harness.campaign.cool_down import parse_cool_down
    from harness.campaign.request import BenchRequest
    from harness.catalog.cells import cells_of
    from harness.commands.arguments import parse_durations, parse_engine, parse_size, parse_time_limit
    from harness.engines.relaxations import parse_flags
    from harness.inputs.gather import fetch_inputs, locate_inputs
    from harness.launch.kernel_cache import parse_mode
    from harness.launch.plan import Settings

    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    price = common.read_price(price_per_kwh, price_per_hour)
    kind = "null" if null else "vary" if vary else "bench"
    rule = parse_stopping(launches, until, budget, default=DEFAULT_LAUNCHES[kind])
    if until is not None and kind != "bench":
        raise UsageError(f"--until and --{kind} exclude each other: the arms of a comparison have one number of launches")
    longest_wait = parse_cool_down(cool_down)
    lengths = parse_durations(durations, audio_seconds)
    cache_mode = parse_mode(caches)
    known = load.load_catalog(catalogs or ())
    row = select_pipeline(known, pipeline)
    factors = read_factors(known, vary or ())
    arms = arms_of(factors, read_settings(known, set_knobs or ()), null=null)
    if kind != "bench" and launches is not None:
        _warn_of_few_pairs(launches)
    chosen = common.choose_images(known, images, gfx=gfx, family=family, portable=portable, dry_run=dry_run)
    chosen_fixes = select_fixes(known, fixes or ())
    for image in chosen:  # what a knob does not bear on is refused before anything is fetched
        cells_of(known, image, gfx, fixes=chosen_fixes, pipeline=row, audio="", arms=arms)
    page = report_to or places.ROOT / "BENCHMARKS.md"
    if dry_run:
        inputs = [locate_inputs(known, row.name, audio, reference, seconds) for seconds in lengths]
    else:
        common.refuse_page(page)
        inputs = [fetch_inputs(known, row.name, audio, reference, seconds, say=common.talk) for seconds in lengths]
    (prepared_audio, found_models), *others = inputs
    request = BenchRequest(
        images=chosen,
        gfx=gfx,
        pipeline=row,
        audio=prepared_audio,
        models=found_models,
        engine=preference,
        launches=rule.launches,
        more_audio=tuple(each for each, _ in others),
        stopping=rule,
        cool_down_seconds=longest_wait,
        settings=Settings(
            warm_passes=passes,
            purpose="null" if null else "result",
            label=label,
            timeout_seconds=limit,
            memory_bytes=parse_size(memory),
            flags=relaxed,
            gpu=gpu,
            caches=cache_mode,
            verify=verify,
        ),
        fixes=chosen_fixes,
        arms=arms,
    )
    if dry_run:
        from harness.campaign.dry_run import dry_run_lines

        for line in dry_run_lines(known, request):
            typer.echo(line.text, err=line.is_remark)
        return
    run_and_report(known, request, page, as_json=as_json, price=price)


def _warn_of_few_pairs(launches: int) -> None:
    from harness.analysis.compare import FEWEST_PAIRS

    if launches < FEWEST_PAIRS:
        common.talk(f"{launches} pair(s) are too few to claim anything: that takes --launches {FEWEST_PAIRS} or more")
