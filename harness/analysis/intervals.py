"""Launches -> a median with its interval. The launch is the unit, since passes inside one are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import median

import msgspec

from harness.analysis.outliers import oddities_of
from harness.records.launch import Launch

CONFIDENCE = 0.95


class Interval(msgspec.Struct, frozen=True):
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


class Estimate(msgspec.Struct, frozen=True):
    """A median with its uncertainty, as far as it is known."""

    median: float
    low: float
    high: float
    n: int
    is_interval: bool
    """Whether low and high are a 95% confidence interval of the median; otherwise they are the smallest and largest value."""
    flags: tuple[str, ...] = ()
    """What is odd about the values, see `harness.analysis.outliers`. All of them count."""


def estimate(values: Sequence[float]) -> Estimate | None:
    """Median and interval; ``None`` without a value.

    The interval lies between the order statistics whose binomial coverage reaches 95% (Conover, Practical Nonparametric
    Statistics, 3.2). It assumes no distribution and needs at least six values. With fewer, the extremes are given instead, and
    ``is_interval`` is false.
    """
    if not values:
        return None
    ordered = sorted(values)
    rank, flags = _lower_rank(len(ordered)), oddities_of(ordered)
    if rank is None:
        return Estimate(median(ordered), ordered[0], ordered[-1], len(ordered), is_interval=False, flags=flags)
    return Estimate(median(ordered), ordered[rank], ordered[-1 - rank], len(ordered), is_interval=True, flags=flags)


def launch_seconds(launch: Launch) -> float | None:
    """The value of a launch: the median of its warm passes; ``None`` where there is none."""
    passes = launch.pass_seconds("warm")
    return median(passes) if passes else None


def rate_of(launch: Launch) -> float | None:
    """The workload's amount a second of processing, such as seconds of audio: higher is faster."""
    seconds = launch_seconds(launch)
    return launch.plan.workload.amount / seconds if seconds else None


@cache
def _lower_rank(n: int) -> int | None:
    """The largest rank (from 0) for which the interval up to its mirror image covers the median with 95%; ``None``: not even
    the extremes do."""
    from scipy.special import bdtr  # scipy.stats would take half a second of every command's start

    ranks = [rank for rank in range(n // 2) if 1 - 2 * bdtr(rank, n, 0.5) >= CONFIDENCE]
    return max(ranks) if ranks else None
