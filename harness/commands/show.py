"""`show`: one launch of the store."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands import options
from harness.commands.app import app
from harness.commands.opening import find_launch
from harness.commands.output import print_json


@app.command()
def show(
    launch: Annotated[str, typer.Argument(help="A launch's id, or the beginning of one.", metavar="LAUNCH")],
    as_json: options.AsJson = False,
) -> None:
    """Show one launch as it was recorded."""
    import msgspec

    from reports.terminal.launches import print_launch

    found = find_launch(launch)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    print_launch(found)
