"""What each of the guest's memory meters showed."""

from __future__ import annotations

from benchmarks.wire import MEMORY_METERS
from harness.analysis.guest_memory import MemoryRow, memory_rows
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells, work_cells, work_columns
from reports.table import Column, Inline, Section, Table, code, paragraph, prose
from reports.values import count, format_gib, number

_WHAT = (
    "As the guest sees it after its last pass, the largest over launches. Unavailable is not 0. Cgroup meters count files that the "
    "kernel keeps, and do not see what a GPU's runtime allocates; a tree's peak is the sum of its processes' peaks."
)


def section(page: Page) -> Section | None:
    rows = memory_rows(page.rows_by_name)
    if not rows:
        return None
    meters = (Column(code(name), "right") for name in MEMORY_METERS)
    table = Table(
        title="Memory, meter by meter",
        answers="How much memory did each image take, and which meters can tell?",
        columns=(*SUBJECT, *work_columns([each.row for each in rows]), Column("n", "right"), *meters),
        rows=tuple(map(_cells, rows)),
        notes=tuple(dict.fromkeys(_why_unavailable(each) for each in rows if each.reasons)),
    )
    return Section(table.title, (paragraph(prose(_WHAT)), table))


def _cells(each: MemoryRow) -> tuple[Inline, ...]:
    peaks = (number("unavailable" if peak is None else format_gib(peak)) for peak in each.peaks)
    return (*subject_cells(each.row.speaking), *work_cells(each.row), count(each.n), *peaks)


def _why_unavailable(each: MemoryRow) -> str:
    return f"{each.row.image} ({each.row.engine}): {'; '.join(each.reasons)}"
