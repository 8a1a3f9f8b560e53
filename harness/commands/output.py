"""What the verbs print: results to stdout, talk and progress to stderr, and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from harness.errors import UsageError
from harness.text import one_line

if TYPE_CHECKING:
    from harness.commands.progress import Progress


def print_json(value: Any) -> None:
    """Print a result to stdout; it may hold records."""
    from msgspec import to_builtins

    typer.echo(json.dumps(to_builtins(value), indent=1))


def talk(text: str) -> None:
    """Print a line to stderr, because it is no result."""
    typer.echo(one_line(text), err=True)


def show_progress(*, of_builds: bool = False) -> Progress:
    """What a person sees on stderr during a run."""
    from rich.console import Console

    from harness.commands.progress import BuildProgress, Progress

    return (BuildProgress if of_builds else Progress)(Console(stderr=True, highlight=False))


def refuse_page(path: Path, option: str = "--report") -> None:
    """Raise `UsageError` where a page cannot be written, before anything is fetched or launched."""
    from reports.markdown.write import why_no_page

    if why := why_no_page(path):
        raise UsageError(f"{option} {path} {why}")
