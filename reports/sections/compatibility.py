"""The stage that each image reaches."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.rows import Row
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells
from reports.table import Column, Section, Table, paragraph


def section(page: Page) -> Section | None:
    rows = page.rows_by_name
    if not rows:
        return None
    stages = tuple(dict.fromkeys(stage for row in rows for stage in row.workload.all_stages))
    table = Table(
        title="Image compatibility",
        answers="How far does each image get?",
        columns=(*SUBJECT, *map(Column, stages), Column("Cause")),
        # What the lengths of one recording have in common is said once.
        rows=tuple(dict.fromkeys((*subject_cells(row.speaking), *stage_marks(row, stages), _cause(row)) for row in rows)),
    )
    what = "The stage that an image reaches: ✅ passed, ❌ failed here, ⚠️ ran to its end with wrong output, · not reached."
    return Section(table.title, (paragraph(what), table))


def stage_marks(row: Row, stages: Sequence[str]) -> tuple[str, ...]:
    """How the row did in each stage: ✅ passed, ❌ failed here, ⚠️ ran to its end with wrong output, · not reached."""
    verdict = row.speaking.verdict
    reached = stages.index(verdict.stage) if verdict.stage in stages else 0
    mark = {"pass": "✅", "wrong output": "⚠️"}.get(verdict.status, "❌")
    return (*["✅"] * reached, mark, *["·"] * (len(stages) - reached - 1))


def _cause(row: Row) -> str:
    return row.speaking.verdict.cause or ("wrong output" if row.status == "wrong output" else "-")
