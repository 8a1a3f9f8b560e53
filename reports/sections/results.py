"""The results: each image on each piece of work, the fastest first."""

from __future__ import annotations

from harness.analysis.rows import Row, WorkloadRows
from harness.workloads.workload import Figure, Unit
from reports.page import Page
from reports.status import status_text
from reports.subjects import ENGINE, GFX, IMAGE, unit_of
from reports.table import Column, Inline, Section, Span, Table, paragraph, prose, titled
from reports.values import count, factor, format_memory, percent, seconds, spread

_TIME = (
    "Time is the median over launches of each launch's median warm pass, with [a 95% interval] from six launches on, (the extremes) below "
    "that."
)
_COLD = (
    "Cold is the first pass of launches that began with an empty kernel cache. {figures}Memory is a peak, with its meter; a meter is "
    "calibrated where `strixbench calibrate` saw it move by what was allocated, in the same image, on the same engine, device and kernel."
)


def section(page: Page) -> Section | None:
    if not page.rows:
        return None
    workloads = dict.fromkeys(group.workload for group in page.workloads)
    units = map(unit_of, workloads)
    rates = " ".join(f"{unit.rate_title} is {unit.amount} / time: higher is faster." for unit in units)
    figures = "".join(f"{workload.explanation} " for workload in workloads if workload.explanation)
    counts = "n counts launches, each in a fresh container or process."
    what = paragraph(prose(_TIME), prose(f"{rates} {counts}"), prose(_COLD.format(figures=figures)))
    return Section("Results", (what, *(titled(results_table(group)) for group in page.workloads)))


def results_table(group: WorkloadRows) -> Table:
    """An image in one GFX mode on one engine a row."""
    unit, figures = unit_of(group.workload), group.workload.figures
    remark = f"; {group.remark}" if group.remark else ""
    return Table(
        title=f"{group.profile} on {group.input}: {amount_text(group)}{remark}",
        answers="How fast is each image, and is its output right?",
        columns=(
            *(IMAGE, ENGINE, Column("PyTorch", dispensable=3), GFX, Column("Time")),
            *(Column(unit.rate_title, "right"), Column("n", "right")),
            *(Column("Cold", "right", dispensable=2), Column("Load", "right", dispensable=1)),
            *(Column(name, "right", dispensable=4) for name in figures[:-1]),
            *(Column(name, "right") for name in figures[-1:]),
            *(Column("Memory", dispensable=0), Column("Status")),
        ),
        rows=tuple(_cells(row, unit) for row in group.rows),
    )


def _cells(row: Row, unit: Unit) -> tuple[Inline, ...]:
    """One row's cells. A portable build's times are nobody's result, so they are not shown."""
    is_struck = row.is_struck
    times = (
        spread(row.seconds, is_struck=is_struck),
        factor(row.rate, unit.rate_suffix, is_struck=is_struck),
        count(len(row.launches)),
        seconds(row.cold_seconds, is_struck=is_struck),
        seconds(row.load_seconds, is_struck=is_struck),
    )
    return (
        row.image,
        row.engine,
        row.speaking.torch_version or "-",
        row.speaking.plan.variant,
        *(("-",) * len(times) if row.is_portable else times),
        *map(figure_span, row.figures),
        format_memory(row.memory),
        f"{status_text(row)}{' (portable)' if row.is_portable else ''}",
    )


def figure_span(figure: Figure) -> Span:
    """``5.2%``, ``2``"""
    return percent(figure.value) if figure.kind == "share" else count(figure.value)


def amount_text(group: WorkloadRows) -> str:
    """``30.0 s of audio``"""
    return unit_of(group.workload).text(group.amount)
