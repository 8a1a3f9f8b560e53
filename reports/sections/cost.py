"""Launches of one cell on several lengths -> the fixed cost of a recording, and the cost of each second of it."""

from __future__ import annotations

import math
from collections import Counter

from harness.analysis.cost_model import NoFit
from harness.analysis.costs import CostRow, recording_of
from harness.analysis.costs import cost_rows as cost_rows
from harness.analysis.intervals import Interval
from harness.analysis.stopping import value_of
from harness.text import counted

COST_COLUMNS = (
    *("Image", "Engine", "GFX", "Pipeline", "Lengths x launches"),
    *("Fixed", "Marginal", "r²", "R² of the fit", "An hour", "Remarks"),
)


def cost_cells(row: CostRow) -> tuple[str, ...]:
    """One row under `COST_COLUMNS`, as plain text."""
    plan = row.launches[-1].plan
    head = (
        plan.image.name,
        plan.engine.title,
        plan.variant,
        f"{plan.workload.profile} on {recording_of(plan.workload)}",
        lengths_text(row),
    )
    if isinstance(row.model, NoFit):
        return (*head, *["-"] * 5, "; ".join([f"no fit: {row.model.reason}", *_wrong(row)]))
    realtime, longest = row.model.marginal_realtime, row.model.lengths[-1]
    reach = [f"an hour is {3600 / longest:.0f} times the longest length"] if longest < 1800 else []
    later = [f"a later campaign makes no line: {row.later}"] if row.later else []
    return (
        *head,
        interval_text(row.model.fixed_seconds, " s", digits=2),
        "-" if realtime is None else interval_text(realtime, "x", digits=1),
        r_squared_text(row.model.correlation_squared),
        r_squared_text(row.model.r_squared),
        interval_text(row.model.hour_seconds, " s", digits=0),
        "; ".join([*row.model.remarks, *reach, *_wrong(row), *later]) or "-",
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
