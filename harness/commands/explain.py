"""`explain`: the cause of a failure."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.commands import opening, options, output
from harness.commands.app import app


@app.command()
def explain(
    failure: Annotated[
        str, typer.Argument(help="A launch's id, a file with a traceback or a log, or - for stdin.", metavar="LAUNCH|FILE|-")
    ],
    as_json: options.AsJson = False,
) -> None:
    """Explain a failure: its true cause, and what to do. Exit code 0: known, or nothing failed; 1: no known cause fits."""
    import shutil

    from harness.commands.arguments import read_pasted
    from harness.verdict.explain import explain_launch, explain_text
    from reports.terminal.explanation import explanation_data, explanation_lines

    if failure == "-" or Path(failure).exists():
        explanation = explain_text(read_pasted(failure, say=output.talk))
    else:
        explanation = explain_launch(opening.find_launch(failure, or_else=" and no such file"))
    if as_json:
        output.print_json(explanation_data(explanation))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        typer.echo("\n".join(explanation_lines(explanation, width=width)))
    if explanation.failed and explanation.match is None:
        raise typer.Exit(1)
