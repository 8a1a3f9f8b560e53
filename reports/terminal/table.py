"""A table on the terminal; a Markdown table where stdout is not a terminal, so that it can be piped on."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.text import printable

_WIDE = 400
"""Columns to use where there is no terminal to fit into"""

_DISPENSABLE = (
    *("Memory", "Load", "Cold", "PyTorch", "Speakers"),
    *("Workload", "p (sign-flip)", "p", "Null test here", "GFX"),
)
"""The columns that are left out, in this order, where a terminal is too narrow for all"""


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal; where there is none, a Markdown table without trailing blanks."""
    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else _WIDE)
    left_out: list[str] = []
    while True:
        shown = [number for number, column in enumerate(columns) if column not in left_out]
        table = Table(box=box.ROUNDED if terminal else box.MARKDOWN)
        for number in shown:
            table.add_column(columns[number], overflow="fold")
        for row in rows:
            words = [printable(row[number]) for number in shown]  # text out of a container starts no lines of its own
            table.add_row(*(Text(word if terminal else word.replace("|", "\\|")) for word in words))
        dispensable = [column for column in _DISPENSABLE if column in columns and column not in left_out]
        if not dispensable or Measurement.get(console, console.options.update(width=_WIDE), table).maximum <= console.width:
            break
        left_out.append(dispensable[0])
    with console.capture() as captured:
        console.print(table)
    print(f"{printable(title)}\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines() if line.strip()))
