"""What a section gives and every renderer draws: words, tables and blocks, as plain data.

Text is a ``str`` or a `Span`. A plain ``str`` may come out of a container, so each renderer escapes it; what is marked as our own
says so in its style. Nothing here is escaped, and nothing here knows Markdown, a terminal or HTML.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Style = Literal["text", "number", "code", "strong", "prose", "source"]
"""``text``: anybody's words. ``number``: made from numbers by `reports.values`. ``code``, ``strong``: anybody's words, so drawn. ``prose``: our own
sentences, in which backticks are code and two stars are strong. ``source``: from our own files; an address
may be a link."""


class Span(msgspec.Struct, frozen=True):
    """Some words in one style."""

    text: str
    style: Style = "text"
    is_struck: bool = False
    """A figure of a wrong output"""


Inline = str | Span | tuple[str | Span, ...]
"""A cell of a table, an item of a list, or a line of a paragraph."""


class Column(msgspec.Struct, frozen=True):
    """The head of a column. Each cell names its own unit."""

    title: str | Span
    alignment: Literal["left", "right"] = "left"
    dispensable: int | None = None
    """Where a terminal is too narrow for all, the columns with the lowest numbers are left out first; ``None``: never"""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table. Raises `ValueError` where a row has more or fewer cells than there are columns."""

    title: str
    answers: str
    """The question that it answers, in one sentence"""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Inline, ...], ...]
    notes: tuple[Inline, ...] = ()
    """A list below it"""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row)} cells under {len(self.columns)} columns: {row}")


class Paragraph(msgspec.Struct, frozen=True):
    """Sentences, which may be on several lines."""

    lines: tuple[Inline, ...]


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """A list."""

    items: tuple[Inline, ...]
    lead: Inline = ""
    """The line that it belongs to, directly above it; empty: none"""


class Listing(msgspec.Struct, frozen=True):
    """Lines as they are, such as a log."""

    text: str
    language: str = "text"


class Section(msgspec.Struct, frozen=True):
    """A heading and what is below it. An empty title is no heading."""

    title: str
    blocks: tuple[Block, ...]


Block = Paragraph | Items | Listing | Table | Section


def tables_of(section: Section) -> tuple[Table, ...]:
    """All tables of a section, those of the sections within it included."""
    found: list[Table] = []
    for block in section.blocks:
        if isinstance(block, Table):
            found.append(block)
        elif isinstance(block, Section):
            found += tables_of(block)
    return tuple(found)


def turned(table: Table, first: str, *, subject: int = 3) -> Table:
    """A table with a row for each column after the ``subject`` ones, which head the new columns; ``first`` heads the names."""
    heads = (Column(" ".join(span.text for cell in row[:subject] for span in spans_of(cell))) for row in table.rows)
    return Table(
        title=table.title,
        answers=table.answers,
        columns=(Column(first), *heads),
        rows=tuple(
            (column.title, *(row[number] for row in table.rows))
            for number, column in enumerate(table.columns)
            if number >= subject
        ),
        notes=table.notes,
    )


def code(text: object) -> Span:
    """Anybody's words, as code."""
    return Span(str(text), "code")


def strong(text: str) -> Span:
    """Anybody's words, strong."""
    return Span(text, "strong")


def prose(text: str) -> Span:
    """Our own sentences, with backticks and stars."""
    return Span(text, "prose")


def paragraph(*lines: Inline) -> Paragraph:
    """Sentences, each line as it is given."""
    return Paragraph(lines)


def titled(table: Table) -> Section:
    """A table below a heading of its own."""
    return Section(table.title, (table,))


def spans_of(content: Inline) -> tuple[Span, ...]:
    """Words of any form as spans."""
    parts = content if isinstance(content, tuple) else (content,)
    return tuple(Span(part) if isinstance(part, str) else part for part in parts)


def joined(parts: tuple[Inline, ...], separator: str = ", ") -> tuple[str | Span, ...]:
    """Words with something between each two."""
    found: list[str | Span] = []
    for number, part in enumerate(parts):
        found += [separator] if number else []
        found += spans_of(part)
    return tuple(found)
