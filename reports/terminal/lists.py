"""Tables that only the terminal shows: kept caches, built images, and the relaxations that an image needs."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.relaxation_trials import Trial
from reports.table import Column, Table
from reports.terminal.draw import print_table


def print_caches(rows: Sequence[tuple[str, ...]]) -> None:
    """Kept kernel caches, to stdout."""
    heads = ("Cache", "Engine", "Driver", "Files", "Size", "Remark")
    _print("Kernel caches", "Which compiled kernels are kept, and for what?", heads, rows)


def print_built(rows: Sequence[tuple[str, ...]]) -> None:
    """Images that we built, to stdout."""
    heads = ("Image", "Engine", "Recipe", "Size", "Created", "Last used")
    _print("Built images", "Which images are built, and when were they last used?", heads, rows)


def print_trials(image: str, trials: Sequence[Trial]) -> None:
    """Which relaxations an image needs, to stdout."""
    rows = [(trial.flags, trial.need, trial.because) for trial in trials]
    title = f"{image}: each relaxation left out alone, and the least alone"
    _print(title, "Which relaxations of its isolation does this image need?", ("Left out", "Result", "Because"), rows)


def _print(title: str, answers: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    print_table(Table(title=title, answers=answers, columns=tuple(map(Column, heads)), rows=tuple(rows)))
