"""Rows -> how far each agrees with the CPU run of the same image."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.analysis.rows import Row, by_name, is_cpu_run
from harness.records.outcome import Agreement
from harness.workloads.compared_figure import ComparedFigure


class AgreementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row's launches against the CPU run: the worst of each number. ``None``: not known, or nothing was compared."""

    row: Row
    n: int
    """Launches that were compared"""
    reference: str | None
    figures: tuple[ComparedFigure, ...]
    """The workload's own"""
    cosine: float | None
    difference: float | None
    relative_difference: float | None
    sampled: int
    said: str
    """``agrees``, what is wrong, or why nothing was compared"""


def agreement_rows(rows: Iterable[Row], *, with_cpu_runs: bool = False) -> tuple[AgreementRow, ...]:
    """A row for each configuration that has an output, CPU runs included; none where all are CPU runs, unless asked for."""
    listed = sorted((row for row in rows if row.status != "fail"), key=by_name)
    is_needed = with_cpu_runs or any(not is_cpu_run(launch) for row in listed for launch in row.launches)
    return tuple(_agreement_row(row) for row in listed) if is_needed else ()


def _agreement_row(row: Row) -> AgreementRow:
    agreements = [launch.agreement for launch in row.launches if launch.agreement is not None]
    found = [each for each in agreements if not each.why_not]
    return AgreementRow(
        row=row,
        n=len(found),
        reference=found[-1].reference if found else None,
        figures=row.workload.compared_figures_of(found),
        cosine=min((each.cosine for each in found if each.cosine is not None), default=None),
        difference=max((each.difference for each in found if each.difference is not None), default=None),
        relative_difference=max(
            (each.relative_difference for each in found if each.relative_difference is not None), default=None
        ),
        sampled=found[-1].sampled if found else 0,
        said=_said(row, found),
    )


def _said(row: Row, found: list[Agreement]) -> str:
    wrong = [each for each in found if each.reasons]
    if wrong:
        return f"WRONG OUTPUT ({len(wrong)} of {len(found)}): {'; '.join(wrong[-1].reasons)}"
    if row.why_not_compared:
        return f"not compared: {row.why_not_compared}"
    return "agrees" if found else "is a CPU run"
