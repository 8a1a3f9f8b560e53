"""`flags`: which relaxations of a container an image needs."""

from typing import Annotated

import typer

from harness.commands import opening, options, output, running
from harness.commands.app import app
from harness.errors import UsageError


@app.command("flags")
def try_flags(
    context: typer.Context,
    image: Annotated[str, typer.Argument(help="A catalog id, or an image reference.", metavar="IMAGE")],
    gfx: options.GfxOption = None,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    gpu: options.GpuOption = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Find the flags that an image needs to reach its device. Launches with all parts of `--flags compat`, then without one at a
    time, then with none."""
    import msgspec

    from harness.analysis.relaxation_trials import arrangements, judge_relaxations
    from harness.catalog.load import load_catalog
    from harness.commands.arguments import named_images, parse_engine
    from harness.engines.relaxations import flags_text
    from harness.records.plan import Settings
    from reports.terminal.lists import print_trials

    preference = parse_engine(engine)
    known = load_catalog(catalogs or ())
    chosen = running.with_days(named_images(known, [image], family=family))
    if len(chosen) != 1:
        raise UsageError(f"{image!r} matches {len(chosen)} images: name one")
    (row,) = chosen
    if "local" in (row.engine, preference):
        raise UsageError(f"image {row.name} runs as a process of this host, which has no isolation that could be relaxed")
    settings = Settings(last_stage="device", time_limit_seconds=600, gpu=gpu)
    request = running.make_request(known, (row,), gfx=gfx, engine=preference, settings=settings, workload="probe")
    store, found = opening.open_store(), {}
    for flags in arrangements():
        output.talk(f"{row.name} with --flags {flags_text(flags)}")
        settings = msgspec.structs.replace(settings, flags=flags_text(flags))
        relaxed = msgspec.structs.replace(request, images=(row,), settings=settings)
        campaign = running.run_campaign(known, relaxed, store, open_engine=context.obj)
        if campaign.environment_error is not None:
            raise campaign.environment_error
        found[flags] = campaign.launches
        # What the first launch found out need not be found out again.
        row = msgspec.structs.replace(row, family=row.family or campaign.launches[0].plan.image.family)
    findings = judge_relaxations(found)
    if as_json:
        output.print_json(findings)
    else:
        print_trials(row.name, findings)
    if all(finding.need == "fails even with all" for finding in findings):
        raise typer.Exit(1)
