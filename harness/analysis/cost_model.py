"""Fixed and marginal cost: launches of one cell on several lengths -> seconds = fixed + marginal x length. Pure.

A length is the amount of a workload's unit, such as seconds of audio. A rate at one length mixes the two: a short input spreads the
fixed cost over little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import msgspec

from harness.analysis.intervals import CONFIDENCE, Interval

FEWEST_LENGTHS = 3
"""Two lengths always lie on a line."""

BENT = 0.05
"""If a straight line would scatter this much with a lower chance, the lengths are said not to lie on one."""

_ROUNDING = 1e-20
"""A sum of squared shares of a time that is smaller than this is only the rounding of floats."""


class Point(msgspec.Struct, frozen=True):
    """One launch."""

    amount: float
    seconds: float


class CostModel(msgspec.Struct, frozen=True, kw_only=True):
    """The line through the launches."""

    fixed_seconds: Interval
    """What any input costs, however short; below zero where the line crosses there."""
    marginal: Interval
    """Seconds for each further one of the unit"""
    portion_seconds: Interval
    """One launch on a portion, such as an hour of audio: the interval is that of a single launch, not of the mean of many."""
    free_seconds: Interval
    """The line at the length that costs no work: the fixed cost, if work is proportional to what is longer"""
    why_free: str
    """Why that length costs none; empty: there is none such"""
    correlation_squared: float | None
    """The squared correlation of length and seconds: R squared of an unweighted line. ``None``: all took the same time."""
    r_squared: float | None
    """The share of the weighted variance that the line explains. Each length counts alike, so it is the stricter of the two."""
    lack_of_fit: float | None
    """The chance that a straight line scatters this much between lengths; ``None``: no two launches of one length to judge by."""
    lengths: tuple[float, ...]

    @property
    def marginal_rate(self) -> Interval | None:
        """The unit's amount for each further second of processing; ``None`` where time does not rise with length.

        The high end is infinite where the interval of the slope reaches zero.
        """
        slope = self.marginal
        if slope.value <= 0:
            return None
        return Interval(1 / slope.value, 1 / slope.high, 1 / slope.low if slope.low > 0 else math.inf)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why the numbers cannot be taken at face value, each reason a sentence without a full stop."""
        said = []
        if self.fixed_seconds.value < 0:
            said.append(f"the fixed cost is below zero: {self._why_below_zero}")
        if self.marginal_rate is None:
            said.append("time does not rise with the length: these lengths are too short to see a marginal cost")
        elif self.marginal.low <= 0:
            said.append("the marginal cost cannot be told from none")
        if self.lack_of_fit is not None and self.lack_of_fit < BENT:
            said.append("the lengths do not lie on a straight line, so the intervals are too narrow")
        if self.lack_of_fit is None:
            said.append("one launch a length: whether a line is right cannot be judged")
        return tuple(said)

    @property
    def _why_below_zero(self) -> str:
        before = self.free_seconds
        if self.fixed_seconds.high >= 0:
            return "its interval holds zero, so there is none to see"
        if before.high < 0 or not self.why_free:
            return "a longer input costs more than its share"
        return f"{self.why_free}; the line is at {before.value:.2f} s [{before.low:.2f}, {before.high:.2f}] there"


class NoFit(msgspec.Struct, frozen=True):
    """Why there is no line."""

    reason: str


def fit_cost(points: Sequence[Point], *, portion: float = 1.0, free: float = 0.0, why_free: str = "") -> CostModel | NoFit:
    """The line by weighted least squares over launches, with 95% intervals of Student's t.

    A launch scatters by a share of its time, not by a number of seconds (1% of 2 s, 1% of 120 s). So each launch is weighted with
    1 / t^2, where t is the median time of its length; its own time would favour launches that happened to be fast.
    Without weights the longest length alone would decide, and the interval of the fixed cost would be that length's noise.
    The interval for a ``portion`` assumes that its launch scatters by the same share of the predicted time.

    Formulas: Draper and Smith, Applied Regression Analysis, 3rd edition, 9.2 (weights), 2.1 (lack of fit), 3.1 (prediction).
    """
    lengths = tuple(sorted({point.amount for point in points}))
    if any(not (math.isfinite(p.seconds) and p.seconds > 0 and p.amount > 0) for p in points):
        return NoFit("a launch took no time, or one that is no number")
    if len(lengths) < FEWEST_LENGTHS:
        counted = f"{len(lengths)} length{'' if len(lengths) == 1 else 's'}"
        return NoFit(f"{counted} with a time; a line needs {FEWEST_LENGTHS} or more")
    return _fitted(points, lengths, portion=portion, free=free, why_free=why_free)


def _fitted(points: Sequence[Point], lengths: tuple[float, ...], *, portion: float, free: float, why_free: str) -> CostModel:
    """The line through points of three lengths or more."""
    import numpy
    from scipy.linalg import lstsq, pinvh
    from scipy.stats import t as student

    x = numpy.array([point.amount for point in points])
    y = numpy.array([point.seconds for point in points])
    typical = {length: median(p.seconds for p in points if p.amount == length) for length in lengths}
    root = 1 / numpy.array([typical[length] for length in x])  # of the weights
    design = numpy.column_stack([root, root * x])
    (fixed, slope), *_ = lstsq(design, root * y)
    residuals = root * (y - fixed - slope * x)
    freedom = len(points) - 2
    variance = float(residuals @ residuals) / freedom
    covariance = variance * pinvh(design.T @ design)
    quantile = float(student.ppf((1 + CONFIDENCE) / 2, freedom))
    whole = float(fixed + slope * portion)

    def variance_at(length: float) -> float:
        """The variance of the line's own value at a length."""
        return max(0.0, float(covariance[0, 0] + 2 * length * covariance[0, 1] + length**2 * covariance[1, 1]))

    mean = float((root**2 @ y) / (root @ root))
    total = float((root * (y - mean)) @ (root * (y - mean)))
    return CostModel(
        fixed_seconds=_interval(float(fixed), quantile * math.sqrt(variance_at(0.0))),
        marginal=_interval(float(slope), quantile * math.sqrt(max(0.0, float(covariance[1, 1])))),
        portion_seconds=_interval(whole, quantile * math.sqrt(variance_at(portion) + variance * whole**2)),
        free_seconds=_interval(float(fixed + slope * free), quantile * math.sqrt(variance_at(free))),
        why_free=why_free,
        correlation_squared=float(numpy.corrcoef(x, y)[0, 1]) ** 2 if total > _ROUNDING else None,
        r_squared=1 - float(residuals @ residuals) / total if total > _ROUNDING else None,
        lack_of_fit=_lack_of_fit(points, residual=float(residuals @ residuals), typical=typical),
        lengths=lengths,
    )


def _lack_of_fit(points: Sequence[Point], *, residual: float, typical: dict[float, float]) -> float | None:
    """The F test's p-value: the residuals around the line against the residuals around each length's own mean."""
    from scipy.stats import f as fisher

    pure_freedom, bent_freedom = len(points) - len(typical), len(typical) - 2
    if pure_freedom == 0:
        return None
    pure = 0.0
    for length, middle in typical.items():
        shares = [point.seconds / middle for point in points if point.amount == length]
        mean = sum(shares) / len(shares)
        pure += sum((share - mean) ** 2 for share in shares)
    bent = max(0.0, residual - pure)
    if pure <= _ROUNDING:  # launches of one length all took the same time
        return 1.0 if bent <= _ROUNDING else 0.0
    return float(fisher.sf((bent / bent_freedom) / (pure / pure_freedom), bent_freedom, pure_freedom))


def _interval(value: float, half_width: float) -> Interval:
    return Interval(value, value - half_width, value + half_width)
