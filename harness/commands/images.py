"""`images`: what was built, and making room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from harness import places
from harness.catalog import load
from harness.commands import common, options
from harness.errors import EngineError, UsageError

if TYPE_CHECKING:
    from harness.engines.base import Engine, Recipe, StoredImage


@common.app.command("images")
def show_images(
    engine: options.EngineOption = "auto",
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what was built of recipes that the catalog no longer has, and build stages.")
    ] = False,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="Remove an image, current or not; may be given again.", metavar="IMAGE")
    ] = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the images that are built here, with their sizes and last use, or make room. An engine that refuses stops no other
    and ends with exit 3."""
    from harness.campaign.recovery import campaign_lock
    from harness.commands.arguments import parse_engine
    from harness.images.built import current_recipes

    preference = parse_engine(engine)
    current = current_recipes(load.load_catalog(catalogs or ()))
    opened = _open_all(("podman", "docker", "local") if preference == "auto" else (preference,))
    refusals = common.Refusals()
    try:
        if prune or remove:
            with campaign_lock():  # none is taken from under a launch or a build
                if remove:
                    _remove(opened, set(remove), refusals)
                if prune:
                    _prune(opened, current, refusals)
        _show(opened, current, refusals, as_json=as_json)
    finally:
        for each in opened:
            each.close()
    refusals.end()


def _open_all(names: Sequence[str]) -> list[Engine]:
    """The engines that are here; why another is not is said. Raises `EngineError` where none of these is."""
    opened: list[Engine] = []
    for name in names:
        try:
            opened.append(common.open_engine(name))
        except EngineError as error:
            if len(names) == 1:
                raise
            common.talk(f"skipped {name}: {error}")
    return opened


def _remove(opened: Sequence[Engine], names: set[str], refusals: common.Refusals) -> None:
    """Remove images by their names and say what that freed. Raises `UsageError` for a name that no engine has."""
    from harness.images.built import remove_images, removed_text

    found: dict[Engine, list[StoredImage]] = {}
    for engine in opened:
        with refusals.told(engine.record.name):
            found[engine] = [image for image in engine.list_built() if {image.image, image.name} & names]
    there = {name for images in found.values() for image in images for name in (image.image, image.name)}
    missing = sorted(names - there)
    if missing and not refusals.happened:
        raise UsageError(f"no built image is called {' or '.join(missing)}: `strixbench images` shows all")
    for engine, images in found.items():
        if images:
            with refusals.told(engine.record.name):
                common.talk(removed_text(remove_images(engine, {image.name for image in images})))


def _prune(opened: Sequence[Engine], current: Sequence[Recipe], refusals: common.Refusals) -> None:
    """Remove what no recipe of the catalog builds any more, and say what that freed."""
    from harness.images.built import prune_engine, removed_text

    for engine in opened:
        with refusals.told(engine.record.name):
            common.talk(removed_text(prune_engine(engine, current)))


def _show(opened: Sequence[Engine], current: Sequence[Recipe], refusals: common.Refusals, *, as_json: bool) -> None:
    """The images of these engines, to stdout; an engine that does not answer is named."""
    from harness.images.built import built_rows, last_uses
    from harness.records.store import store_exists
    from harness.text import counted
    from reports.terminal.launches import print_built

    used = last_uses(common.open_store().launches()) if store_exists(places.store_url()) else {}
    rows = []
    for engine in opened:
        with refusals.told(engine.record.name):
            rows += built_rows(engine.record.name, engine.list_built(), current, used)
    if as_json:
        common.print_json([row.data for row in rows])
    elif rows:
        print_built([row.cells for row in rows])
    names = ", ".join(engine.record.name for engine in opened) or "no engine"
    common.talk(f"{counted(len(rows), 'image')} in {names}; a size has the base in it, which images may share")
