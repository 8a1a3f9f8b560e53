"""`show`: one launch of the store."""

from typing import Annotated

import typer

from harness.commands import opening, options, output
from harness.commands.app import app


@app.command()
def show(
    launch: Annotated[str, typer.Argument(help="A launch's id, or the beginning of one.", metavar="LAUNCH")],
    as_json: options.AsJson = False,
) -> None:
    """Show one launch as it was recorded."""
    from reports.terminal.launch import print_launch

    found = opening.find_launch(launch)
    if as_json:
        output.print_json(found)
    else:
        print_launch(found)
