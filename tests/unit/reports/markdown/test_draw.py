"""Words, tables and sections in Markdown."""

from __future__ import annotations

import pytest

from reports.markdown.draw import draw_section, draw_table, draw_words
from reports.table import Column, Inline, Items, Listing, Section, Span, Table, code, paragraph, prose, strong, titled
from reports.values import number


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        ("a|b *c*", "a\\|b \\*c\\*"),
        (code("a|b"), "`a¦b`"),
        (strong("a*b"), "**a\\*b**"),
        (number("2.05 s [1.98, 2.11]"), "2.05 s [1.98, 2.11]"),
        (number("2.05 s", is_struck=True), "~~2.05 s~~"),
        (number("-", is_struck=True), "-"),
        (prose("`bench` is **cold**"), "`bench` is **cold**"),
        (Span("https://example.org/a_b", "source"), "<https://example.org/a_b>"),
        (Span("reproduced *here*", "source"), "reproduced \\*here\\*"),
        (("Launch ", code("x"), ":\n", "  said  "), "Launch `x`: said"),
        ("", ""),
    ],
)
def test_words_are_drawn_as_what_they_are(words: Inline, drawn: str) -> None:
    assert draw_words(words) == drawn


def test_a_table_has_its_notes_below_it() -> None:
    columns = (Column(code("vm_hwm")), Column("n", "right"))
    table = Table(title="T", answers="?", columns=columns, rows=(("a", "1"), ("b", "2")), notes=("one", "two"))
    assert draw_table(table) == "| `vm_hwm` | n |\n| --- | --- |\n| a | 1 |\n| b | 2 |\n\n- one\n- two"


def test_a_section_within_a_section_has_a_lower_heading_and_a_blank_line_parts_its_blocks() -> None:
    table = Table(title="Image_1", answers="?", columns=(Column("A"),), rows=(("b",),))
    blocks = (paragraph("one", "two"), Items(lead="Led:", items=("x", "y")), Listing("```", "sh"), titled(table))
    assert draw_section(Section("Title", blocks)) == (
        "## Title\n\none\ntwo\n\nLed:\n- x\n- y\n\n````sh\n```\n````\n\n### Image\\_1\n\n| A |\n| --- |\n| b |"
    )
    assert draw_section(Section("", (paragraph("text"),))) == "text"
