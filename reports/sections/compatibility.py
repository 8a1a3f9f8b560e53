"""The stage that each image reaches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.analysis.rows import Row, StageState
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells
from reports.table import Column, Section, Table, paragraph

_MARKS: Mapping[StageState, str] = {"passed": "✅", "failed": "❌", "wrong output": "⚠️", "not reached": "·"}


def section(page: Page) -> Section | None:
    rows = page.rows_by_name
    if not rows:
        return None
    stages = tuple(dict.fromkeys(stage for row in rows for stage in row.stages))
    table = Table(
        title="Image compatibility",
        answers="How far does each image get?",
        columns=(*SUBJECT, *map(Column, stages), Column("Cause")),
        # What the lengths of one input have in common is said once.
        rows=tuple(dict.fromkeys((*subject_cells(row.speaking), *stage_marks(row, stages), _cause(row)) for row in rows)),
    )
    what = "The stage that an image reaches: ✅ passed, ❌ failed here, ⚠️ ran to its end with wrong output, · not reached."
    return Section(table.title, (paragraph(what), table))


def stage_marks(row: Row, stages: Iterable[str]) -> tuple[str, ...]:
    """How the row did in each of these stages."""
    return tuple(_MARKS[row.stages.get(stage, "not reached")] for stage in stages)


def _cause(row: Row) -> str:
    return row.speaking.verdict.cause or ("wrong output" if row.status == "wrong output" else "-")
