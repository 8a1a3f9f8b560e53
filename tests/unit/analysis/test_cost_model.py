from __future__ import annotations

import math

import pytest

from harness.analysis.cost_model import CostModel, NoFit, Point, fit_cost


def line(fixed: float, slope: float, lengths: tuple[float, ...], *, factors: tuple[float, ...] = (1.0,)) -> list[Point]:
    """Launches on a line, each length once with each factor."""
    return [Point(length, (fixed + slope * length) * factor) for length in lengths for factor in factors]


def fitted(points: list[Point]) -> CostModel:
    found = fit_cost(points, portion=3600.0, free=9.0, why_free="9 s of every recording add no chunk")
    assert isinstance(found, CostModel)
    return found


LENGTHS = (11.0, 30.0, 120.0, 600.0)


def test_launches_on_a_line_give_that_line_back() -> None:
    found = fitted(line(1.5, 0.05, LENGTHS))
    assert found.fixed_seconds.value == pytest.approx(1.5)
    assert found.marginal.value == pytest.approx(0.05)
    assert found.portion_seconds.value == pytest.approx(1.5 + 0.05 * 3600)
    assert found.correlation_squared == found.r_squared == pytest.approx(1.0)
    assert found.marginal_rate is not None
    assert found.marginal_rate.value == pytest.approx(20.0)
    assert found.fixed_seconds.low == pytest.approx(found.fixed_seconds.high)
    assert found.lengths == LENGTHS


def test_three_points_worked_by_hand() -> None:
    """Lengths 1, 2, 3 with times 1, 2, 4, so weights 1, 1/4, 1/16.

    Sums: w 21/16, wx 27/16, wy 7/4, wxx 41/16, wxy 11/4. Determinant 21/16 * 41/16 - (27/16)^2 = 132/256 = 33/64.
    Slope (21/16 * 11/4 - 27/16 * 7/4) / (33/64) = 14/11; fixed (7/4 - 14/11 * 27/16) / (21/16) = -10/33.
    """
    weights, x, y = (1.0, 1 / 4, 1 / 16), (1.0, 2.0, 3.0), (1.0, 2.0, 4.0)
    found = fitted([Point(*pair) for pair in zip(x, y, strict=True)])
    assert found.marginal.value == pytest.approx(14 / 11)
    fixed = -10 / 33
    assert found.fixed_seconds.value == pytest.approx(fixed)
    left = sum(w * (b - fixed - 14 / 11 * a) ** 2 for w, a, b in zip(weights, x, y, strict=True))
    # One degree of freedom: Student's t is Cauchy's, whose 97.5% quantile is tan(0.475 pi).
    half = math.tan(0.475 * math.pi) * math.sqrt(left * (21 / 16) / (33 / 64))
    assert found.marginal.high - found.marginal.value == pytest.approx(half)
    mean = (7 / 4) / (21 / 16)
    total = sum(w * (b - mean) ** 2 for w, b in zip(weights, y, strict=True))
    assert found.r_squared == pytest.approx(1 - left / total)
    # Sums of products about the means: xy 3, xx 2, yy 14/3.
    assert found.correlation_squared == pytest.approx(3**2 / (2 * 14 / 3))


def test_the_line_and_its_errors_are_scipy_s_own() -> None:
    import numpy
    from scipy.optimize import curve_fit
    from scipy.stats import t

    points = line(2.0, 0.04, LENGTHS, factors=(0.99, 1.0, 1.02))
    found = fitted(points)
    x = numpy.array([point.amount for point in points])
    y = numpy.array([point.seconds for point in points])
    sigma = numpy.repeat([2.0 + 0.04 * length for length in LENGTHS], 3)  # the median of each length is on the line
    values, covariance = curve_fit(lambda at, a, b: a + b * at, x, y, p0=(1.0, 0.1), sigma=sigma)
    errors = numpy.sqrt(numpy.diag(covariance)) * t.ppf(0.975, len(points) - 2)
    assert [found.fixed_seconds.value, found.marginal.value] == pytest.approx(list(values), rel=1e-5)
    assert found.fixed_seconds.high - found.fixed_seconds.value == pytest.approx(errors[0], rel=1e-4)
    assert found.marginal.high - found.marginal.value == pytest.approx(errors[1], rel=1e-4)


def test_the_intervals_hold_the_truth_as_often_as_they_say_where_launches_scatter_by_a_share_of_their_time() -> None:
    """400 campaigns of four lengths and three launches that scatter by 2%: 95% is 380, and three standard errors are 13."""
    import numpy

    random = numpy.random.default_rng(20261122)
    fixed = slope = hour = 0
    for _ in range(400):
        points = [Point(x, (3 + 0.05 * x) * (1 + 0.02 * float(random.normal()))) for x in LENGTHS for _ in range(3)]
        found = fitted(points)
        fixed += found.fixed_seconds.low <= 3 <= found.fixed_seconds.high
        slope += found.marginal.low <= 0.05 <= found.marginal.high
        launch = 183 * (1 + 0.02 * float(random.normal()))
        hour += found.portion_seconds.low <= launch <= found.portion_seconds.high
    assert all(367 <= count <= 393 for count in (fixed, slope, hour)), (fixed, slope, hour)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "0 lengths with a time; a line needs 3 or more"),
        ([Point(30.0, 2.0)] * 9, "1 length with a time; a line needs 3 or more"),
        (line(1.0, 0.1, (11.0, 30.0), factors=(0.9, 1.0, 1.1)), "2 lengths with a time; a line needs 3 or more"),
        ([*line(1.0, 0.1, LENGTHS), Point(30.0, 0.0)], "a launch took no time, or one that is no number"),
        ([*line(1.0, 0.1, LENGTHS), Point(30.0, math.nan)], "a launch took no time, or one that is no number"),
    ],
    ids=["none", "one length", "two lengths", "no time", "no number"],
)
def test_what_no_line_can_go_through_is_refused_with_the_reason(points: list[Point], reason: str) -> None:
    found = fit_cost(points)
    assert isinstance(found, NoFit)
    assert found.reason == reason


def test_launches_that_all_take_the_same_have_no_marginal_cost_and_no_r_squared() -> None:
    found = fitted([Point(length, 2.0) for length in (1.0, 2.0, 4.0) for _ in range(2)])
    assert found.fixed_seconds.value == pytest.approx(2.0)
    assert found.marginal.value == pytest.approx(0.0, abs=1e-12)
    assert found.correlation_squared is found.r_squared is None


def test_a_time_that_falls_with_the_length_has_no_marginal_rate() -> None:
    found = fitted(line(10.0, -0.01, LENGTHS))
    assert found.marginal_rate is None
    assert any("time does not rise with the length" in remark for remark in found.remarks)


def test_a_fixed_cost_below_zero_is_explained_by_what_is_free_by_scatter_or_not_at_all() -> None:
    chunks = fitted([Point(x, (0.1 + 0.15 * (x - 9)) * factor) for x in LENGTHS for factor in (0.99, 1.01)])
    assert chunks.fixed_seconds.high < 0
    assert chunks.free_seconds.value == pytest.approx(0.1, abs=0.02)
    assert any("below zero: 9 s of every recording add no chunk" in each and "at 0.10 s [" in each for each in chunks.remarks)
    dearer = fitted(line(-5.0, 0.5, LENGTHS, factors=(0.999, 1.001)))
    assert dearer.free_seconds.high < 0
    assert any("below zero: a longer input costs more than its share" in each for each in dearer.remarks)
    loose = fitted(line(-0.01, 0.1, LENGTHS, factors=(0.9, 1.1)))
    assert loose.fixed_seconds.value < 0 < loose.fixed_seconds.high
    assert any("its interval holds zero, so there is none to see" in each for each in loose.remarks)


def test_an_interval_of_the_slope_that_reaches_zero_has_no_upper_end_of_the_rate() -> None:
    found = fitted([Point(1.0, 2.0), Point(2.0, 2.6), Point(3.0, 2.2)])
    assert found.marginal.low < 0 < found.marginal.value
    assert found.marginal_rate is not None
    assert found.marginal_rate.high == math.inf
    assert any("cannot be told from none" in remark for remark in found.remarks)


def test_a_bend_is_told_from_scatter() -> None:
    bent = fitted([Point(x, (1 + 0.05 * x + 0.0005 * x * x) * factor) for x in LENGTHS for factor in (0.99, 1.01)])
    assert bent.lack_of_fit is not None
    assert bent.lack_of_fit < 0.01
    assert any("do not lie on a straight line" in remark for remark in bent.remarks)
    straight = fitted(line(1.0, 0.05, LENGTHS, factors=(0.99, 1.01)))
    assert straight.lack_of_fit is not None
    assert straight.lack_of_fit > 0.9
    assert straight.remarks == ()


def test_the_test_of_a_bend_worked_by_hand() -> None:
    """Lengths 1, 2, 3 with medians of 1, so weights of 1; means 1, 1.1 and 1.

    The line is flat at 31/30: 3 * (2 * (1/30)^2 + (2/30)^2) = 0.02 with 1 degree of freedom. Around the means there is
    0.02 + 0.14 + 0.02 = 0.18 with 6. F = 0.02 / 0.03 = 2/3.
    """
    from scipy.stats import f

    times = {1.0: (0.9, 1.0, 1.1), 2.0: (0.9, 1.0, 1.4), 3.0: (0.9, 1.0, 1.1)}
    found = fitted([Point(length, seconds) for length, all_seconds in times.items() for seconds in all_seconds])
    assert found.marginal.value == pytest.approx(0, abs=1e-12)
    assert found.fixed_seconds.value == pytest.approx(31 / 30)
    assert found.lack_of_fit == pytest.approx(f.sf(2 / 3, 1, 6))


def test_one_launch_a_length_cannot_tell_a_bend() -> None:
    found = fitted(line(1.0, 0.05, LENGTHS))
    assert found.lack_of_fit is None
    assert any("one launch a length" in remark for remark in found.remarks)


def test_launches_without_any_scatter_are_judged_by_rounding_alone() -> None:
    same = (1.0, 1.0)
    assert fitted(line(1.0, 0.05, LENGTHS, factors=same)).lack_of_fit == 1.0
    bent = [Point(x, 1 + 0.01 * x * x) for x in LENGTHS for _ in same]
    assert fitted(bent).lack_of_fit == 0.0


def test_the_order_of_the_launches_does_not_matter() -> None:
    points = line(2.0, 0.04, LENGTHS, factors=(0.99, 1.0, 1.02))
    forth, back = fitted(points), fitted(points[::-1])
    assert forth.fixed_seconds.value == pytest.approx(back.fixed_seconds.value)
    assert forth.portion_seconds.high == pytest.approx(back.portion_seconds.high)
