from __future__ import annotations

import itertools
from fractions import Fraction
from math import comb

import pytest

from harness.analysis.intervals import CONFIDENCE, Estimate, estimate, launch_seconds, rate_of
from tests.unit.samples import a_failed_launch, a_launch, passing_journal


def coverage(n: int, rank: int) -> Fraction:
    """How often the median lies between the order statistics ``rank`` and its mirror image (from 0), exactly:
    Conover, Practical Nonparametric Statistics, 3.2."""
    return 1 - 2 * Fraction(sum(comb(n, below) for below in range(rank + 1)), 2**n)


def test_no_values_have_no_estimate() -> None:
    assert estimate([]) is None


def test_one_value_is_its_own_extremes() -> None:
    assert estimate([2.0]) == Estimate(2.0, 2.0, 2.0, 1, is_interval=False)


def test_the_median_of_an_even_number_is_between_the_middle_two() -> None:
    found = estimate([1.0, 2.0, 4.0, 10.0])
    assert found is not None
    assert found.median == 3.0


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_fewer_than_six_values_have_extremes_and_no_interval(n: int) -> None:
    found = estimate([float(value) for value in range(n)])
    assert found is not None
    assert (found.low, found.high, found.n, found.is_interval) == (0.0, n - 1.0, n, False)


@pytest.mark.parametrize(
    ("n", "low", "high"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (10, 2, 9), (12, 3, 10), (15, 4, 12), (20, 6, 15)]
)
def test_the_interval_is_the_published_one(n: int, low: int, high: int) -> None:
    """Order statistics, counted from 1, of the tables for the sign test's interval."""
    found = estimate([float(value) for value in range(1, n + 1)])
    assert found is not None
    assert (found.low, found.high, found.is_interval) == (low, high, True)


@pytest.mark.parametrize("n", range(6, 40))
def test_the_interval_is_the_narrowest_that_covers_95_percent(n: int) -> None:
    found = estimate([float(value) for value in range(n)])
    assert found is not None
    rank = int(found.low)
    assert found.high == n - 1 - rank
    assert coverage(n, rank) >= Fraction(str(CONFIDENCE))
    assert coverage(n, rank + 1) < Fraction(str(CONFIDENCE))


def test_the_order_of_the_values_does_not_matter() -> None:
    found = {estimate(order) for order in itertools.permutations([1.0, 2.0, 3.0, 5.0])}
    assert len(found) == 1


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert estimate([2.0] * 6) == Estimate(2.0, 2.0, 2.0, 6, is_interval=True)


def test_the_value_of_a_launch_is_the_median_of_its_warm_passes() -> None:
    launch = a_launch(journal=passing_journal(warm=(2.0, 9.0, 2.2), cold=30.0))
    assert launch_seconds(launch) == 2.2
    assert rate_of(launch) == pytest.approx(30.0 / 2.2)


def test_a_launch_without_a_warm_pass_has_no_value() -> None:
    launch = a_failed_launch(stage="cold")
    assert launch_seconds(launch) is None
    assert rate_of(launch) is None


def test_a_pass_that_took_no_time_has_no_rate() -> None:
    assert rate_of(a_launch(journal=passing_journal(warm=(0.0,)))) is None
