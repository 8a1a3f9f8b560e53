"""How many launches a cell gets: values so far and seconds since the first -> go on, or stop and why.

A rule that looks at the data after each launch stops a little early on lucky data. In a simulation with normal launches whose
spread is 1, 1.5, 2, 3 and 5%, and a rule of 2%, the 95% interval at the stop held the true median in 97, 96, 95, 94 and 93%
of 4,000 campaigns. `tests.unit.analysis.test_stopping` repeats the worst of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.records.launch import Launch
from harness.records.outcome import Decision, StopReason
from harness.records.plan import StoppingRule
from harness.text import counted

if TYPE_CHECKING:
    from harness.analysis.intervals import Estimate

MOST_LAUNCHES = 50
"""Launches of one cell under ``--until``. With a spread of 5% some 37 reach 2%; a cell that needs more needs a quieter machine."""

FEWEST_VALUES = 6
"""The values that a 95% interval of the median needs: see `harness.analysis.intervals.estimate`."""

MOST_FAILURES = 3
"""After this many launches of a cell in a row without a time, ``--until`` has nothing to wait for."""

MOST_BUDGET_MINUTES = 30 * 24 * 60


def decide(rule: StoppingRule, values: Sequence[float | None], *, elapsed_seconds: float) -> Decision:
    """Whether a cell is launched again. ``values`` are those of its launches in order, ``None`` for one without a time.

    Where several reasons to stop hold, the cell's own come before the campaign's budget.
    """
    from harness.analysis.intervals import estimate  # with `statistics` 3 ms, which a dry run does without

    timed = [value for value in values if value is not None]
    half_width = relative_half_width(estimate(timed))
    fails = len(values) >= MOST_FAILURES and all(value is None for value in values[-MOST_FAILURES:])
    stop: StopReason | None = None
    if rule.until is not None and half_width is not None and half_width <= rule.until:
        stop = "precise"
    elif len(values) >= rule.launches:
        stop = "launches"
    elif rule.until is not None and fails:
        stop = "failures"
    elif budget_is_spent(rule, elapsed_seconds):
        stop = "budget"
    return Decision(stop=stop, half_width=half_width, values=len(timed), elapsed_seconds=elapsed_seconds)


def budget_is_spent(rule: StoppingRule, elapsed_seconds: float) -> bool:
    """Whether no further launch may begin. A launch that is under way is never cut."""
    return rule.budget_seconds is not None and elapsed_seconds >= rule.budget_seconds


def relative_half_width(found: Estimate | None) -> float | None:
    """Half of the 95% interval's width as a share of the median; ``None`` where there is no interval."""
    if found is None or not found.is_interval or found.median <= 0:
        return None
    return (found.high - found.low) / 2 / found.median


def value_of(launch: Launch) -> float | None:
    """The time that a launch counts for, even where its output is wrong; ``None`` where it failed."""
    from harness.analysis.intervals import launch_seconds

    return None if launch.verdict.status == "fail" else launch_seconds(launch)


def rule_text(rule: StoppingRule) -> str:
    """The rule in words, for `--dry-run`, the progress and the report."""
    budget = "" if rule.budget_seconds is None else f"; none begins later than {rule.budget_seconds / 60:g} min after the first"
    if rule.until is None:
        return f"{counted(rule.launches, 'launch', 'launches')} of each configuration{budget}"
    return (
        f"{FEWEST_VALUES} to {rule.launches} launches of each configuration, until the 95% interval's half-width is "
        f"{percent(rule.until)} of the median or less{budget}"
    )


def stop_text(rule: StoppingRule, decision: Decision) -> str:
    """Why a cell is not launched again, in words; empty where it is."""
    width = "no interval yet" if decision.half_width is None else f"half-width {percent(decision.half_width)}"
    if decision.stop == "precise":
        return f"precise enough: {width}, {percent(rule.until or 0)} was asked for"
    if decision.stop == "launches" and rule.until is not None:
        return f"not precise enough after {counted(rule.launches, 'launch', 'launches')}, the most there are: {width}"
    if decision.stop == "launches":
        return "all launches done"
    if decision.stop == "failures":
        return f"{MOST_FAILURES} launches in a row without a time"
    if decision.stop == "budget":
        return budget_text(rule) + (f": {width}" if rule.until is not None else "")
    return ""


def budget_text(rule: StoppingRule) -> str:
    """The words that say that the budget is spent."""
    return f"the budget of {(rule.budget_seconds or 0) / 60:g} min is spent"


def percent(share: float) -> str:
    """``1.7%``, to three significant digits, so that a small share does not read as zero."""
    return f"{100 * share:.3g}%"


def parse_stopping(launches: int | None, until: str | None, budget_minutes: float | None, *, default: int) -> StoppingRule:
    """The rule from ``--launches``, ``--until`` and ``--budget``. Raises `UsageError` where they cannot hold."""
    if launches is not None and until is not None:
        raise UsageError("--launches and --until exclude each other: give a number of launches, or a precision to reach")
    if budget_minutes is not None and not (0 < budget_minutes <= MOST_BUDGET_MINUTES):
        raise UsageError(f"--budget {budget_minutes:g} is not a number of minutes between 0 and {MOST_BUDGET_MINUTES}")
    seconds = None if budget_minutes is None else 60 * budget_minutes
    if until is None:
        return StoppingRule(launches=default if launches is None else launches, budget_seconds=seconds)
    return StoppingRule(launches=MOST_LAUNCHES, until=parse_percentage(until), budget_seconds=seconds)


def parse_percentage(text: str) -> float:
    """``2%`` as 0.02. Raises `UsageError`, also for a bare number: is 0.02 two percent, or a fiftieth of one?"""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%", text.strip())
    share = float(match[1]) / 100 if match else math.nan
    if not 0 < share <= 1:
        raise UsageError(f"--until {text!r} is not a percentage above 0% and up to 100%, such as 2%")
    return share
