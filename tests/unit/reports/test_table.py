"""Tables as plain data."""

from __future__ import annotations

import pytest

from reports.table import Column, Section, Table, code, joined, paragraph, tables_of, turned
from tests.unit.reports.drawn import cells_of, heads_of, plain


def a_table(*rows: tuple[str, ...], title: str = "Images") -> Table:
    heads = (Column("Image"), Column("Engine"), Column("Time", "right"), Column("Status"))
    return Table(title=title, answers="Which is fast?", columns=heads, rows=rows)


@pytest.mark.parametrize("row", [(), ("cpu",), ("cpu", "podman", "1 s", "PASS", "more")])
def test_a_row_with_too_few_or_too_many_cells_is_no_table(row: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"Images: {len(row)} cells under 4 columns"):
        a_table(row)


def test_a_turned_table_has_a_column_for_each_row() -> None:
    table = turned(a_table(("cpu", "podman", "1 s", "PASS"), ("rocm", "docker", "2 s", "FAIL")), "What", subject=2)
    assert heads_of(table) == ("What", "cpu podman", "rocm docker")
    assert [cells_of(table, row) for row in range(2)] == [("Time", "1 s", "2 s"), ("Status", "PASS", "FAIL")]
    assert (table.title, table.answers) == ("Images", "Which is fast?")


def test_the_tables_of_a_section_are_those_within_it_too() -> None:
    first, second, third = (a_table(title=title) for title in ("1", "2", "3"))
    section = Section("all", (first, paragraph("text"), Section("below", (second, Section("deeper", (third,))))))
    assert tables_of(section) == (first, second, third)


def test_words_are_joined_with_what_they_are() -> None:
    words = joined((code("a"), "b", code("c")))
    assert plain(words) == "a, b, c"
    assert words[0] == code("a")
    assert joined(()) == ()
