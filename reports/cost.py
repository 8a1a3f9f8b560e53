"""Launches of one cell on several lengths -> what a recording costs at all, and what each second of it costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from benchmarks.wire import STAGES
from harness.cost_model import CostModel, NoFit, Point, fit_cost
from harness.records import Launch
from harness.stats import Interval
from harness.stopping import value_of
from harness.words import counted
from reports.page import Page

COST_COLUMNS = (
    *("Image", "Engine", "GFX", "Pipeline", "Lengths x launches"),
    *("Fixed", "Marginal", "r²", "R² of the fit", "An hour", "Remarks"),
)


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of all lengths on one engine, as its latest campaign with more than one length saw it."""

    launches: tuple[Launch, ...]
    """All that were asked for, also those that failed."""
    model: CostModel | NoFit

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of `COST_COLUMNS` as plain text."""
        plan = self.launches[-1].plan
        engine = f"{plan.engine.name} rootless" if plan.engine.rootless else plan.engine.name
        head = (plan.image.name, engine, plan.variant, plan.workload.pipeline, self.lengths)
        if isinstance(self.model, NoFit):
            return (*head, *"-----", "; ".join([f"no fit: {self.model.reason}", *self._wrong]))
        realtime = self.model.marginal_realtime
        return (
            *head,
            interval_text(self.model.fixed_seconds, " s", digits=2),
            "-" if realtime is None else interval_text(realtime, "x", digits=1),
            r_squared_text(self.model.correlation_squared),
            r_squared_text(self.model.r_squared),
            interval_text(self.model.hour_seconds, " s", digits=0),
            "; ".join([*self.model.remarks, *self._reach, *self._wrong]) or "-",
        )

    @property
    def lengths(self) -> str:
        """``11 s x2, 30 s x1 of 2``: each length, and its launches that have a time."""
        asked = Counter(launch.plan.workload.audio_seconds for launch in self.launches)
        timed = Counter(launch.plan.workload.audio_seconds for launch in self.launches if value_of(launch) is not None)
        return ", ".join(
            f"{length:g} s x{timed[length]}" + ("" if timed[length] == count else f" of {count}")
            for length, count in sorted(asked.items())
        )

    @property
    def _reach(self) -> list[str]:
        """How far the hour is from what was measured."""
        longest = self.model.lengths[-1]
        return [f"an hour is {3600 / longest:.0f} times the longest length"] if longest < 1800 else []

    @property
    def _wrong(self) -> list[str]:
        wrong = sum(launch.verdict.status == "wrong output" for launch in self.launches)
        return (
            [f"wrong output in {wrong} of {counted(len(self.launches), 'launch', 'launches')}: a speed of nothing"]
            if wrong
            else []
        )


def section(page: Page) -> dict[str, Any]:
    """What the template of this section reads."""
    return {"costs": cost_rows(page.launches)}


def cost_rows(launches: Iterable[Launch]) -> tuple[CostRow, ...]:
    """One row for each cell, whatever the length, and engine that a campaign ran on several lengths."""
    groups: dict[tuple[str, ...], dict[str, list[Launch]]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        plan = launch.plan
        if plan.task or plan.purpose != "result" or plan.last_stage != STAGES[-1] or plan.image.portable_of is not None:
            continue
        cell, _, _ = plan.cell.rpartition("/")
        flags = plan.flags if plan.flags != "least" else ""
        key = (cell, plan.engine.name, str(plan.engine.rootless), flags, plan.gpu or "")
        groups.setdefault(key, {}).setdefault(plan.campaign, []).append(launch)
    latest = (_latest_of_lengths(campaigns.values()) for _, campaigns in sorted(groups.items()))
    return tuple(CostRow(launches=tuple(found), model=_model(found)) for found in latest if found)


def interval_text(value: Interval, unit: str, *, digits: int) -> str:
    """``1.52 s [1.31, 1.73]``; an end that is not finite is none."""
    ends = ("none" if math.isinf(end) else f"{end:.{digits}f}" for end in (value.low, value.high))
    return f"{value.value:.{digits}f}{unit} [{', '.join(ends)}]"


def r_squared_text(value: float | None) -> str:
    """``0.9987``, cut and not rounded: 0.99999 is no 1."""
    return "-" if value is None else f"{math.floor(value * 10_000 + 1e-9) / 10_000:.4f}"


def _latest_of_lengths(campaigns: Iterable[Sequence[Launch]]) -> Sequence[Launch]:
    """The launches of the latest campaign with two lengths or more; none where there is none."""
    several = [found for found in campaigns if len({launch.plan.workload.audio for launch in found}) > 1]
    return several[-1] if several else ()


def _model(launches: Sequence[Launch]) -> CostModel | NoFit:
    timed = ((launch.plan.workload.audio_seconds, value_of(launch)) for launch in launches)
    return fit_cost([Point(length, seconds) for length, seconds in timed if seconds is not None])
