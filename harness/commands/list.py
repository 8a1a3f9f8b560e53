"""`strixbench list`."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, Any

import typer

from harness.catalog import load
from harness.commands import common, options


@common.app.command("list")
def list_images(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Globs on images, or with a / on cells.", metavar="PATTERN")
    ] = None,
    knobs: Annotated[bool, typer.Option("--knobs", help="Show what `bench --vary` and `--set` take.")] = False,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the images and what they are pinned to; with a pattern that has a /, the cells image/variant/pipeline/audio."""
    from harness.commands.listing import cell_rows, image_rows, knob_rows, select_rows, write_cells, write_images, write_knobs

    known = load.load_catalog(catalogs or ())
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
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        lines = [] if as_json else write_images(rows, width=width)
    if as_json:
        common.print_json(rows)
    for line in lines:
        typer.echo(line)
