"""`bench`, `probe` and `flags`: what launches images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import places
from harness.catalog import load
from harness.commands import common
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.analysis.energy import Price
    from harness.campaign.request import Request


@common.app.command()
def bench(
    images: common.Images = None,
    gfx: common.GfxOption = None,
    fixes: common.FixOption = None,
    pipeline: common.PipelineOption = "embedded",
    audio: common.AudioOption = "sample",
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
    label: common.LabelOption = None,
    engine: common.EngineOption = "auto",
    family: common.FamilyOption = None,
    portable: common.PortableOption = False,
    timeout: common.TimeoutOption = None,
    memory: common.MemoryOption = None,
    flags: common.FlagsOption = "least",
    gpu: common.GpuOption = None,
    caches: Annotated[
        str, typer.Option("--caches", help="Compiled kernels: empty for each launch, or keep between launches.", metavar="MODE")
    ] = "empty",
    verify: common.VerifyOption = True,
    catalogs: common.Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the engine's command line and run nothing.")] = False,
    report_to: Annotated[Path | None, typer.Option("--report", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    price_per_kwh: common.PricePerKwhOption = None,
    price_per_hour: common.PricePerHourOption = None,
    as_json: common.AsJson = False,
) -> None:
    """Run images, store every launch, print the results table and write BENCHMARKS.md."""
    from harness.analysis.stopping import parse_stopping
    from harness.campaign.arms import DEFAULT_LAUNCHES, arms_of, cells_of, read_factors, read_settings
    from harness.campaign.cool_down import parse_cool_down
    from harness.campaign.request import Request
    from harness.commands.arguments import (
        fetch_inputs,
        locate_inputs,
        parse_durations,
        parse_engine,
        parse_size,
        parse_time_limit,
    )
    from harness.engines.devices import parse_flags
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
    row = load.select_pipeline(known, pipeline)
    factors = read_factors(known, vary or ())
    arms = arms_of(factors, read_settings(known, set_knobs or ()), null=null)
    if kind != "bench" and launches is not None:
        _warn_of_few_pairs(launches)
    chosen = common.choose_images(known, images, gfx=gfx, family=family, portable=portable, dry_run=dry_run)
    chosen_fixes = load.select_fixes(known, fixes or ())
    for image in chosen:  # what a knob does not bear on is refused before anything is fetched
        cells_of(known, image, gfx, fixes=chosen_fixes, pipeline=row, audio="", arms=arms)
    page = report_to or places.ROOT / "BENCHMARKS.md"
    if dry_run:
        inputs = [locate_inputs(known, row.name, audio, reference, seconds) for seconds in lengths]
    else:
        common.refuse_page(page)
        inputs = [fetch_inputs(known, row.name, audio, reference, seconds, say=common.talk) for seconds in lengths]
    (prepared_audio, found_models), *others = inputs
    request = Request(
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
    _run(known, request, page, as_json=as_json, price=price)


@common.app.command()
def probe(
    images: common.Images = None,
    gfx: common.GfxOption = None,
    fixes: common.FixOption = None,
    try_fixes: Annotated[bool, typer.Option("--try-fixes", help="Where a step fails, try the work-arounds for it.")] = False,
    engine: common.EngineOption = "auto",
    family: common.FamilyOption = None,
    portable: common.PortableOption = False,
    flags: common.FlagsOption = "least",
    gpu: common.GpuOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", help="Kill a step after this long: 300, on ROCm 3600 where it compiles kernels.", metavar="SECONDS"
        ),
    ] = None,
    catalogs: common.Catalogs = None,
    as_json: common.AsJson = False,
) -> None:
    """Try the imports, the device, and what pyannote computes, each step in a process of its own."""
    import msgspec

    from benchmarks.wire import STEPS
    from harness.commands.arguments import parse_engine, parse_time_limit
    from harness.engines.devices import parse_flags
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
        fixes=load.select_fixes(known, fixes or ()),
    )
    if try_fixes:
        mending = tuple(fix for fix in known.variants.values() if fix.mends)
        request = msgspec.structs.replace(request, fixes_to_try=mending)
    _run(known, request, None, as_json=as_json)


@common.app.command("flags")
def try_flags(
    image: Annotated[str, typer.Argument(help="A catalog id, or an image reference.", metavar="IMAGE")],
    gfx: common.GfxOption = None,
    engine: common.EngineOption = "auto",
    family: common.FamilyOption = None,
    gpu: common.GpuOption = None,
    catalogs: common.Catalogs = None,
    as_json: common.AsJson = False,
) -> None:
    """Find out which relaxations of `--flags compat` an image needs to reach its device, one at a time."""
    import msgspec

    from harness.campaign.relaxation_trials import arrangements, judge_flags
    from harness.commands.arguments import choose_images, parse_engine, parse_family
    from harness.engines.devices import flags_text
    from harness.launch.plan import Settings
    from reports.terminal.launches import print_trials

    preference = parse_engine(engine)
    known = load.load_catalog(catalogs or ())
    chosen = common.with_days(choose_images(known, [image], family=parse_family(family)), dry_run=False)
    if len(chosen) != 1:
        raise UsageError(f"{image!r} matches {len(chosen)} images: name one")
    (row,) = chosen
    if "local" in (row.engine, preference):
        raise UsageError(f"image {row.name} runs as a process of this host, which has no isolation that could be relaxed")
    settings = Settings(last_stage="device", timeout_seconds=600, gpu=gpu)
    request = common.sample_request(known, (row,), gfx=gfx, engine=preference, settings=settings)
    store, found = common.open_store(), {}
    for flags in arrangements():
        common.talk(f"{row.name} with --flags {flags_text(flags)}")
        settings = msgspec.structs.replace(settings, flags=flags)
        campaign = common.run_campaign(known, msgspec.structs.replace(request, images=(row,), settings=settings), store)
        if campaign.environment_error is not None:
            raise campaign.environment_error
        found[flags] = campaign.launches
        # What the first launch found out need not be found out again.
        row = msgspec.structs.replace(row, family=row.family or campaign.launches[0].plan.image.family)
    findings = judge_flags(found)
    if as_json:
        common.print_json(msgspec.to_builtins(findings))
    else:
        print_trials(row.name, findings)
    if all(finding.need == "fails even with all" for finding in findings):
        raise typer.Exit(1)


def _warn_of_few_pairs(launches: int) -> None:
    from harness.analysis.compare import FEWEST_PAIRS

    if launches < FEWEST_PAIRS:
        common.talk(f"{launches} pair(s) are too few to claim anything: that takes --launches {FEWEST_PAIRS} or more")


def _run(known: load.Catalog, request: Request, report_to: Path | None, *, as_json: bool, price: Price | None = None) -> None:
    """A campaign, what it found on stdout, and its exit code."""
    import msgspec

    from harness.analysis.energy import NO_PRICE
    from harness.analysis.stopping import rule_text
    from reports.markdown.render import render_benchmarks, write_page
    from reports.sections.cold_and_warm import alarms
    from reports.sections.comparisons import compared_data
    from reports.tables import rows_of
    from reports.terminal.launches import print_agreements, print_comparisons, print_results
    from reports.terminal.tasks import print_probes

    if request.rule.until is not None or request.rule.budget_seconds is not None:
        common.talk(f"launches: {rule_text(request.rule)}")
    store = common.open_store()
    campaign = common.run_campaign(known, request, store)
    stored = store.launches()
    if as_json:
        compared = compared_data(campaign.launches)
        launches = msgspec.to_builtins(campaign.launches)
        common.print_json({"launches": launches, **compared} if compared else launches)
    elif report_to is None:
        print_probes(campaign.launches)
    else:
        print_results(campaign.launches, stored=stored)
        print_comparisons(campaign.launches)
        print_agreements(campaign.launches)
    if report_to is not None:
        for line in alarms(rows_of(campaign.launches), stored):
            common.talk(line)
        write_page(report_to, render_benchmarks(stored, price or NO_PRICE))
        common.talk(f"wrote {report_to}")
    common.end_with(campaign)
