"""Launches of the ladder -> the latest of each image, its rungs as cells of a table."""

from __future__ import annotations

from harness.records.launch import Launch
from harness.workloads.ladder import Rung, rungs_of
from harness.workloads.ladder import ladders_of as ladders_of
from reports.sections.agreement import format_cosine

COLUMNS = ("Network", "Batch", "Batch x frames", "Items off", "Largest difference", "Of the largest value", "Cosine", "Result")


def ladder_rows(launch: Launch) -> tuple[tuple[str, ...], ...]:
    """A row of `COLUMNS` for each rung of a ladder."""
    return tuple(map(_cells, rungs_of(launch.results)))


def _cells(rung: Rung) -> tuple[str, ...]:
    result = {"ok": "right", "wrong": "WRONG"}.get(rung.outcome, f"{rung.outcome}{f': {rung.said}' if rung.said else ''}")
    tried = rung.outcome in ("ok", "wrong")
    return (
        rung.model,
        str(rung.batch),
        "-" if rung.rows is None else f"{rung.rows:,}",
        str(rung.wrong_items) if tried else "-",
        _exponent(rung.difference, tried=tried),
        _exponent(rung.relative_difference, tried=tried),
        format_cosine(rung.cosine),
        result,
    )


def _exponent(value: float | None, *, tried: bool) -> str:
    if value is None:
        return "not finite" if tried else "-"
    return f"{value:.1e}"
