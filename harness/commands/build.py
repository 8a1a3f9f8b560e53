"""`build`: builds images and records the builds that fail."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands import opening, options, output
from harness.commands.app import app
from harness.errors import EngineError, HostError, UsageError

if TYPE_CHECKING:
    from harness.campaign.request import OpenEngine
    from harness.catalog.rows import Catalog, Image
    from harness.engines.base import Engine, Recipe
    from harness.images.build import BuildOutcome

MOST_ERROR_CHARACTERS = 160
"""How much of a failed build's reason goes to stdout."""

MOST_LOG_LINES = 20
"""How much of a failed build's log goes to stderr."""


@app.command("build")
def build_images(
    context: typer.Context,
    images: options.Images = None,
    engine: options.EngineOption = "auto",
    portable: options.PortableOption = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Build this many at once.", metavar="N")] = 1,
    wheelhouse: Annotated[
        Path | None, typer.Option("--wheelhouse", help="A folder of wheels to search first.", metavar="DIR")
    ] = None,
    catalogs: options.Catalogs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be built and fetched, and how large it is.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Choose the newest nightlies, print and remember them; build nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Build even what is built; a nightly image takes the newest nightly.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Then remove outdated images and leftover build stages.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Build images that are not built yet. A failed build does not stop the others."""
    from harness.campaign.request import engine_name
    from harness.catalog.load import load_catalog
    from harness.commands.arguments import named_images, parse_engine, with_wheelhouse
    from harness.images.build import recipe_of
    from harness.images.built import current_recipes
    from harness.images.nightlies import settle, with_day, with_new_day

    preference = parse_engine(engine)
    known = load_catalog(catalogs or ())
    chosen = with_wheelhouse(named_images(known, images, as_portable=portable), wheelhouse)
    for image in chosen:
        if image.reference is not None:
            raise UsageError(f"{image.reference} was built elsewhere: there is nothing to build, `strixbench bench` runs it")
        engine_name(image, preference)
    if dry_run and not plan:
        _print_dry_run(chosen, preference, as_json=as_json)
        return
    chosen, without_day = settle(chosen, partial(with_new_day if plan or again else with_day, say=output.talk))
    if without_day and not chosen:
        raise next(iter(without_day.values()))
    removes = prune and not plan
    # The recipes whose images stay; a row without a recipe is refused before anything is built.
    current = (*map(recipe_of, chosen), *current_recipes(known)) if removes else ()
    if plan:
        rows = [
            {"image": each.name, "torch": each.torch, "torchaudio": each.torchaudio, "index": each.torch_index or "the base"}
            for each in chosen
        ]
    else:
        rows = _build(known, chosen, preference, open_engine=context.obj, again=again, jobs=jobs)
    rows += [{"image": name, "error": str(error)} for name, error in without_day.items()]
    _print(rows, as_json=as_json)
    refusals = opening.Refusals()
    if removes:
        _prune({engine_name(image, preference) for image in chosen}, current, refusals, open_engine=context.obj)
    if refusals.happened or any(row.get("cause") == "engine" for row in rows):
        raise typer.Exit(HostError.exit_code)
    if any("error" in row for row in rows):
        raise typer.Exit(1)


def _print(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print a row for each image."""
    if as_json:
        output.print_json(rows)
        return
    for row in rows:
        shown = dict(row)
        if "error" in row:  # stderr has all of it
            line = " ".join(row["error"].split())
            shown["error"] = line if len(line) <= MOST_ERROR_CHARACTERS else f"{line[:MOST_ERROR_CHARACTERS]}..."
        typer.echo("  ".join(f"{key}={value}" for key, value in shown.items()))


def _print_dry_run(chosen: Sequence[Image], preference: str, *, as_json: bool) -> None:
    """Print what would be built and fetched. Asks no engine and no index; says where no nightly was chosen yet."""
    from harness.images.build_plan import image_data, image_lines
    from harness.images.nightlies import with_kept_day

    chosen = [with_kept_day(image) for image in chosen]
    if as_json:
        output.print_json([image_data(image) for image in chosen])
    else:
        typer.echo("\n\n".join("\n".join(image_lines(image, preference)) for image in chosen))


def _prune(names: Collection[str], current: Sequence[Recipe], refusals: opening.Refusals, *, open_engine: OpenEngine) -> None:
    """Remove from these engines what is no longer current, and say how much that freed."""
    from harness.campaign.recovery import campaign_lock
    from harness.images.built import prune_engine, removed_text

    with refusals.told("not pruned"), campaign_lock():  # so that no launch or build that began since loses its image
        for name in sorted(names):
            with refusals.told(name), closing(open_engine(name)) as opened, refusals.told(opened.record.name):
                output.talk(removed_text(prune_engine(opened, current)))


def _build(
    known: Catalog, chosen: tuple[Image, ...], preference: str, *, open_engine: OpenEngine, again: bool, jobs: int
) -> list[dict[str, Any]]:
    """Build images and store the builds that fail. Returns a row for each image: what became of it."""
    from harness.campaign.campaign import Campaign
    from harness.campaign.request import BenchRequest, engine_name
    from harness.catalog.select import default_profile
    from harness.images.build import build_all, build_log, recipe_of
    from harness.images.disk_space import Room
    from harness.inputs.gather import unread_sample
    from harness.records.plan import Settings
    from harness.secrets import clean_text

    recipes = {image.name: recipe_of(image) for image in chosen}
    rows: dict[str, dict[str, Any]] = {
        name: {"image": name, "recipe": recipe.hash, "tag": recipe.tag, "log": str(build_log(recipe))}
        for name, recipe in recipes.items()
    }
    progress = output.show_progress(of_builds=True)
    request = BenchRequest(
        images=chosen,
        gfx=None,
        profile=default_profile(known),
        inputs=(unread_sample(known),),
        engine=preference,
        launches=0,
        settings=Settings(),
    )
    campaign = Campaign(request, known, opening.open_store(), open_engine=open_engine, observer=progress)
    outcomes = build_all(
        chosen,
        open_engine=lambda image: open_engine(engine_name(image, preference)),
        say=progress.say,
        announce=progress.announce,
        room=Room(progress.announce),
        again=again,
        jobs=jobs,
    )
    try:
        if len(chosen) > 1:
            for line in _plan(chosen, preference, open_engine=open_engine, again=again):
                progress.announce(line)
        for outcome in campaign.build(outcomes):
            if outcome.built is not None:
                rows[outcome.image.name]["id"] = outcome.built.id
            else:
                rows[outcome.image.name] |= {"error": clean_text(outcome.message), "cause": outcome.cause}
                for line in _failure_lines(outcome):
                    progress.announce(line)
    finally:
        progress.stop()
    return list(rows.values())


def _failure_lines(outcome: BuildOutcome) -> Iterator[str]:
    """Why a build failed, the end of its log, and what is known of such a failure."""
    from harness.failures.recognise import recognise

    yield f"{outcome.image.name}: the build failed: {outcome.message}"
    for line in outcome.log_tail.splitlines()[-MOST_LOG_LINES:]:
        yield f"  | {line}"
    known_as = recognise((), f"{outcome.message}\n{outcome.log_tail}")
    if known_as is not None:
        yield f"known as {known_as.id}: {known_as.explanation}"
        yield f"fix: {known_as.fix}"


def _plan(chosen: Sequence[Image], preference: str, *, open_engine: OpenEngine, again: bool) -> list[str]:
    """What a build of several images will fetch and need; nothing where only one is left to build."""
    import msgspec

    from harness.campaign.request import engine_name
    from harness.images.build_plan import plan_lines, planned

    engines: dict[str, Engine] = {}
    plans = []
    with ExitStack() as opened:
        for image in chosen:
            name = engine_name(image, preference)
            with suppress(EngineError):  # its build will say so
                engines[name] = engines.get(name) or opened.enter_context(closing(open_engine(name)))
                plans.append(planned(image, engines[name]))
    if again:
        plans = [msgspec.structs.replace(plan, is_built=False) for plan in plans]
    return plan_lines(plans) if sum(not plan.is_built for plan in plans) > 1 else []
