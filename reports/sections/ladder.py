"""Both networks at growing batches: from which batch on does an image compute wrong numbers."""

from __future__ import annotations

from harness.records.launch import Launch
from harness.workloads.ladder import Rung, ladders_of, rungs_of
from reports.page import Page
from reports.table import Column, Inline, Section, Table, code, paragraph, prose
from reports.values import count, format_cosine, number

_WHAT = (
    "`strixbench verify IMAGE --ladder`: both networks at growing batches, each item beside the same chunk alone on the CPU. A batch is "
    "four chunks of the recording, repeated. Right is a difference of at most 0.001 of the CPU's largest value for the segmentation and "
    "0.01 for the embedding, and a cosine of at least 0.999. It says whether a batch may be used, not how fast it is."
)


def section(page: Page) -> Section | None:
    ladders = ladders_of(page.launches)
    if not ladders:
        return None
    return Section("Ladder of batches", (paragraph(prose(_WHAT)), *map(ladder_section, ladders)))


def ladder_section(launch: Launch) -> Section:
    """One ladder, rung by rung."""
    plan, verdict = launch.plan, launch.verdict
    table = Table(
        title=f"Ladder of {launch.image} ({plan.engine.title}, {plan.variant}, {plan.workload.profile}, on {plan.device})",
        answers="From which batch on does this image compute wrong numbers?",
        columns=(
            Column("Network"),
            *(Column(title, "right") for title in ("Batch", "Batch x frames", "Items off", "Largest difference")),
            *(Column("Of the largest value", "right"), Column("Cosine", "right"), Column("Result")),
        ),
        rows=tuple(map(_cells, rungs_of(launch.said.results))),
    )
    passed = "right at every batch that was tried" if verdict.status == "pass" else verdict.cause or verdict.status
    said = paragraph(("Launch ", code(launch.id), f": {verdict.summary or passed}"))
    return Section(table.title, (said, table) if table.rows else (said,))


def _cells(rung: Rung) -> tuple[Inline, ...]:
    result = {"ok": "right", "wrong": "WRONG"}.get(rung.outcome, f"{rung.outcome}{f': {rung.said}' if rung.said else ''}")
    tried = rung.outcome in ("ok", "wrong")
    return (
        rung.model,
        count(rung.batch),
        number("-" if rung.rows is None else f"{rung.rows:,}"),
        count(rung.wrong_items if tried else None),
        number(_exponent(rung.difference, tried=tried)),
        number(_exponent(rung.relative_difference, tried=tried)),
        number(format_cosine(rung.cosine)),
        result,
    )


def _exponent(value: float | None, *, tried: bool) -> str:
    if value is None:
        return "not finite" if tried else "-"
    return f"{value:.1e}"
