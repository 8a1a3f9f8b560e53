"""`strixbench flags`."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.catalog import load
from harness.commands import common, options, running
from harness.errors import UsageError


@common.app.command("flags")
def try_flags(
    image: Annotated[str, typer.Argument(help="A catalog id, or an image reference.", metavar="IMAGE")],
    gfx: options.GfxOption = None,
    engine: options.EngineOption = "auto",
    family: options.FamilyOption = None,
    gpu: options.GpuOption = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Find out which relaxations of `--flags compat` an image needs to reach its device, one at a time."""
    import msgspec

    from harness.analysis.relaxation_trials import arrangements, judge_relaxations
    from harness.commands.arguments import choose_images, parse_engine, parse_family
    from harness.engines.relaxations import flags_text
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
        campaign = running.run_campaign(known, msgspec.structs.replace(request, images=(row,), settings=settings), store)
        if campaign.environment_error is not None:
            raise campaign.environment_error
        found[flags] = campaign.launches
        # What the first launch found out need not be found out again.
        row = msgspec.structs.replace(row, family=row.family or campaign.launches[0].plan.image.family)
    trials = judge_relaxations(found)
    if as_json:
        common.print_json(msgspec.to_builtins(trials))
    else:
        print_trials(row.name, trials)
    if all(trial.need == "fails even with all" for trial in trials):
        raise typer.Exit(1)
