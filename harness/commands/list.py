"""`list`: the images of the catalog, their configurations, and the knobs."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, Any

import typer

from harness.commands import options
from harness.commands.app import app
from harness.commands.output import print_json


@app.command("list")
def list_images(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Globs on images, or with a / on configurations.", metavar="PATTERN")
    ] = None,
    knobs: Annotated[bool, typer.Option("--knobs", help="Show what `bench --vary` and `--set` take.")] = False,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the images and what they are pinned to.

    With a pattern that has a /, shows the configurations, as image/variant/pipeline/audio.
    """
    from harness.catalog.load import load_catalog
    from harness.commands.catalog_table import (
        cell_rows,
        image_rows,
        knob_rows,
        select_rows,
        write_cells,
        write_images,
        write_knobs,
    )

    known = load_catalog(catalogs or ())
    lines: list[str] = []
    rows: list[dict[str, Any]]
    if knobs:
        rows = select_rows(knob_rows(known), patterns, known)
        lines = write_knobs(rows)
    elif patterns and any("/" in pattern for pattern in patterns):
        rows = select_rows(cell_rows(known), patterns, known)
        lines = write_cells(rows)
    else:
        rows = select_rows(image_rows(known), patterns, known)
        lines = write_images(rows, width=shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    if as_json:
        print_json(rows)
        return
    for line in lines:
        typer.echo(line)
