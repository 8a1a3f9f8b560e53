"""A section or a table on the terminal; tables are Markdown where stdout is not a terminal, so that they can be piped on.

All text is made printable here: what came out of a container starts no line of its own and commands no terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from harness.text import printable, spelled_out
from reports.table import Block, Column, Inline, Items, Listing, Paragraph, Section, Table, spans_of

_WIDE = 400
"""Columns to use where there is no terminal to fit into"""


def print_section(section: Section) -> None:
    """Print a section's title and blocks, a blank line between each two."""
    print(printable(section.title))
    for block in section.blocks:
        print()
        _print_block(block, below=section.title)


def print_table(table: Table, *, below: str = "") -> None:
    """Print what a table is and answers, the table so that it fits the terminal, and its notes. ``below``: a title that was printed."""
    if table.title != below:
        print(printable(table.title))
    print(f"{table.answers}\n")
    print("\n".join(_lines(table)))
    for note in table.notes:
        print(f"- {words(note)}")


def words(content: Inline) -> str:
    """Words for a line or a cell."""
    return printable("".join(f"~~{span.text}~~" if span.is_struck else span.text for span in spans_of(content)))


def _print_block(block: Block, *, below: str) -> None:
    match block:
        case Section():
            print_section(block)
        case Table():
            print_table(block, below=below)
        case Paragraph():
            print("\n".join(map(words, block.lines)))
        case Listing():
            print("\n".join(f"  {spelled_out(line)}" for line in block.text.splitlines()))
        case Items():
            print("\n".join([*([words(block.lead)] if block.lead else []), *(f"- {words(item)}" for item in block.items)]))


def _lines(table: Table) -> list[str]:
    """The lines of a table that fits the terminal, without trailing blanks."""
    terminal = sys.stdout.isatty()
    console = Console(highlight=False, width=None if terminal else _WIDE)
    columns = list(enumerate(table.columns))
    dispensable = sorted((column.dispensable, number) for number, column in columns if column.dispensable is not None)
    while True:
        drawn = _drawn(table, columns, terminal=terminal)
        fits = Measurement.get(console, console.options.update(width=_WIDE), drawn).maximum <= console.width
        if fits or not dispensable:
            break
        _, out = dispensable.pop(0)
        columns = [(number, column) for number, column in columns if number != out]
    with console.capture() as captured:
        console.print(drawn)
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


def _drawn(table: Table, columns: Sequence[tuple[int, Column]], *, terminal: bool) -> RichTable:
    """Some columns of a table."""
    drawn = RichTable(box=box.ROUNDED if terminal else box.MARKDOWN)
    for _, column in columns:
        drawn.add_column(Text(words(column.title)), justify=column.alignment if terminal else "left", overflow="fold")
    for row in table.rows:
        cells = [words(row[number]) for number, _ in columns]
        drawn.add_row(*(Text(cell if terminal else cell.replace("|", "\\|")) for cell in cells))
    return drawn
