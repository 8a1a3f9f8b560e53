"""A table's cells as plain text, for tests."""

from __future__ import annotations

from reports.table import Inline, Table, spans_of


def plain(words: Inline) -> str:
    return "".join(span.text for span in spans_of(words))


def heads_of(table: Table) -> tuple[str, ...]:
    return tuple(plain(column.title) for column in table.columns)


def cells_of(table: Table, row: int = 0) -> tuple[str, ...]:
    return tuple(map(plain, table.rows[row]))


def by_head(table: Table, row: int = 0) -> dict[str, str]:
    """The cells of one row under their heads."""
    return dict(zip(heads_of(table), cells_of(table, row), strict=True))
