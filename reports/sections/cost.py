"""The fixed cost of an input, and the cost of each further part of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.analysis.cost_model import NoFit
from harness.analysis.costs import CostRow, cost_rows, series_of
from harness.analysis.intervals import Interval
from harness.analysis.stopping import value_of
from harness.text import counted
from harness.workloads.workload import Unit, Workload, workload_of
from reports.page import Page
from reports.subjects import SUBJECT, by_workload, subject_cells, unit_of
from reports.table import Column, Inline, Paragraph, Section, Table, paragraph, prose

_WHAT = (
    "Time = fixed + {amount} / marginal, fitted over the launches of one campaign on several lengths (`bench --durations`): least "
    "squares with weights 1 / time², since launches scatter by a share of their time. [95% intervals] by Student's t over launches. "
    "Marginal is {amount} for each further second of processing; r² is the squared correlation of length and seconds, which an "
    "unweighted line would explain and where the longest lengths decide; R² of the fit is of this line with its weights, where each "
    "length counts alike; {portion_name} is the prediction for one launch on {portion}. Like every time here it leaves out the start, "
    "the imports, the load and the cold pass."
)


def section(page: Page) -> Section | None:
    rows = cost_rows(page.launches)
    blocks = (block for workload, each in _by_workload(rows) for block in (_what(workload), _table(workload, each)))
    return Section("Fixed and marginal cost", tuple(blocks)) if rows else None


def cost_tables(rows: Iterable[CostRow]) -> tuple[Table, ...]:
    """A table for each workload, a configuration on all its lengths a row."""
    return tuple(_table(workload, each) for workload, each in _by_workload(rows))


def _by_workload(rows: Iterable[CostRow]) -> Iterable[tuple[Workload, Sequence[CostRow]]]:
    return by_workload(rows, lambda row: workload_of(row.launches[-1].plan))


def _what(workload: Workload) -> Paragraph:
    unit = unit_of(workload)
    told = _WHAT.format(amount=unit.amount, portion_name=unit.portion_name, portion=unit.portion_title)
    return paragraph(prose(" ".join(filter(None, (told, workload.cost_explanation)))))


def _table(workload: Workload, rows: Sequence[CostRow]) -> Table:
    unit = unit_of(workload)
    return Table(
        title="Fixed and marginal cost",
        answers="What does an input cost however short it is, and what does each further part of it cost?",
        columns=(
            *(*SUBJECT, Column(workload.profile_title), Column("Lengths x launches"), Column("Fixed"), Column("Marginal")),
            *(
                Column("r²", "right"),
                Column("R² of the fit", "right"),
                Column(unit.portion_head.capitalize()),
                Column("Remarks"),
            ),
        ),
        rows=tuple(_cells(unit, row) for row in rows),
    )


def _cells(unit: Unit, row: CostRow) -> tuple[Inline, ...]:
    launch, model = row.launches[-1], row.model
    head = (*subject_cells(launch), f"{launch.plan.workload.profile} on {series_of(launch)}", lengths_text(row))
    if isinstance(model, NoFit):
        return (*head, *["-"] * 5, "; ".join([f"no fit: {model.reason}", *_wrong(row)]))
    rate, times = model.marginal_rate, unit.portion / model.lengths[-1]
    reach = [f"{unit.portion_head} is {times:.0f} times the longest length"] if times > 2 else []
    later = [f"a later campaign makes no line: {row.later}"] if row.later else []
    return (
        *head,
        interval_text(model.fixed_seconds, " s", digits=2),
        "-" if rate is None else interval_text(rate, unit.rate_suffix, digits=1),
        r_squared_text(model.correlation_squared),
        r_squared_text(model.r_squared),
        interval_text(model.portion_seconds, " s", digits=0),
        "; ".join([*model.remarks, *reach, *_wrong(row), *later]) or "-",
    )


def lengths_text(row: CostRow) -> str:
    """``11 s x2, 30 s x1 of 2``: each length, and its launches that have a time."""
    asked = Counter(launch.plan.workload.amount for launch in row.launches)
    timed = Counter(launch.plan.workload.amount for launch in row.launches if value_of(launch) is not None)
    return ", ".join(
        f"{length:g} s x{timed[length]}" + ("" if timed[length] == count else f" of {count}")
        for length, count in sorted(asked.items())
    )


def _wrong(row: CostRow) -> list[str]:
    wrong = sum(launch.verdict.status == "wrong output" for launch in row.launches)
    return (
        [f"wrong output in {wrong} of {counted(len(row.launches), 'launch', 'launches')}: a speed of nothing"] if wrong else []
    )


def interval_text(value: Interval, unit: str, *, digits: int) -> str:
    """``1.52 s [1.31, 1.73]``; an end that is not finite is not shown."""
    ends = ("none" if math.isinf(end) else f"{end:.{digits}f}" for end in (value.low, value.high))
    return f"{value.value:.{digits}f}{unit} [{', '.join(ends)}]"


def r_squared_text(value: float | None) -> str:
    """``0.9987``, cut and not rounded: 0.99999 is no 1."""
    return "-" if value is None else f"{math.floor(value * 10_000 + 1e-9) / 10_000:.4f}"
