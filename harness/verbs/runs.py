"""`bench`, `probe` and `flags`: what launches images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness import catalog, places
from harness.errors import UsageError
from harness.verbs import base

if TYPE_CHECKING:
    from harness.energy import Price
    from harness.request import Request


@base.app.command()
def bench(
    images: base.Images = None,
    gfx: base.GfxOption = None,
    fixes: base.FixOption = None,
    pipeline: base.PipelineOption = "embedded",
    audio: base.AudioOption = "sample",
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
    label: base.LabelOption = None,
    engine: base.EngineOption = "auto",
    family: base.FamilyOption = None,
    portable: base.PortableOption = False,
    timeout: base.TimeoutOption = None,
    memory: base.MemoryOption = None,
    flags: base.FlagsOption = "least",
    gpu: base.GpuOption = None,
    caches: Annotated[
        str, typer.Option("--caches", help="Compiled kernels: empty for each launch, or keep between launches.", metavar="MODE")
    ] = "empty",
    verify: base.VerifyOption = True,
    catalogs: base.Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the engine's command line and run nothing.")] = False,
    report_to: Annotated[Path | None, typer.Option("--report", help="Where BENCHMARKS.md goes.", metavar="FILE")] = None,
    price_per_kwh: base.PricePerKwhOption = None,
    price_per_hour: base.PricePerHourOption = None,
    as_json: base.AsJson = False,
) -> None:
    """Run images, store every launch, print the results table and write BENCHMARKS.md."""
    from harness.arms import DEFAULT_LAUNCHES, arms_of, cells_of, read_factors, read_settings
    from harness.caches import parse_mode
    from harness.devices import parse_flags
    from harness.inputs import (
        fetch_inputs,
        locate_inputs,
        parse_durations,
        parse_engine,
        parse_size,
        parse_time_limit,
    )
    from harness.launch import Settings
    from harness.pace import parse_cool_down
    from harness.request import Request
    from harness.stopping import parse_stopping

    preference, limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    price = base.read_price(price_per_kwh, price_per_hour)
    kind = "null" if null else "vary" if vary else "bench"
    rule = parse_stopping(launches, until, budget, default=DEFAULT_LAUNCHES[kind])
    if until is not None and kind != "bench":
        raise UsageError(f"--until and --{kind} exclude each other: the arms of a comparison have one number of launches")
    longest_wait = parse_cool_down(cool_down)
    lengths = parse_durations(durations, audio_seconds)
    cache_mode = parse_mode(caches)
    known = catalog.load_catalog(catalogs or ())
    row = catalog.select_pipeline(known, pipeline)
    factors = read_factors(known, vary or ())
    arms = arms_of(factors, read_settings(known, set_knobs or ()), null=null)
    if kind != "bench" and launches is not None:
        _warn_of_few_pairs(launches)
    chosen = base.choose_images(known, images, gfx=gfx, family=family, portable=portable, dry_run=dry_run)
    chosen_fixes = catalog.select_fixes(known, fixes or ())
    for image in chosen:  # what a knob does not bear on is refused before anything is fetched
        cells_of(known, image, gfx, fixes=chosen_fixes, pipeline=row, audio="", arms=arms)
    page = report_to or places.ROOT / "BENCHMARKS.md"
    if dry_run:
        inputs = [locate_inputs(known, row.name, audio, reference, seconds) for seconds in lengths]
    else:
        base.refuse_page(page)
        inputs = [fetch_inputs(known, row.name, audio, reference, seconds, say=base.talk) for seconds in lengths]
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
        from harness.dry_run import dry_run_lines

        for line in dry_run_lines(known, request):
            typer.echo(line.text, err=line.is_remark)
        return
    _run(known, request, page, as_json=as_json, price=price)


@base.app.command()
def probe(
    images: base.Images = None,
    gfx: base.GfxOption = None,
    fixes: base.FixOption = None,
    try_fixes: Annotated[bool, typer.Option("--try-fixes", help="Where a step fails, try the work-arounds for it.")] = False,
    engine: base.EngineOption = "auto",
    family: base.FamilyOption = None,
    portable: base.PortableOption = False,
    flags: base.FlagsOption = "least",
    gpu: base.GpuOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", help="Kill a step after this long: 300, on ROCm 3600 where it compiles kernels.", metavar="SECONDS"
        ),
    ] = None,
    catalogs: base.Catalogs = None,
    as_json: base.AsJson = False,
) -> None:
    """Try the imports, the device, and what pyannote computes, each step in a process of its own."""
    import msgspec

    from benchmarks.wire import STEPS
    from harness.devices import parse_flags
    from harness.inputs import parse_engine, parse_time_limit
    from harness.launch import Settings

    preference, step_limit, relaxed = parse_engine(engine), parse_time_limit(timeout), parse_flags(flags)
    known = catalog.load_catalog(catalogs or ())
    request = base.sample_request(
        known,
        base.choose_images(known, images, gfx=gfx, family=family, portable=portable),
        gfx=gfx,
        engine=preference,
        settings=Settings(
            last_stage="device",
            steps=STEPS,
            step_timeout_seconds=step_limit,
            flags=relaxed,
            gpu=gpu,
        ),
        fixes=catalog.select_fixes(known, fixes or ()),
    )
    if try_fixes:
        mending = tuple(fix for fix in known.variants.values() if fix.mends)
        request = msgspec.structs.replace(request, fixes_to_try=mending)
    _run(known, request, None, as_json=as_json)


@base.app.command("flags")
def try_flags(
    image: Annotated[str, typer.Argument(help="A catalog id, or an image reference.", metavar="IMAGE")],
    gfx: base.GfxOption = None,
    engine: base.EngineOption = "auto",
    family: base.FamilyOption = None,
    gpu: base.GpuOption = None,
    catalogs: base.Catalogs = None,
    as_json: base.AsJson = False,
) -> None:
    """Find out which relaxations of `--flags compat` an image needs to reach its device, one at a time."""
    import msgspec

    from harness.devices import flags_text
    from harness.inputs import choose_images, parse_engine, parse_family
    from harness.launch import Settings
    from harness.trials import arrangements, judge_flags
    from reports.terminal import print_trials

    preference = parse_engine(engine)
    known = catalog.load_catalog(catalogs or ())
    chosen = base.with_days(choose_images(known, [image], family=parse_family(family)), dry_run=False)
    if len(chosen) != 1:
        raise UsageError(f"{image!r} matches {len(chosen)} images: name one")
    (row,) = chosen
    if "local" in (row.engine, preference):
        raise UsageError(f"image {row.name} runs as a process of this host, which has no isolation that could be relaxed")
    settings = Settings(last_stage="device", timeout_seconds=600, gpu=gpu)
    request = base.sample_request(known, (row,), gfx=gfx, engine=preference, settings=settings)
    store, found = base.open_store(), {}
    for flags in arrangements():
        base.talk(f"{row.name} with --flags {flags_text(flags)}")
        settings = msgspec.structs.replace(settings, flags=flags)
        campaign = base.run_campaign(known, msgspec.structs.replace(request, images=(row,), settings=settings), store)
        if campaign.environment_error is not None:
            raise campaign.environment_error
        found[flags] = campaign.launches
        # What the first launch found out need not be found out again.
        row = msgspec.structs.replace(row, family=row.family or campaign.launches[0].plan.image.family)
    findings = judge_flags(found)
    if as_json:
        base.print_json(msgspec.to_builtins(findings))
    else:
        print_trials(row.name, findings)
    if all(finding.need == "fails even with all" for finding in findings):
        raise typer.Exit(1)


def _warn_of_few_pairs(launches: int) -> None:
    from harness.compare import FEWEST_PAIRS

    if launches < FEWEST_PAIRS:
        base.talk(f"{launches} pair(s) are too few to claim anything: that takes --launches {FEWEST_PAIRS} or more")


def _run(
    known: catalog.Catalog, request: Request, report_to: Path | None, *, as_json: bool, price: Price | None = None
) -> None:
    """A campaign, what it found on stdout, and its exit code."""
    import msgspec

    from harness.energy import NO_PRICE
    from harness.stopping import rule_text
    from reports.comparisons import compared_data
    from reports.markdown import render_benchmarks, write_page
    from reports.tables import rows_of
    from reports.terminal import print_agreements, print_comparisons, print_results
    from reports.terminal_tasks import print_probes
    from reports.three_times import alarms

    if request.rule.until is not None or request.rule.budget_seconds is not None:
        base.talk(f"launches: {rule_text(request.rule)}")
    store = base.open_store()
    campaign = base.run_campaign(known, request, store)
    stored = store.launches()
    if as_json:
        compared = compared_data(campaign.launches)
        launches = msgspec.to_builtins(campaign.launches)
        base.print_json({"launches": launches, **compared} if compared else launches)
    elif report_to is None:
        print_probes(campaign.launches)
    else:
        print_results(campaign.launches, stored=stored)
        print_comparisons(campaign.launches)
        print_agreements(campaign.launches)
    if report_to is not None:
        for line in alarms(rows_of(campaign.launches), stored):
            base.talk(line)
        write_page(report_to, render_benchmarks(stored, price or NO_PRICE))
        base.talk(f"wrote {report_to}")
    base.end_with(campaign)
