"""Launches -> BENCHMARKS.md. The same store gives the same bytes: there is no clock, and no order but the data's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import jinja2

from harness.records.launch import Launch
from harness.records.price import NO_PRICE, Price
from reports.contents import sections_of
from reports.markdown.draw import draw_section
from reports.page import page_of


def render_benchmarks(launches: Sequence[Launch], price: Price = NO_PRICE) -> str:
    """The whole page. Text that came out of a container is escaped. Costs are shown where a price is given."""
    page = page_of(launches, price)
    return _template().render(title=page.title, sections=sections_of(page))


@functools.cache
def _template() -> jinja2.Template:
    """The page's template, compiled once a process."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, not HTML: `draw_section` escapes
    )
    environment.filters["markdown"] = draw_section
    return environment.get_template("BENCHMARKS.md.jinja")
