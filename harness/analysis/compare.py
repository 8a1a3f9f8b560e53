"""Pairs of numbers -> what a change did, with its uncertainty. Pure: knows only numbers, and the tool's one rule for a claim.

A pair is one round of a campaign: one launch of each arm, next to each other in time. All arithmetic is on log-ratios, so that twice
as slow and twice as fast are equally far from no change. The rule: at least `FEWEST_PAIRS` pairs, and a paired t-test whose p, after
Holm's correction over all comparisons of the campaign, is below `SIGNIFICANCE`. In simulations with a spread of 1% between launches,
the rule claims a change where there is none in 3 to 5% of the cases, with and without a drift of 10%. Five pairs could not reach 5%
by their signs, whatever their values (2 / 2^5 = 6%). The sign-flip p is a second opinion that assumes no normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Literal

import msgspec

from harness.analysis.intervals import CONFIDENCE, Interval

if TYPE_CHECKING:
    import numpy

FEWEST_PAIRS = 6
SIGNIFICANCE = 0.05
POWER = 0.8

MOST_ENUMERATED = 14
"""Up to this many pairs, every relabelling is looked at: 2^13 of them."""

RELABELLINGS = 8192
"""With more pairs, this many are drawn with a fixed seed."""

RESAMPLES = 400
_SEED = 20260101

Change = Literal["slower", "faster", "no change", "too few pairs"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """An arm against the base. Ratios are ratios of seconds: 1.03 is 3% slower."""

    ratio: float
    """Geometric mean of the pairs' ratios"""
    median: float
    low: float | None
    """95% t-interval of ``ratio``; ``None``: one pair has no spread"""
    high: float | None
    n: int
    """Complete pairs"""
    left_out: int = 0
    """Pairs in which a launch failed, gave wrong output or is missing"""
    p: float | None = None
    """Two-sided p of the paired t-test; ``None``: there is only one pair"""
    p_holm: float | None = None
    """``p`` after Holm's correction over those of the ``among`` comparisons that have a p"""
    p_sign_flip: float | None = None
    among: int = 1
    detectable: float | None = None
    """The smallest effect that these pairs would show in 80% of the cases, as a share of the time: 0.02 is 2%"""

    @property
    def change(self) -> Change:
        """What may be claimed."""
        if self.n < FEWEST_PAIRS or self.p_holm is None:
            return "too few pairs"
        if self.p_holm >= SIGNIFICANCE:
            return "no change"
        return "slower" if self.ratio > 1 else "faster"

    @property
    def bound(self) -> float | None:
        """The largest change in either direction that the interval allows, as a share."""
        return None if self.low is None or self.high is None else max(self.high, _exp(-math.log(self.low))) - 1


class NullTest(msgspec.Struct, frozen=True, kw_only=True):
    """A cell against itself: how well this machine can tell two things apart."""

    comparison: Comparison
    """Arm B against arm A: whatever it says is noise"""
    spread: Interval | None
    """Standard deviation of the pairs' log-ratios (0.01 is about 1%) with its interval; ``None``: fewer than two pairs"""
    claims: int
    """How many of ``trials`` claimed a change, though there can be none"""
    trials: int
    """Separate blocks of `FEWEST_PAIRS` pairs in order of time: each is a comparison as `--vary` makes it by default"""
    rate: Interval | None
    """``claims`` as a share of ``trials``, with an exact (Clopper-Pearson) interval; ``None``: not enough pairs for one trial"""
    relabelled: Interval | None
    """Share of ``relabellings`` in which the tool's rule would have claimed a change, with an interval from resampled pairs;
    ``None``: too few pairs to claim anything"""
    relabellings: int
    detectable: Interval | None
    """The smallest effect that `FEWEST_PAIRS` pairs would show in 80% of the cases; its interval follows from the spread's"""
    detectable_by_all: Interval | None
    """The same for as many pairs as there are here"""


def compare_pairs(pairs: Sequence[tuple[float, float]], *, left_out: int = 0, among: int = 1) -> Comparison | None:
    """The second of each pair of seconds against the first; ``None`` without a pair.

    ``among`` is the number of comparisons made at once. The detectable effect allows for it; `with_holm` corrects their p.
    """
    logs = _logs(pairs)
    if not logs:
        return None
    mean, n = math.fsum(logs) / len(logs), len(logs)
    half = None if n < 2 else _t_quantile(n - 1, 1 - CONFIDENCE) * spread_of(logs) / math.sqrt(n)
    p = None if n < 2 else t_test(logs)
    return Comparison(
        ratio=_exp(mean),
        median=median(other / base for base, other in pairs),
        low=None if half is None else _exp(mean - half),
        high=None if half is None else _exp(mean + half),
        n=n,
        left_out=left_out,
        p=p,
        p_holm=p,
        p_sign_flip=sign_flip_test(logs),
        among=among,
        detectable=None if n < 2 else detectable_effect(spread_of(logs), n, among=among),
    )


def with_holm(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The same comparisons with Holm's correction over all of them; one without a p is left as it is."""
    tested = [each for each in comparisons if each.p is not None]
    adjusted = iter(holm([each.p for each in tested if each.p is not None]))
    return tuple(each if each.p is None else msgspec.structs.replace(each, p_holm=next(adjusted)) for each in comparisons)


def holm(ps: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values, in the order given (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    adjusted, worst = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = worst
    return tuple(adjusted)


def t_test(values: Sequence[float]) -> float:
    """Two-sided p of the t-test that the mean is 0; needs two values or more."""
    from scipy.special import stdtr

    spread, n = spread_of(values), len(values)
    mean = math.fsum(values) / n
    if spread <= 1e-12 * abs(mean) or spread == 0:  # equal values: only rounding is left
        return 1.0 if mean == 0 else 0.0
    return float(2 * stdtr(n - 1, -abs(mean) / spread * math.sqrt(n)))


def sign_flip_test(values: Sequence[float]) -> float:
    """Two-sided p that the mean is as far from 0 as observed, if each value could as well have the opposite sign.

    Up to `MOST_ENUMERATED` values all 2^n signs are tried; with more, signs are drawn and the observed ones counted among them.
    """
    import numpy

    numbers = numpy.asarray(values, dtype=float)
    means = numpy.abs(_signs(len(numbers)) @ numbers)
    observed = abs(float(numbers.sum()))
    as_far = int((means >= observed * (1 - 1e-9)).sum())
    if len(numbers) <= MOST_ENUMERATED:
        return as_far / len(means)
    return (as_far + 1) / (len(means) + 1)


def detectable_effect(spread: float, n: int, *, among: int = 1) -> float:
    """The share of the time by which two arms must differ for n pairs to show it in 80% of the cases, two-sided at 5%.

    Computed from the non-central t distribution; among several comparisons, for the one that Holm's correction treats worst.
    """
    return _exp(_noncentrality(n, SIGNIFICANCE / among) * spread / math.sqrt(n)) - 1


def spread_of(values: Sequence[float]) -> float:
    """Standard deviation of a sample of two or more."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def null_test(pairs: Sequence[tuple[float, float]], *, left_out: int = 0) -> NullTest | None:
    """What pairs of one cell against itself, in order of time, say about this machine; ``None`` without a pair.

    ``rate`` is measured on real launches in their real order. It includes drift, but has few trials. ``relabelled`` swaps A and B
    in the same pairs. It tells whether the rule's 5% holds for the distribution of this machine's noise (outliers, two modes);
    by construction it cannot see drift inside a pair.
    """
    comparison = compare_pairs(pairs, left_out=left_out)
    if comparison is None:
        return None
    logs = _logs(pairs)
    blocks = [logs[start : start + FEWEST_PAIRS] for start in range(0, len(logs) - FEWEST_PAIRS + 1, FEWEST_PAIRS)]
    claims = sum(t_test(block) < SIGNIFICANCE for block in blocks)
    spread = _spread_range(logs)
    return NullTest(
        comparison=comparison,
        spread=spread,
        claims=claims,
        trials=len(blocks),
        rate=share(claims, len(blocks)),
        relabelled=_relabelled(logs) if len(logs) >= FEWEST_PAIRS else None,
        relabellings=len(_signs(len(logs))) if len(logs) >= FEWEST_PAIRS else 0,
        detectable=_detectable_range(spread, FEWEST_PAIRS),
        detectable_by_all=_detectable_range(spread, len(logs)),
    )


def share(successes: int, trials: int) -> Interval | None:
    """A share with its exact (Clopper-Pearson) 95% interval; ``None`` without a trial."""
    from scipy.special import betaincinv

    if not trials:
        return None
    tail, failures = (1 - CONFIDENCE) / 2, trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(successes / trials, low, high)


def _relabelled(logs: Sequence[float]) -> Interval:
    """The share of relabellings in which the rule would claim a change, with a percentile interval from resampled pairs."""
    import numpy

    numbers = numpy.asarray(logs, dtype=float)
    signs = _signs(len(numbers))
    draws = numpy.random.default_rng(_SEED).integers(0, len(numbers), (RESAMPLES, len(numbers)))
    rates = [_share_claimed(signs, numbers[draw]) for draw in draws]
    low, high = numpy.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(_share_claimed(signs, numbers), float(low), float(high))


def _share_claimed(signs: numpy.ndarray, numbers: numpy.ndarray) -> float:
    """The share of rows of signs whose mean the t-test calls a change. Flipping signs leaves the sum of squares unchanged."""
    n = len(numbers)
    squares = float((numbers**2).sum())
    # |t| > q  <=>  mean^2 > q^2 * squares / (n * (n - 1 + q^2))
    quantile = _t_quantile(n - 1, SIGNIFICANCE)
    limit = quantile**2 * squares / (n * (n - 1 + quantile**2))
    return float((((signs @ numbers) / n) ** 2 > limit).mean())


@lru_cache(maxsize=64)
def _signs(n: int) -> numpy.ndarray:
    """Rows of +1 and -1: all of them, counting a row and its negative once; or rows that are drawn."""
    import numpy

    if n <= MOST_ENUMERATED:
        bits = (numpy.arange(2 ** max(n - 1, 0))[:, None] >> numpy.arange(n)) & 1
        return 1.0 - 2.0 * bits
    return numpy.random.default_rng(_SEED).choice([-1.0, 1.0], (RELABELLINGS, n))


def _spread_range(logs: Sequence[float]) -> Interval | None:
    """The spread with its interval, by the chi-square distribution of a normal sample's variance."""
    from scipy.special import chdtri

    if len(logs) < 2:
        return None
    spread, freedom, tail = spread_of(logs), len(logs) - 1, (1 - CONFIDENCE) / 2
    # chdtri(v, p) is the x whose upper tail is p.
    low, high = (spread * math.sqrt(freedom / float(chdtri(freedom, p))) for p in (tail, 1 - tail))
    return Interval(spread, low, high)


def _detectable_range(spread: Interval | None, n: int) -> Interval | None:
    """The effect that n pairs can detect, for a spread and for the ends of its interval."""
    if spread is None or n < 2:
        return None
    return Interval(*(detectable_effect(each, n) for each in (spread.value, spread.low, spread.high)))


@lru_cache(maxsize=256)
def _t_quantile(freedom: int, alpha: float) -> float:
    """The value that Student's t exceeds, on either side, with probability alpha."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - alpha / 2))


@lru_cache(maxsize=256)
def _noncentrality(n: int, alpha: float) -> float:
    """The noncentrality at which the t-test of n pairs has the power `POWER`."""
    from scipy.optimize import brentq
    from scipy.special import nctdtr

    quantile = _t_quantile(n - 1, alpha)
    # The far tail adds less than 1e-4 to a power of 80%. The upper bound is generous, since with few pairs the quantile is large.
    return float(brentq(lambda shift: 1 - nctdtr(n - 1, shift, quantile) - POWER, 0.0, 10 + 5 * quantile))


def _logs(pairs: Sequence[tuple[float, float]]) -> list[float]:
    return [math.log(other / base) for base, other in pairs]


def _exp(value: float) -> float:
    """e to the value, kept within what a float and JSON can hold: the interval of two pairs may be that wide."""
    return math.exp(max(-690.0, min(value, 690.0)))
