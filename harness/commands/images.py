"""`images`: what is built here, and room for more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from harness.commands import opening, options, output
from harness.commands.app import app
from harness.errors import EngineError, HostError, UsageError

if TYPE_CHECKING:
    from harness.campaign.request import OpenEngine
    from harness.engines.base import Engine, Recipe, StoredImage


@app.command("images")
def show_images(
    context: typer.Context,
    engine: options.EngineOption = "auto",
    prune: Annotated[bool, typer.Option("--prune", help="Remove outdated images and leftover build stages.")] = False,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", help="Remove an image, current or not; repeatable.", metavar="IMAGE")
    ] = None,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the images that are built here, or remove some. If an engine refuses, the others go on, and the exit code is 3."""
    from harness.campaign.recovery import campaign_lock
    from harness.catalog.load import load_catalog
    from harness.commands.arguments import parse_engine
    from harness.images.built import current_recipes, prune_engine, removed_text

    preference = parse_engine(engine)
    current = current_recipes(load_catalog(catalogs or ()))
    names = ("podman", "docker", "local") if preference == "auto" else (preference,)
    refusals = opening.Refusals()
    with ExitStack() as stack:
        opened = _open_all(names, stack, open_engine=context.obj)
        if prune or remove:
            with campaign_lock():  # so that no launch or build loses its image
                if remove:
                    _remove(opened, set(remove), refusals)
                for each in opened if prune else ():
                    with refusals.told(each.record.name):
                        output.talk(removed_text(prune_engine(each, current)))
        _show(opened, current, refusals, as_json=as_json)
    if refusals.happened:
        raise typer.Exit(HostError.exit_code)


def _open_all(names: Sequence[str], stack: ExitStack, *, open_engine: OpenEngine) -> list[Engine]:
    """The engines that are here; says why another is not. Raises `EngineError` where the only one is not."""
    opened: list[Engine] = []
    for name in names:
        try:
            opened.append(stack.enter_context(closing(open_engine(name))))
        except EngineError as error:
            if len(names) == 1:
                raise
            output.talk(f"skipped {name}: {error}")
    return opened


def _remove(opened: Sequence[Engine], names: set[str], refusals: opening.Refusals) -> None:
    """Remove images by name, and say how much that freed. Raises `UsageError` for a name that no engine has."""
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
                output.talk(removed_text(remove_images(engine, {image.name for image in images})))


def _show(opened: Sequence[Engine], current: Sequence[Recipe], refusals: opening.Refusals, *, as_json: bool) -> None:
    """Print the images of these engines; names an engine that does not answer."""
    from harness.images.built import built_rows, last_uses
    from harness.text import counted
    from reports.terminal.lists import print_built

    used = last_uses(opening.stored_launches())
    rows = []
    for engine in opened:
        with refusals.told(engine.record.name):
            rows += built_rows(engine.record.name, engine.list_built(), current, used)
    if as_json:
        output.print_json([row.data for row in rows])
    elif rows:
        print_built([row.cells for row in rows])
    names = ", ".join(engine.record.name for engine in opened) or "no engine"
    output.talk(f"{counted(len(rows), 'image')} in {names}; each size includes the base, which images may share")
