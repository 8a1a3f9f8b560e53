"""The sections of the page, and what each gives to its template."""

from __future__ import annotations

from collections import Counter

from reports.markdown.render import FILTERS, SECTIONS
from reports.page import page_of


def test_no_two_sections_give_one_name() -> None:
    given = Counter(name for each in SECTIONS for name in each.section(page_of([])))
    assert [name for name, count in given.items() if count > 1] == []


def test_no_two_sections_give_one_filter() -> None:
    given = Counter([*FILTERS, *(name for each in SECTIONS for name in getattr(each, "FILTERS", {}))])
    assert [name for name, count in given.items() if count > 1] == []
