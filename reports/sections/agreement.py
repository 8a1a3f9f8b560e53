"""How far each row agrees with the CPU run of the same image."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.agreement_rows import AgreementRow, agreement_rows
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells, work_cells, work_columns
from reports.table import Column, Inline, Section, Table, paragraph, prose
from reports.values import count, format_cosine, number, percent

_WHAT = (
    "The CPU run of the same image, pipeline, recording, models and batch sizes, without a GPU device or an override, beside each "
    "launch: of several launches the worst figure. DER is between the two outputs, speakers matched as well as can be. Cosine and "
    "largest difference are of what the two networks make of ten seconds from the middle of the recording, in the batches of the "
    "passes. Right is a DER of at most 1%, the same number of speakers, nothing that is not finite, a cosine of at least 0.999, and a "
    "difference of at most 0.01 of the CPU run's largest value. What was not compared has no rank."
)


def section(page: Page) -> Section | None:
    rows = agreement_rows(page.rows)
    return Section("Agreement with the CPU run", (paragraph(prose(_WHAT)), agreement_table(rows))) if rows else None


def agreement_table(rows: Sequence[AgreementRow]) -> Table:
    return Table(
        title="Agreement with the CPU run",
        answers="Does each image compute what it computes on the CPU?",
        columns=(
            *SUBJECT,
            *work_columns([each.row for each in rows]),
            Column("CPU run", dispensable=1),
            Column("DER", "right"),
            Column("Speakers"),
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
        percent(each.der),
        _speakers_text(each),
        number(format_cosine(each.cosine)),
        _difference_text(each),
        count(each.n),
        each.said,
    )


def _speakers_text(each: AgreementRow) -> str:
    """``2 of 2``: ours, and the CPU run's."""
    if not each.speakers:
        return "-"
    return f"{' or '.join(map(str, each.speakers[:-1]))} of {each.speakers[-1]}"


def _difference_text(each: AgreementRow) -> str:
    """``3.1e-06 (2.4e-07 of the largest), 64 values``"""
    if each.difference is None or each.relative_difference is None:
        return "-"
    return f"{each.difference:.1e} ({each.relative_difference:.1e} of the largest), {each.sampled} values"
