"""Rows -> BENCHMARKS.md. The same store gives the same bytes: there is no clock, and no order but the data's."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from harness.analysis.intervals import Estimate
from harness.analysis.rows import by_name, rows_of
from harness.records.launch import Launch
from harness.records.price import NO_PRICE, Price
from harness.text import without_controls
from reports import tables
from reports.memory import memory_text
from reports.sections import (
    accuracy,
    agreement,
    calibrations,
    cold_and_warm,
    comparisons,
    cost,
    guest_memory,
    hardware,
    kernels,
    ladder,
    numeric_fingerprint,
    probes,
    repeats,
    results,
    telemetry,
    waterfall,
)

CALLED = (
    *(tables, results, hardware, cold_and_warm, waterfall, cost, repeats, telemetry, agreement, guest_memory),
    *(numeric_fingerprint, comparisons, ladder, calibrations, probes, accuracy, kernels),
)
"""The modules whose functions the templates call, each under its own name. The templates decide where their parts are."""

_ENTITY_OF = {
    **{sign: f"\\{sign}" for sign in "\\`*_{}[]#|~$"},
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "@": "&#64;",
}
"""Characters that mean something to Markdown, or to HTML in it, inside a line; ``@`` would notify a person on GitHub."""


def render_benchmarks(launches: Sequence[Launch], price: Price = NO_PRICE) -> str:
    """The whole page. Text that came out of a container is escaped. Costs are shown where a price is given."""
    every_row = rows_of(launches)
    rows = [row for row in every_row if not row.is_portable]
    return _template().render(
        launches=launches,
        price=price,
        every_row=every_row,
        rows=rows,
        rows_by_name=sorted(rows, key=by_name),
        portable_rows=sorted((row for row in every_row if row.is_portable), key=by_name),
    )


@functools.cache
def _template() -> jinja2.Template:
    """The page's template, compiled once a process."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, not HTML: `escape_text` and `code_block` are its escapes
    )
    environment.filters |= FILTERS
    environment.globals |= {module.__name__.rpartition(".")[2]: module for module in CALLED}
    return environment.get_template("BENCHMARKS.md.jinja")


def write_page(path: Path, text: str) -> None:
    """Write a page whole or not at all. A link is followed; anything but a plain file, such as a pipe, is written into."""
    if path.exists() and not path.is_file():  # resolved, /dev/stdout would be a pipe's number and no path
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False, encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)


def why_no_page(path: Path) -> str:
    """Why a page cannot be written there; empty: it can. It is asked before hours of launches."""
    try:
        if path.is_dir():
            return "is a folder; name a file"
        if path.exists() and not path.is_file():
            return "" if os.access(path, os.W_OK) else "cannot be written to"
        folder = path.resolve().parent
        while not os.path.lexists(folder):
            folder = folder.parent
    except (OSError, RuntimeError) as error:  # too long a name; links that lead in a circle
        return f"is no file's path: {getattr(error, 'strerror', None) or error}"
    if not folder.is_dir():
        return f"cannot be written: {folder} is no folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"cannot be written: {folder} is not yours to write into"


def escape_text(value: object) -> str:
    """Plain text for a line or a table's cell of Markdown."""
    line = " ".join(without_controls(str(value)).split())
    escaped = "".join(_ENTITY_OF.get(sign, sign) for sign in line)
    # A bare address would become a link without any of Markdown's own characters.
    return escaped.replace("://", ":&#47;/").replace("www.", "www&#46;")


def source_text(text: str) -> str:
    """Where a known failure's cause and fix are from. It is from our own file, so an address may be a link."""
    return f"<{text}>" if re.fullmatch(r"https://[^\s<>]+", text) else escape_text(text)


def code_span(value: object) -> str:
    """Text as code inside a line or a table's cell."""
    text = " ".join(without_controls(str(value)).split()).replace("|", "\N{BROKEN BAR}") or " "
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    if not longest:
        return f"`{text}`"
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def code_block(value: object) -> str:
    """Text as a fenced block, whose fence is longer than any in the text."""
    text = without_controls(str(value).replace("\r\n", "\n").replace("\r", "\n")).rstrip()
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def format_seconds(value: float | None) -> str:
    """``2.05 s``"""
    return "-" if value is None else f"{value:.2f} s"


def format_spread(value: Estimate | None) -> str:
    """``2.05 s [1.98, 2.11], 1 outlier``: an interval in brackets, mere extremes in parentheses, and what is odd."""
    return "-" if value is None else ", ".join([tables.with_spread(value, "{:.2f}".format, " s"), *value.flags])


def format_factor(value: Estimate | None) -> str:
    """``14.6x``"""
    return "-" if value is None else f"{value.median:.1f}x"


def format_percent(value: float | None) -> str:
    """``5.2%``"""
    return "-" if value is None else f"{value:.1%}"


def format_gib(value: float | None) -> str:
    """``0.86 GiB``"""
    return "-" if value is None else f"{value / 2**30:.2f} GiB"


def once(text: str) -> str:
    """Lines without those that were shown above already: what several lengths of one recording share is said once."""
    lines = text.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines) if not line.strip() or line not in lines[:number])


FILTERS: dict[str, Callable[..., Any]] = {
    "text": escape_text,
    "block": code_block,
    "code": code_span,
    "source": source_text,
    "seconds": format_seconds,
    "spread": format_spread,
    "factor": format_factor,
    "percent": format_percent,
    "gib": format_gib,
    "memory": memory_text,
    "status": tables.status_text,
    "struck": tables.struck,
    "once": once,
}
