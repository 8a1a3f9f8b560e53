"""Known answers, and simulations with a fixed seed. All numbers are made up; none is a measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy
import pytest
from scipy import stats

from harness.analysis.compare import (
    FEWEST_PAIRS,
    MOST_ENUMERATED,
    Comparison,
    compare_pairs,
    detectable_effect,
    holm,
    null_test,
    share,
    sign_flip_test,
    spread_of,
    t_test,
    with_holm,
)
from harness.analysis.intervals import Interval
from harness.campaign.arms import DEFAULT_LAUNCHES, order

RATIOS = (1.03, 1.01, 1.02, 1.04, 1.02, 1.03)


def pairs_of(*ratios: float, base: float = 2.0) -> list[tuple[float, float]]:
    return [(base, base * ratio) for ratio in ratios]


def compared(*ratios: float) -> Comparison:
    found = compare_pairs(pairs_of(*ratios))
    assert found is not None
    return found


def test_the_ratio_is_the_geometric_mean_and_the_interval_student_s() -> None:
    found = compared(*RATIOS)
    logs = numpy.log(RATIOS)
    low, high = stats.t.interval(0.95, 5, logs.mean(), logs.std(ddof=1) / math.sqrt(6))
    assert found.ratio == pytest.approx(math.prod(RATIOS) ** (1 / 6))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert found.median == pytest.approx(1.025)
    assert found.p == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)
    assert (found.n, found.left_out, found.change) == (6, 0, "slower")


def test_six_pairs_of_one_sign_have_the_smallest_sign_flip_p_that_there_is() -> None:
    assert compared(*RATIOS).p_sign_flip == 2 / 2**6
    assert compared(*RATIOS[:5]).p_sign_flip == 2 / 2**5 > 0.05


def test_a_sign_flip_p_agrees_with_scipy_s_permutations() -> None:
    logs = list(numpy.log((1.02, 0.99, 1.03, 1.01, 0.985, 1.04, 1.0)))
    whole = stats.permutation_test((logs,), numpy.sum, permutation_type="samples", n_resamples=10_000)
    assert sign_flip_test(logs) == pytest.approx(whole.pvalue)


def test_many_pairs_are_flipped_at_random_with_the_observed_one_counted() -> None:
    drawn = sign_flip_test([0.01] * (MOST_ENUMERATED + 1))
    assert 0 < drawn < 0.002
    assert sign_flip_test([0.01, -0.01] * 10) == 1.0


def test_what_is_faster_is_said_to_be() -> None:
    assert compared(*(1 / ratio for ratio in RATIOS)).change == "faster"


def test_fewer_than_six_pairs_claim_nothing_however_far_apart() -> None:
    found = compared(2.0, 2.001, 2.002, 2.001, 2.0)
    assert found.p is not None
    assert found.p < 1e-6
    assert (found.n, found.change) == (5, "too few pairs")
    single = compared(2.0)
    assert (single.low, single.p, single.p_holm, single.detectable, single.bound) == (None,) * 5
    assert (single.ratio, single.change) == (2.0, "too few pairs")
    assert compare_pairs([]) is None


def test_no_change_is_bounded_by_the_farther_end_of_the_interval() -> None:
    found = compared(1.01, 0.99, 1.02, 0.985, 1.0, 0.99)
    assert found.change == "no change"
    assert found.low is not None
    assert found.high is not None
    assert found.bound == pytest.approx(max(found.high - 1, 1 / found.low - 1))
    assert 0.01 < found.bound < 0.03


def test_twice_as_slow_and_twice_as_fast_are_equally_far() -> None:
    there, back = compared(*RATIOS), compare_pairs([(b, a) for a, b in pairs_of(*RATIOS)])
    assert back is not None
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (back.p, back.detectable) == pytest.approx((there.p, there.detectable))


@pytest.mark.parametrize(("values", "p"), [([0.0] * 6, 1.0), ([0.1] * 6, 0.0)])
def test_equal_values_have_no_spread_to_judge_by(values: list[float], p: float) -> None:
    assert t_test(values) == p


def test_times_that_no_machine_has_make_no_number_that_json_cannot_write() -> None:
    found = compare_pairs([(1e-6, 1e300), (1e300, 1e-6)])
    assert found is not None
    numbers = (found.ratio, found.low, found.high, found.bound, found.detectable)
    assert all(number is not None and math.isfinite(number) for number in numbers)


def test_holm_s_correction_has_its_known_answers() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx((0.03, 0.06, 0.06))
    assert holm([0.5, 0.001, 0.9]) == pytest.approx((1.0, 0.003, 1.0))
    assert holm([]) == ()


def test_the_correction_decides_among_several_arms() -> None:
    one = compared(1.02, 1.01, 1.03, 0.995, 1.02, 1.005)
    assert one.p is not None
    assert 0.025 < one.p < 0.05
    assert one.change == "slower"
    nothing = compared(1.01, 0.99, 1.0, 1.01, 0.99, 1.0)
    first, second, third = with_holm([one, compared(1.5), nothing])
    assert first.p_holm == pytest.approx(2 * one.p)
    assert first.change == "no change"
    assert (second.p_holm, third.p_holm) == (None, nothing.p)


@pytest.mark.parametrize(("n", "among"), [(2, 1), (3, 1), (6, 1), (6, 4), (10, 1), (40, 12)])
def test_the_detectable_effect_is_where_the_test_s_power_is_80_percent(n: int, among: int) -> None:
    effect = detectable_effect(0.01, n, among=among)
    shift, quantile = math.log(1 + effect) / 0.01 * math.sqrt(n), stats.t.ppf(1 - 0.025 / among, n - 1)
    power = stats.nct.sf(quantile, n - 1, shift)  # the far tail is below 1e-4
    assert power == pytest.approx(0.8, abs=1e-4)


def simulated(trials: int, pairs: int, *, drift: float, blocked: bool = False, effect: float = 0.0) -> list[list[float]]:
    """Log-ratios of made-up launches, 1% between them, whose machine slows steadily by a drift over the whole campaign."""
    random = numpy.random.default_rng(7)
    rounds = [order((0, 1), number) for number in range(pairs)]
    arms = sorted(arm for each in rounds for arm in each) if blocked else [arm for each in rounds for arm in each]
    found = []
    for _ in range(trials):
        noise = random.normal(0.0, 0.01, 2 * pairs) + numpy.log1p(drift * numpy.arange(2 * pairs) / (2 * pairs - 1))
        values: tuple[list[float], list[float]] = ([], [])
        for arm, value in zip(arms, noise, strict=True):
            values[arm].append(float(value) + effect * arm)
        found.append([other - base for base, other in zip(*values, strict=True)])
    return found


def share_claimed(trials: Sequence[Sequence[float]]) -> float:
    return sum(t_test(logs) < 0.05 for logs in trials) / len(trials)


@pytest.mark.parametrize("drift", [0.0, 0.03, 0.10])
def test_alternating_rounds_hold_false_claims_near_5_percent_under_drift(drift: float) -> None:
    rate = share_claimed(simulated(1500, FEWEST_PAIRS, drift=drift))
    assert 0.005 < rate < 0.065  # 5% +- 3 standard errors above; a drift inside the pairs makes it rarer


def test_blocked_order_calls_a_drift_a_change() -> None:
    assert share_claimed(simulated(200, FEWEST_PAIRS, drift=0.10, blocked=True)) > 0.95


def test_the_detectable_effect_is_found_in_four_of_five_cases() -> None:
    effect = detectable_effect(0.01 * math.sqrt(2), FEWEST_PAIRS)
    found = share_claimed(simulated(1500, FEWEST_PAIRS, drift=0.0, effect=math.log1p(effect)))
    assert found == pytest.approx(0.8, abs=0.035)


def test_a_share_has_clopper_and_pearson_s_interval() -> None:
    assert share(0, 0) is None
    for successes, trials in ((0, 1), (1, 20), (20, 20), (3, 40)):
        exact = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
        assert share(successes, trials) == Interval(
            successes / trials, pytest.approx(exact.low, abs=1e-12), pytest.approx(exact.high)
        )


def null_pairs(n: int, spread: float = 0.01) -> list[tuple[float, float]]:
    noise = numpy.random.default_rng(11).normal(0.0, spread, n)
    return [(2.0, 2.0 * math.exp(float(each))) for each in noise]


def test_a_null_test_counts_the_claims_of_separate_blocks_in_the_order_of_time() -> None:
    steady = pairs_of(*RATIOS)  # a claim
    quiet = pairs_of(1.01, 0.99, 1.0, 1.01, 0.99, 1.0)
    found = null_test([*steady, *quiet, *steady, (2.0, 2.0)])
    assert found is not None
    assert (found.claims, found.trials) == (2, 3)
    assert found.rate == share(2, 3)


def test_the_default_of_a_null_test_is_whole_trials_and_more_than_one() -> None:
    found = null_test(null_pairs(DEFAULT_LAUNCHES["null"]))
    assert found is not None
    assert found.trials >= 2
    assert found.trials * FEWEST_PAIRS == found.comparison.n


def test_ten_pairs_are_one_trial_and_512_relabellings() -> None:
    found = null_test(null_pairs(10), left_out=1)
    assert found is not None
    assert (found.trials, found.relabellings, found.comparison.left_out) == (1, 512, 1)
    assert found.relabelled is not None
    assert found.relabelled.low <= found.relabelled.value <= found.relabelled.high
    assert 0.0 < found.relabelled.value < 0.12


def test_relabelling_asks_the_rule_itself() -> None:
    pairs = null_pairs(7)
    logs = [math.log(other / base) for base, other in pairs]
    claims = [
        t_test([sign * value for sign, value in zip(signs, logs, strict=True)]) < 0.05
        for signs in numpy.ndindex(*(2,) * 7)
        for signs in [[1 - 2 * sign for sign in signs]]
    ]
    found = null_test(pairs)
    assert found is not None
    assert found.relabelled is not None
    assert found.relabelled.value == pytest.approx(sum(claims) / len(claims))


def test_more_pairs_than_can_be_enumerated_are_relabelled_at_random_and_alike_each_time() -> None:
    found = null_test(null_pairs(MOST_ENUMERATED + 2))
    assert found == null_test(null_pairs(MOST_ENUMERATED + 2))
    assert found is not None
    assert found.relabelled is not None
    assert found.relabelled.value == pytest.approx(0.05, abs=0.02)


def test_a_null_test_s_spread_has_its_chi_square_interval() -> None:
    found = null_test(null_pairs(10))
    assert found is not None
    assert found.spread is not None
    logs = [math.log(other / base) for base, other in null_pairs(10)]
    assert found.spread.value == spread_of(logs)
    assert found.spread.low == pytest.approx(spread_of(logs) * math.sqrt(9 / stats.chi2.ppf(0.975, 9)))
    assert found.spread.high == pytest.approx(spread_of(logs) * math.sqrt(9 / stats.chi2.ppf(0.025, 9)))
    assert found.detectable is not None
    assert found.detectable.value == pytest.approx(detectable_effect(spread_of(logs), FEWEST_PAIRS))
    assert found.detectable_by_all is not None
    assert found.detectable_by_all.high < found.detectable.high


def test_too_few_null_pairs_tell_no_rate() -> None:
    found = null_test(pairs_of(1.01, 0.99))
    assert found is not None
    assert (found.rate, found.relabelled, found.relabellings, found.trials) == (None, None, 0, 0)
    assert found.spread is not None
    single = null_test(pairs_of(1.01))
    assert single is not None
    assert (single.spread, single.detectable, single.detectable_by_all) == (None, None, None)
    assert null_test([]) is None
