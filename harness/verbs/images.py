"""`list` and `build`: what there is, and making it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import catalog
from harness.errors import HostError, UsageError
from harness.verbs import base

if TYPE_CHECKING:
    from harness.engines.base import Recipe


@base.app.command("list")
def list_images(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Globs on images, or with a / on cells.", metavar="PATTERN")
    ] = None,
    knobs: Annotated[bool, typer.Option("--knobs", help="Show what `bench --vary` and `--set` take.")] = False,
    catalogs: base.Catalogs = None,
    as_json: base.AsJson = False,
) -> None:
    """Show the images and what they are pinned to; with a pattern that has a /, the cells image/variant/pipeline/audio."""
    from harness.listing import cell_rows, image_rows, knob_rows, select_rows, write_cells, write_images, write_knobs

    known = catalog.load_catalog(catalogs or ())
    if knobs:
        found = select_rows(knob_rows(known), patterns, known) if patterns else knob_rows(known)
        lines = [] if as_json else write_knobs(found)
        rows: list[dict[str, Any]] = found
    elif patterns and any("/" in pattern for pattern in patterns):
        cells = select_rows(cell_rows(known), patterns, known)
        lines = [] if as_json else write_cells(cells)
        rows = cells
    else:
        rows = select_rows(image_rows(known), patterns, known) if patterns else image_rows(known)
        lines = [] if as_json else write_images(rows)
    if as_json:
        base.print_json(rows)
    for line in lines:
        typer.echo(line)


@base.app.command("build")
def build_images(
    images: base.Images = None,
    engine: base.EngineOption = "auto",
    portable: base.PortableOption = False,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Build so many at once.", metavar="N")] = 1,
    wheelhouse: Annotated[
        Path | None, typer.Option("--wheelhouse", help="A folder of wheels to look into first.", metavar="DIR")
    ] = None,
    catalogs: base.Catalogs = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be built.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Build also what is built already.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Then remove images of recipes that are no longer current.")] = False,
    as_json: base.AsJson = False,
) -> None:
    """Build images; one that is already built of the same recipe is left alone, and a failure does not stop the others."""
    from harness.build import build_log, recipe_of
    from harness.inputs import choose_images, parse_engine, with_wheelhouse
    from harness.request import engine_name

    preference = parse_engine(engine)
    known = catalog.load_catalog(catalogs or ())
    chosen = choose_images(known, images or [base.DEFAULT_IMAGE], family=None, as_portable=portable)
    chosen = with_wheelhouse(chosen, wheelhouse)
    for image in chosen:
        if image.reference is not None:
            raise UsageError(f"{image.reference} was built elsewhere: there is nothing to build, `strixbench bench` runs it")
        engine_name(image, preference)
    recipes = {image.name: recipe_of(image) for image in chosen}
    outcome: list[dict[str, Any]] = [
        {"image": name, "recipe": recipe.hash, "tag": recipe.tag, "log": str(build_log(recipe))}
        for name, recipe in recipes.items()
    ]
    is_environments = False
    if dry_run:
        for row, recipe in zip(outcome, recipes.values(), strict=True):
            row |= {"arguments": dict(recipe.arguments), "files": sorted(recipe.files)}
    else:
        current = (*recipes.values(), *_current_recipes(known)) if prune else ()  # a row that has none is refused at once
        is_environments = _build(known, chosen, preference, outcome, again=again, jobs=jobs)
        if prune:
            _prune({engine_name(image, preference) for image in chosen}, current)
    if as_json:
        base.print_json(outcome)
    else:
        for row in outcome:
            typer.echo("  ".join(f"{key}={value}" for key, value in row.items()))
    if any("error" in row for row in outcome):
        raise typer.Exit(HostError.exit_code if is_environments else 1)


def _build(
    known: catalog.Catalog, chosen: tuple[catalog.Image, ...], preference: str, rows: list[dict[str, Any]], **how: Any
) -> bool:
    """Build them, add to each row what became of it, and store what failed; returns whether the environment failed one."""
    from harness.builds import build_all
    from harness.campaign import Campaign
    from harness.exchange import clean_text
    from harness.inputs import unread_sample
    from harness.launch import Settings
    from harness.request import Request, engine_name

    audio, found_models = unread_sample(known)
    progress = base.show_progress()
    campaign = Campaign(
        Request(
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
        base.open_store(),
        open_engine=base.open_engine,
        observer=progress,
    )
    outcomes = build_all(
        chosen,
        open_engine=lambda image: base.open_engine(engine_name(image, preference)),
        say=progress.say,
        announce=progress.announce,
        **how,
    )
    try:
        taken = campaign.build(outcomes)
        for outcome in taken:
            row = next(row for row in rows if row["image"] == outcome.image.name)
            if outcome.built is not None:
                row["id"] = outcome.built.id
            else:
                row["error"] = clean_text(outcome.message)
                progress.announce(f"{outcome.image.name}: the build failed: {outcome.message}\n{outcome.log_tail[-1500:]}")
    finally:
        progress.stop()
    return any(outcome.cause == "engine" for outcome in taken)


def _current_recipes(known: catalog.Catalog) -> tuple[Recipe, ...]:
    """Of all that the catalog says how to build. Raises `CatalogError`."""
    from harness.build import recipe_of

    images = [image for image in known.images.values() if image.reference is None]
    portable = [catalog.portable(image, known) for image in images if catalog.is_portable(image)]
    return tuple(recipe_of(image) for image in (*images, *portable))


def _prune(engines: set[str], current: Sequence[Recipe]) -> None:
    """Remove from these engines what was built of other recipes under the same names."""
    keep, names = {recipe.hash for recipe in current}, {recipe.image for recipe in current}
    for name in sorted(engines):
        engine = base.open_engine(name)
        try:
            removed = engine.remove_built(keep, names)
        finally:
            engine.close()
        base.talk(f"removed from {name}: {', '.join(removed) or 'nothing'}")
