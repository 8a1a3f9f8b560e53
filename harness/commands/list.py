"""`list`: the images of the catalog, their configurations, and the knobs."""

import shutil
import sys
from typing import Annotated

import typer

from harness.commands import options, output
from harness.commands.app import app


@app.command("list")
def list_images(
    patterns: Annotated[
        list[str] | None, typer.Argument(help="Patterns for images, or with a / for configurations.", metavar="PATTERN...")
    ] = None,
    knobs: Annotated[bool, typer.Option("--knobs", help="Show what `bench --vary` and `--set` take.")] = False,
    catalogs: options.Catalogs = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the images and what they are pinned to. A pattern with a / shows configurations, such as rocm72/gfx1100/3.1/sample-30s."""
    from harness.catalog.load import load_catalog
    from harness.commands import catalog_table as table

    known = load_catalog(catalogs or ())
    if knobs:
        rows = table.select_rows(table.knob_rows(known), patterns, known)
        lines = table.write_knobs(rows)
    elif patterns and any("/" in pattern for pattern in patterns):
        rows = table.select_rows(table.cell_rows(known), patterns, known)
        lines = table.write_cells(rows)
    else:
        rows = table.select_rows(table.image_rows(known), patterns, known)
        lines = table.write_images(rows, width=shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
    if as_json:
        output.print_json(rows)
    else:
        typer.echo("\n".join(lines))
