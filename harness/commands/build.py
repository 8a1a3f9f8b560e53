"""`list` and `build`: what there is, and making it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.catalog import load
from harness.catalog.rows import Catalog, Image
from harness.commands import common, options
from harness.errors import EngineError, HostError, PackageIndexError, UsageError

MOST_ERROR_CHARACTERS = 160
"""Of a failed build's reason on stdout."""

MOST_LOG_LINES = 20
"""Of a failed build's log on stderr."""

if TYPE_CHECKING:
    from harness.engines.base import Engine, Recipe


@common.app.command("build")
def build_images(
    images: options.Images = None,
    engine: options.EngineOption = "auto",
    portable: options.PortableOption = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Build so many at once.", metavar="N")] = 1,
    wheelhouse: Annotated[
        Path | None, typer.Option("--wheelhouse", help="A folder of wheels to look into first.", metavar="DIR")
    ] = None,
    catalogs: options.Catalogs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be built and fetched, and how large it is.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Ask the index of nightlies which to take, keep and print that; build nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Rebuild even if built; a nightly image takes the newest nightly.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Afterwards remove outdated images and leftover build stages.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Build images; one that is already built of the same recipe is left alone, and a failure does not stop the others."""
    from harness.campaign.request import engine_name
    from harness.commands.arguments import choose_images, parse_engine, with_wheelhouse

    preference = parse_engine(engine)
    known = load.load_catalog(catalogs or ())
    chosen = choose_images(known, images or [common.DEFAULT_IMAGE], family=None, as_portable=portable)
    chosen = with_wheelhouse(chosen, wheelhouse)
    for image in chosen:
        if image.reference is not None:
            raise UsageError(f"{image.reference} was built elsewhere: there is nothing to build, `strixbench bench` runs it")
        engine_name(image, preference)
    if dry_run and not plan:
        _show_dry_run(chosen, preference, as_json=as_json)
        return
    chosen, without_day = _with_days(chosen, anew=plan or again)
    if without_day and not chosen:
        raise next(iter(without_day.values()))
    removes = prune and not plan
    current = _current(known, chosen) if removes else ()  # a row that has none is refused at once
    outcome = [_pins(image) for image in chosen] if plan else _built(known, chosen, preference, again=again, jobs=jobs)
    outcome += [{"image": name, "error": str(error)} for name, error in without_day.items()]
    if as_json:
        common.print_json(outcome)
    else:
        for row in outcome:
            shown = row | {"error": _shortened(row["error"])} if "error" in row else row  # stderr has all of it
            typer.echo("  ".join(f"{key}={value}" for key, value in shown.items()))
    refusals = common.Refusals()
    if removes:
        _prune({engine_name(image, preference) for image in chosen}, current, refusals)
    if refusals.happened or any(row.get("cause") == "engine" for row in outcome):
        raise typer.Exit(HostError.exit_code)
    if any("error" in row for row in outcome):
        raise typer.Exit(1)


def _shortened(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_ERROR_CHARACTERS else f"{line[:MOST_ERROR_CHARACTERS]}..."


def _show_dry_run(chosen: Sequence[Image], preference: str, *, as_json: bool) -> None:
    """Print what would be built and fetched; asks no engine and no index. A nightly that was not chosen yet is named as that."""
    from harness.images.build_plan import image_data, image_lines
    from harness.images.nightlies import with_kept_day

    chosen = [with_kept_day(image) for image in chosen]
    if as_json:
        common.print_json([image_data(image) for image in chosen])
    else:
        typer.echo("\n\n".join("\n".join(image_lines(image, preference)) for image in chosen))


def _built(known: Catalog, chosen: tuple[Image, ...], preference: str, *, again: bool, jobs: int) -> list[dict[str, Any]]:
    """Build images; returns a row an image."""
    from harness.images.build import build_log, recipe_of

    recipes = {image.name: recipe_of(image) for image in chosen}
    rows: list[dict[str, Any]] = [
        {"image": name, "recipe": recipe.hash, "tag": recipe.tag, "log": str(build_log(recipe))}
        for name, recipe in recipes.items()
    ]
    _build(known, chosen, preference, rows, again=again, jobs=jobs)
    return rows


def _current(known: Catalog, chosen: Sequence[Image]) -> tuple[Recipe, ...]:
    """The recipes whose images stay: these images' and the catalog's."""
    from harness.images.build import recipe_of
    from harness.images.built import current_recipes

    return (*map(recipe_of, chosen), *current_recipes(known))


def _prune(names: Collection[str], current: Sequence[Recipe], refusals: common.Refusals) -> None:
    """Remove from these engines what is no longer current, and say what that freed."""
    from harness.campaign.recovery import campaign_lock
    from harness.images.built import prune_engine, removed_text

    with refusals.told("not pruned"), campaign_lock():  # none is taken from under a launch or a build that began since
        for name in sorted(names):
            with refusals.told(name), closing(common.open_engine(name)) as opened, refusals.told(opened.record.name):
                common.talk(removed_text(prune_engine(opened, current)))


def _with_days(images: tuple[Image, ...], *, anew: bool) -> tuple[tuple[Image, ...], dict[str, PackageIndexError]]:
    """The images with their nightlies chosen, and why others have none."""
    from functools import partial

    from harness.images.nightlies import settle, with_day, with_new_day

    return settle(images, partial(with_new_day if anew else with_day, say=common.talk))


def _pins(image: Image) -> dict[str, Any]:
    """What a build of it would take torch from."""
    return {"image": image.name, "torch": image.torch, "torchaudio": image.torchaudio, "index": image.torch_index or "the base"}


def _build(known: Catalog, chosen: tuple[Image, ...], preference: str, rows: list[dict[str, Any]], **how: Any) -> None:
    """Build them, add to each row what became of it, and store what failed."""
    from harness.campaign.campaign import Campaign
    from harness.campaign.request import BenchRequest, engine_name
    from harness.failures.recognise import recognise
    from harness.images.build_all import build_all
    from harness.images.disk_space import Room
    from harness.inputs.gather import unread_sample
    from harness.launch.plan import Settings
    from harness.secrets import clean_text

    audio, found_models = unread_sample(known)
    progress = common.show_progress(of_builds=True)
    campaign = Campaign(
        BenchRequest(
            images=chosen,
            gfx=None,
            pipeline=known.pipelines["embedded"],
            audio=audio,
            models=found_models,
            engine=preference,
            launches=0,
            settings=Settings(),
        ),
        known,
        common.open_store(),
        open_engine=common.open_engine,
        observer=progress,
    )
    outcomes = build_all(
        chosen,
        open_engine=lambda image: common.open_engine(engine_name(image, preference)),
        say=progress.say,
        announce=progress.announce,
        room=Room(progress.announce),
        **how,
    )
    try:
        if len(chosen) > 1:
            for line in _plan(chosen, preference, again=bool(how["again"])):
                progress.announce(line)
        for outcome in campaign.build(outcomes):
            row = next(row for row in rows if row["image"] == outcome.image.name)
            if outcome.built is not None:
                row["id"] = outcome.built.id
            else:
                row["error"], row["cause"] = clean_text(outcome.message), outcome.cause
                progress.announce(f"{outcome.image.name}: the build failed: {outcome.message}")
                for line in outcome.log_tail.splitlines()[-MOST_LOG_LINES:]:
                    progress.announce(f"  | {line}")
                known_as = recognise((), f"{outcome.message}\n{outcome.log_tail}")
                if known_as is not None:
                    progress.announce(f"known as {known_as.id}: {known_as.explanation}")
                    progress.announce(f"fix: {known_as.fix}")
    finally:
        progress.stop()


def _plan(chosen: Sequence[Image], preference: str, *, again: bool) -> list[str]:
    """What a build of several will fetch and take; nothing where there is but one left to build."""
    import msgspec

    from harness.campaign.request import engine_name
    from harness.images.build_plan import plan_lines, planned

    engines: dict[str, Engine] = {}
    plans = []
    try:
        for image in chosen:
            name = engine_name(image, preference)
            with suppress(EngineError):  # its build will say so
                engines[name] = engines.get(name) or common.open_engine(name)
                plans.append(planned(image, engines[name]))
    finally:
        for engine in engines.values():
            engine.close()
    if again:
        plans = [msgspec.structs.replace(plan, is_built=False) for plan in plans]
    return plan_lines(plans) if sum(not plan.is_built for plan in plans) > 1 else []
