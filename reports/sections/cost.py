"""Launches of one cell on several lengths -> the fixed cost of a recording, and the cost of each second of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from benchmarks.wire import STAGES
from harness.analysis.cost_model import CostModel, NoFit, Point, fit_cost
from harness.analysis.intervals import Interval
from harness.analysis.stopping import value_of
from harness.records.launch import Launch
from harness.records.plan import WorkloadRecord
from harness.text import counted

COST_COLUMNS = (
    *("Image", "Engine", "GFX", "Pipeline", "Lengths x launches"),
    *("Fixed", "Marginal", "r²", "R² of the fit", "An hour", "Remarks"),
)


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cell on all lengths of one recording and on one engine, from the latest campaign that gives a line."""

    launches: tuple[Launch, ...]
    """All that ended, including those that failed"""
    model: CostModel | NoFit
    later: str = ""
    """Why a later campaign on several lengths gives no line; empty: there is no later one"""

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of `COST_COLUMNS` as plain text."""
        plan = self.launches[-1].plan
        head = (
            plan.image.name,
            plan.engine.title,
            plan.variant,
            f"{plan.workload.profile} on {recording_of(plan.workload)}",
            self.lengths,
        )
        if isinstance(self.model, NoFit):
            return (*head, *["-"] * 5, "; ".join([f"no fit: {self.model.reason}", *self._wrong]))
        realtime, longest = self.model.marginal_realtime, self.model.lengths[-1]
        reach = [f"an hour is {3600 / longest:.0f} times the longest length"] if longest < 1800 else []
        later = [f"a later campaign makes no line: {self.later}"] if self.later else []
        return (
            *head,
            interval_text(self.model.fixed_seconds, " s", digits=2),
            "-" if realtime is None else interval_text(realtime, "x", digits=1),
            r_squared_text(self.model.correlation_squared),
            r_squared_text(self.model.r_squared),
            interval_text(self.model.hour_seconds, " s", digits=0),
            "; ".join([*self.model.remarks, *reach, *self._wrong, *later]) or "-",
        )

    @property
    def lengths(self) -> str:
        """``11 s x2, 30 s x1 of 2``: each length, and its launches that have a time."""
        asked = Counter(launch.plan.workload.amount for launch in self.launches)
        timed = Counter(launch.plan.workload.amount for launch in self.launches if value_of(launch) is not None)
        return ", ".join(
            f"{length:g} s x{timed[length]}" + ("" if timed[length] == count else f" of {count}")
            for length, count in sorted(asked.items())
        )

    @property
    def _wrong(self) -> list[str]:
        wrong = sum(launch.verdict.status == "wrong output" for launch in self.launches)
        return (
            [f"wrong output in {wrong} of {counted(len(self.launches), 'launch', 'launches')}: a speed of nothing"]
            if wrong
            else []
        )


def cost_rows(launches: Iterable[Launch]) -> tuple[CostRow, ...]:
    """One row for each cell, recording (of any length) and engine that a campaign ran on several lengths."""
    groups: dict[tuple[str, ...], dict[str, list[Launch]]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        plan = launch.plan
        if plan.task or plan.purpose != "result" or plan.last_stage != STAGES[-1] or plan.image.portable_of is not None:
            continue
        cell, _, _ = plan.cell.rpartition("/")
        flags = plan.flags if plan.flags != "least" else ""
        key = (cell, recording_of(plan.workload), plan.engine.name, str(plan.engine.rootless), flags, plan.gpu or "")
        groups.setdefault(key, {}).setdefault(plan.campaign, []).append(launch)
    found = (_row(campaigns.values()) for _, campaigns in sorted(groups.items()))
    return tuple(row for row in found if row is not None)


def recording_of(workload: WorkloadRecord) -> str:
    """``call`` for ``call-fitted-120s`` and ``call-30s``: a record has no hash of the audio that it was fitted from."""
    return re.sub(r"(-fitted)?-\d+s$", "", workload.input) or workload.input


def interval_text(value: Interval, unit: str, *, digits: int) -> str:
    """``1.52 s [1.31, 1.73]``; an end that is not finite is not shown."""
    ends = ("none" if math.isinf(end) else f"{end:.{digits}f}" for end in (value.low, value.high))
    return f"{value.value:.{digits}f}{unit} [{', '.join(ends)}]"


def r_squared_text(value: float | None) -> str:
    """``0.9987``, cut and not rounded: 0.99999 is no 1."""
    return "-" if value is None else f"{math.floor(value * 10_000 + 1e-9) / 10_000:.4f}"


def _row(campaigns: Iterable[Sequence[Launch]]) -> CostRow | None:
    """The row from the latest campaign on two lengths or more that gives a line, or else from the latest; ``None``: there is none.

    Interrupted launches do not count, and a campaign that was cut off replaces no other.
    """
    several = (found for found in campaigns if len({launch.plan.workload.input for launch in found}) > 1)
    ended = (tuple(each for each in found if each.verdict.cause != "interrupted") for found in several)
    rows = [CostRow(launches=found, model=_model(found)) for found in ended if found]
    if not rows:
        return None
    fitted = next((row for row in reversed(rows) if isinstance(row.model, CostModel)), rows[-1])
    last = rows[-1].model
    return fitted if fitted is rows[-1] or not isinstance(last, NoFit) else msgspec.structs.replace(fitted, later=last.reason)


def _model(launches: Sequence[Launch]) -> CostModel | NoFit:
    timed = ((launch.plan.workload.amount, value_of(launch)) for launch in launches)
    return fit_cost([Point(length, seconds) for length, seconds in timed if seconds is not None])
