"""The sections of the page: each is known to the templates, and each template is in the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.markdown import render
from reports.markdown.render import CALLED

TEMPLATES_FOLDER = Path(render.__file__).parent / "templates"
TEMPLATES = sorted(TEMPLATES_FOLDER.glob("_*.jinja"))


def test_every_section_can_be_called_by_a_template(repository: Path) -> None:
    modules = {path.stem for path in (repository / "reports" / "sections").glob("*.py")} - {"__init__"}
    called = {each.__name__.rpartition(".")[2] for each in CALLED}
    assert modules - called == set(), "add it to CALLED of reports/markdown/render.py"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_template_is_in_the_page(template: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in TEMPLATES_FOLDER.glob("*.jinja")]
    assert any(f'"{template.name}"' in page for page in pages), f"include {template.name} in BENCHMARKS.md.jinja"
