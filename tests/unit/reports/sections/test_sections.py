"""The sections of the page, and what each gives to its template."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from reports.markdown import render
from reports.markdown.render import FILTERS, SECTIONS
from reports.page import page_of

TEMPLATES_FOLDER = Path(render.__file__).parent / "templates"
TEMPLATES = sorted(TEMPLATES_FOLDER.glob("_*.jinja"))


def test_every_section_is_registered(repository: Path) -> None:
    modules = {path.stem for path in (repository / "reports" / "sections").glob("*.py")} - {"__init__"}
    assert modules == {each.__name__.rpartition(".")[2] for each in SECTIONS}, (
        "add it to SECTIONS of reports/markdown/render.py"
    )


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_template_is_in_the_page(template: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in TEMPLATES_FOLDER.glob("*.jinja")]
    assert any(f'"{template.name}"' in page for page in pages), f"include {template.name} in BENCHMARKS.md.jinja"


def test_no_two_sections_give_one_name() -> None:
    given = Counter(name for each in SECTIONS for name in each.section(page_of([])))
    assert [name for name, count in given.items() if count > 1] == []


def test_no_two_sections_give_one_filter() -> None:
    given = Counter([*FILTERS, *(name for each in SECTIONS for name in getattr(each, "FILTERS", {}))])
    assert [name for name, count in given.items() if count > 1] == []
