"""Portable builds: whether an image's dependency set works at all."""

from __future__ import annotations

from harness.analysis.rows import Row
from reports.page import Page
from reports.sections.failures import failure_section
from reports.sections.results import figure_span
from reports.status import status_text
from reports.subjects import ENGINE, IMAGE, work_columns
from reports.table import Column, Inline, Section, Table, paragraph

_WHAT = (
    "An image's locked dependency set with a torch of the same release for any machine: what follows says whether the set resolves, "
    "imports and {verbs}, and nothing about the image on its own hardware. It has no speed, since none of it is the image's."
)


def section(page: Page) -> Section | None:
    rows = page.portable_rows
    if not rows:
        return None
    what = _WHAT.format(verbs=" and ".join(dict.fromkeys(row.workload.verb for row in rows)))
    figures = tuple(dict.fromkeys(name for row in rows for name in row.workload.figures))
    table = Table(
        title="Portable builds",
        answers="Do the packages of each image fit together?",
        columns=(
            *(IMAGE, ENGINE, Column("PyTorch"), Column("pyannote.audio"), work_columns(rows)[0], Column("Reaches")),
            *(*(Column(name, "right") for name in figures), Column("Status")),
        ),
        rows=tuple(_cells(row, figures) for row in rows),
    )
    return Section(table.title, (paragraph(what), table, *(failure_section(row) for row in rows if row.status != "pass")))


def _cells(row: Row, figures: tuple[str, ...]) -> tuple[Inline, ...]:
    launch, plan = row.speaking, row.speaking.plan
    found = {figure.name: figure_span(figure) for figure in row.figures}
    return (
        plan.image.portable_of or "-",
        row.engine,
        launch.torch_version or "-",
        launch.said.version_of("pyannote.audio") or "-",
        f"{plan.workload.profile} ({row.remark})" if row.remark else plan.workload.profile,
        launch.verdict.stage,
        *(found.get(name, "-") for name in figures),
        status_text(row),
    )
