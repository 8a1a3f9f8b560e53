"""Launches of the ladder -> the latest of each image, its rungs as cells of a table."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.records.launch import Launch
from harness.workloads.ladder import Rung, rungs_of
from reports.sections.agreement import format_cosine

COLUMNS = ("Network", "Batch", "Batch x frames", "Items off", "Largest difference", "Of the largest value", "Cosine", "Result")


class Ladder(msgspec.Struct, frozen=True):
    """The latest ladder of an image, a variant, a pipeline and an engine."""

    launch: Launch
    rungs: tuple[Rung, ...]

    @property
    def said(self) -> str:
        """The result of the ladder, in words."""
        return self.launch.verdict.summary or "right at every batch that was tried"

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """A row of `COLUMNS` for each rung."""
        return tuple(ladder_cells(rung) for rung in self.rungs)


def ladders_of(launches: Iterable[Launch]) -> tuple[Ladder, ...]:
    """The latest ladder of each image that was not interrupted."""
    latest: dict[tuple[str, ...], Launch] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        if launch.plan.task == "ladder" and launch.verdict.cause != "interrupted":
            latest[launch.plan.cell, launch.plan.engine.name, str(launch.plan.engine.rootless)] = launch
    return tuple(Ladder(launch, rungs_of(launch.results)) for _, launch in sorted(latest.items()))


def ladder_cells(rung: Rung) -> tuple[str, ...]:
    """One rung's cells, in the order of `COLUMNS`."""
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
