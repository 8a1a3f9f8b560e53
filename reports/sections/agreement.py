"""How far each row agrees with the CPU run of the same image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.agreement_rows import AgreementRow, agreement_rows
from harness.workloads.compared_figure import ComparedFigure
from harness.workloads.workload import Workload
from reports.page import Page
from reports.subjects import SUBJECT, by_workload, subject_cells, work_cells, work_columns
from reports.table import Column, Inline, Paragraph, Section, Span, Table, paragraph, prose
from reports.values import count, format_cosine, number, percent

_WHAT = (
    "The CPU run of the same {inputs}, without a GPU device or an override, beside each launch: of several launches the worst figure. "
    "{explained}What was not compared has no rank."
)


def section(page: Page) -> Section | None:
    rows = agreement_rows(page.rows)
    blocks = (block for workload, each in _by_workload(rows) for block in (_what(workload), _table(workload, each)))
    return Section("Agreement with the CPU run", tuple(blocks)) if rows else None


def agreement_tables(rows: Sequence[AgreementRow]) -> tuple[Table, ...]:
    """A table for each workload."""
    return tuple(_table(workload, each) for workload, each in _by_workload(rows))


def _by_workload(rows: Sequence[AgreementRow]) -> Iterable[tuple[Workload, Sequence[AgreementRow]]]:
    return by_workload(rows, lambda each: each.row.workload)


def _what(workload: Workload) -> Paragraph:
    explained = f"{workload.agreement_explanation} " if workload.agreement_explanation else ""
    return paragraph(prose(_WHAT.format(inputs=workload.agreement_inputs, explained=explained)))


def _table(workload: Workload, rows: Sequence[AgreementRow]) -> Table:
    return Table(
        title="Agreement with the CPU run",
        answers="Does each image compute what it computes on the CPU?",
        columns=(
            *SUBJECT,
            *work_columns([each.row for each in rows]),
            Column("CPU run", dispensable=1),
            *(Column(name, "right") for name in workload.compared_figures),
            Column("Cosine", "right"),
            Column("Largest difference"),
            Column("n", "right"),
            Column("Agreement"),
        ),
        rows=tuple(map(_cells, rows)),
    )


def _cells(each: AgreementRow) -> tuple[Inline, ...]:
    return (
        *subject_cells(each.row.speaking),
        *work_cells(each.row),
        each.reference or "-",
        *map(compared_figure_span, each.figures),
        number(format_cosine(each.cosine)),
        _difference_text(each),
        count(each.n),
        each.said,
    )


def compared_figure_span(figure: ComparedFigure) -> Span:
    """``0.1%``, or ``2 of 2``: ours, and the CPU run's."""
    if figure.kind == "share":
        return percent(max(figure.values, default=None))
    if not figure.values or figure.reference is None:
        return number("-")
    return number(f"{' or '.join(f'{value:.0f}' for value in figure.values)} of {figure.reference:.0f}")


def _difference_text(each: AgreementRow) -> str:
    """``3.1e-06 (2.4e-07 of the largest), 64 values``"""
    if each.difference is None or each.relative_difference is None:
        return "-"
    return f"{each.difference:.1e} ({each.relative_difference:.1e} of the largest), {each.sampled} values"
