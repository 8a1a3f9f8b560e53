"""Launches -> how many a row has and why no more, and which of them are odd."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from harness.analysis.outliers import heaps, outliers
from harness.analysis.rows import Row, rows_of, workloads_of
from harness.analysis.stopping import budget_is_spent, budget_text, stop_text, value_of
from harness.records.launch import Launch
from harness.records.plan import StoppingRule


class RepeatRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the results, seen as a sample."""

    row: Row
    rule: StoppingRule
    ended: str
    """Why there are no more launches"""

    @property
    def is_worth_saying(self) -> bool:
        """Whether there is more to say than that a fixed number of launches were all made and none was odd."""
        return self.rule.until is not None or self.rule.budget_seconds is not None or bool(odd_text(self.row.launches))


def repeat_rows(launches: Sequence[Launch]) -> tuple[RepeatRow, ...]:
    """The rows whose launches have a rule, in the results' order."""
    latest: dict[str, float] = {}
    for launch in launches:
        if launch.decision is not None:
            campaign = launch.plan.campaign
            latest[campaign] = max(latest.get(campaign, 0.0), launch.decision.elapsed_seconds)
    found = []
    for workload in workloads_of(row for row in rows_of(launches) if not row.is_portable):
        for row in workload.rows:
            rule = row.launches[-1].plan.stopping
            if rule is not None:
                elapsed = latest.get(row.launches[-1].plan.campaign, 0.0)
                found.append(RepeatRow(row=row, rule=rule, ended=ended_text(row.launches, rule, elapsed)))
    return tuple(found)


def ended_text(launches: Sequence[Launch], rule: StoppingRule, elapsed_seconds: float) -> str:
    """Why a row has no more launches. ``elapsed_seconds`` is when its campaign's last one ended.

    A launch of another cell may have spent the budget, and then none of this cell's launches says so.
    """
    decisions = [launch.decision for launch in launches if launch.decision is not None]
    said = stop_text(rule, decisions[-1]) if decisions else ""
    if said:
        return said
    if budget_is_spent(rule, elapsed_seconds):
        return budget_text(rule)
    return "interrupted" if decisions else launches[-1].verdict.summary or "not launched"


def odd_text(launches: Sequence[Launch]) -> str:
    """Which launches are odd, and how; empty where none is."""
    timed = [(launch, value) for launch in launches if (value := value_of(launch)) is not None]
    values = [value for _, value in timed]
    said = [f"outlier {timed[position][0].id} at {values[position]:.2f} s" for position in outliers(values)]
    two = heaps(values)
    if two is not None:
        said.append(f"two heaps: {' and '.join(f'{len(heap)} around {median(heap):.2f} s' for heap in two)}")
    return "; ".join(said)
