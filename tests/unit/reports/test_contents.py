"""The list of sections, and what every section keeps whatever a container says. The launches are made up: nothing was measured."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

import markdown_it
import pytest

from harness.records.price import Price
from reports.contents import SECTIONS, sections_of
from reports.markdown.draw import draw_section, draw_table
from reports.page import page_of
from reports.table import Section, Table, tables_of
from reports.terminal.draw import print_section, print_table
from tests.unit.reports.full_store import MARK, full_store

HOSTILE = (
    "a|b\\|c",
    "a\n```\n# heading\n| --- |",
    "`code` **bold** ~~struck~~ $x$",
    "<script>alert(1)</script>",
    "[link](https://example.org) @somebody www.example.org",
    "red \x1b[31m \x9b2J \u202e reversed \x00",
)

NOT_A_SECTION = {"__init__", "hardware"}
"""Modules beside the sections that only help one"""


@cache
def sections_with(text: str) -> tuple[Section, ...]:
    return sections_of(page_of(full_store(text), Price(per_kwh=0.3, per_hour=2.0)))


@cache
def tables_with(text: str) -> tuple[Table, ...]:
    return tuple(table for section in sections_with(text) for table in tables_of(section))


def shape(markdown: str) -> list[str]:
    """What a page is made of, without its words: a text that broke out of its place would change it."""
    kinds = []
    for token in markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        kinds.append(token.type)
        kinds += [f"  {child.type}" for child in token.children or () if child.type not in ("text", "text_special")]
    return kinds


def test_every_section_is_in_the_list_once(repository: Path) -> None:
    modules = {path.stem for path in (repository / "reports" / "sections").glob("*.py")} - NOT_A_SECTION
    assert sorted(SECTIONS) == sorted(modules), "add it to SECTIONS of reports/contents.py"


def test_every_section_has_something_to_say_of_the_full_store_and_almost_none_of_an_empty_one() -> None:
    assert len(sections_with(MARK)) == len(SECTIONS)
    assert len(sections_of(page_of(()))) == 1


def test_every_table_has_a_title_a_question_and_a_row_for_the_full_store() -> None:
    for table in tables_with(MARK):
        assert table.title
        assert table.answers.endswith(("?", ".")), table.title
        assert len(table.answers) < 100, table.title
        assert table.rows, table.title


@pytest.mark.parametrize("text", [MARK, *HOSTILE], ids=repr)
def test_every_table_has_as_many_cells_as_columns_in_markdown(text: str) -> None:
    for table in tables_with(text):
        lines = [line for line in draw_table(table).splitlines() if line.startswith("|")]
        assert len(lines) == 2 + len(table.rows)
        counts = {line.replace("\\\\", "").replace("\\|", "").count("|") for line in lines}
        assert counts == {len(table.columns) + 1}, table.title


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_no_text_changes_what_a_section_is_made_of_in_markdown(text: str) -> None:
    for tame, hostile in zip(sections_with(MARK), sections_with(text), strict=True):
        assert shape(draw_section(hostile)) == shape(draw_section(tame)), hostile.title


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_no_text_begins_a_line_of_its_own_on_the_terminal_or_commands_it(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for section in sections_with(text):
        print_section(section)
        printed = capsys.readouterr().out
        assert not [line for line in printed.splitlines() if line.startswith(("#", "```", "| ---"))], section.title
        assert [sign for sign in printed if unicodedata.category(sign) in ("Cc", "Cf") and sign != "\n"] == []


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_every_table_has_as_many_cells_as_columns_where_it_is_piped_on(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for table in tables_with(text):
        print_table(table)
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        assert {line.replace("\\|", "").count("|") for line in lines} == {len(table.columns) + 1}, table.title
