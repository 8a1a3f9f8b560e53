from __future__ import annotations

import re

import pytest

from harness.analysis.intervals import estimate
from harness.analysis.stopping import (
    MOST_LAUNCHES,
    decide,
    parse_percentage,
    parse_stopping,
    relative_half_width,
    rule_text,
    stop_text,
    value_of,
)
from harness.errors import UsageError
from harness.records.outcome import Decision
from harness.records.plan import StoppingRule
from tests.unit.samples import a_failed_launch, a_launch, a_wrong_launch, passing_journal

FIXED = StoppingRule(launches=3)
UNTIL = StoppingRule(launches=MOST_LAUNCHES, until=0.02)
TIGHT = (1.0, 1.001, 1.002, 1.003, 1.004, 1.005)
LOOSE = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)


def stop(rule: StoppingRule, values: tuple[float | None, ...], *, elapsed: float = 0.0) -> str | None:
    return decide(rule, values, elapsed_seconds=elapsed).stop


def test_a_fixed_number_of_launches_is_what_is_made_whatever_they_come_to() -> None:
    assert [stop(FIXED, (None,) * done) for done in (1, 2, 3)] == [None, None, "launches"]
    assert [stop(FIXED, TIGHT[:done]) for done in (1, 2, 3)] == [None, None, "launches"]


@pytest.mark.parametrize("done", range(1, 6))
def test_fewer_than_six_launches_are_never_precise_enough(done: int) -> None:
    found = decide(UNTIL, (1.0,) * done, elapsed_seconds=5.0)
    assert found == Decision(stop=None, half_width=None, values=done, elapsed_seconds=5.0)


def test_six_launches_that_agree_are_precise_enough() -> None:
    found = decide(UNTIL, TIGHT, elapsed_seconds=7.0)
    assert found.stop == "precise"
    assert found.half_width == pytest.approx(0.0025 / 1.0025), "of six the interval is from the least to the greatest"
    assert found.values == 6


def test_launches_that_do_not_agree_go_on() -> None:
    found = decide(UNTIL, LOOSE, elapsed_seconds=0.0)
    assert found.stop is None
    assert found.half_width == pytest.approx(0.25 / 1.25)


def test_a_half_width_that_is_just_the_one_asked_for_is_enough() -> None:
    assert stop(StoppingRule(launches=50, until=0.25), (0.75, 1.0, 1.0, 1.0, 1.0, 1.25)) == "precise"
    assert stop(StoppingRule(launches=50, until=0.2499), (0.75, 1.0, 1.0, 1.0, 1.0, 1.25)) is None


def test_a_failed_launch_is_no_value_and_does_not_end_a_cell_that_has_values() -> None:
    assert stop(UNTIL, (None, *TIGHT[:5])) is None
    assert decide(UNTIL, (None, *TIGHT), elapsed_seconds=0.0).stop == "precise"


def test_a_cell_that_fails_every_time_ends_after_three() -> None:
    assert [stop(UNTIL, (None,) * done) for done in (1, 2, 3)] == [None, None, "failures"]


def test_three_failures_in_a_row_end_a_cell_and_three_apart_do_not() -> None:
    assert stop(UNTIL, (1.0, 2.0, None, None, None)) == "failures"
    assert stop(UNTIL, (None, 1.0, None, 2.0, None)) is None


def test_no_cell_is_launched_more_often_than_the_most() -> None:
    assert stop(UNTIL, tuple(1.0 + number % 2 for number in range(MOST_LAUNCHES - 1))) is None
    assert stop(UNTIL, tuple(1.0 + number % 2 for number in range(MOST_LAUNCHES))) == "launches"


def test_whatever_the_values_are_every_rule_ends() -> None:
    """Even where failures are just too rare to be three in a row."""
    values: list[float | None] = []
    while stop(UNTIL, tuple(values)) is None:
        values.append(None if len(values) % 3 else 1.0 + len(values))
        assert len(values) <= MOST_LAUNCHES
    assert len(values) == MOST_LAUNCHES


def test_a_spent_budget_ends_either_rule() -> None:
    for rule in (StoppingRule(launches=3, budget_seconds=60.0), StoppingRule(launches=50, until=0.02, budget_seconds=60.0)):
        assert stop(rule, (1.0,), elapsed=59.9) is None
        assert stop(rule, (1.0,), elapsed=60.0) == "budget"


def test_a_cell_s_own_reason_comes_before_the_budget() -> None:
    rule = StoppingRule(launches=50, until=0.02, budget_seconds=60.0)
    assert stop(rule, TIGHT, elapsed=100.0) == "precise"
    assert stop(rule, (None, None, None), elapsed=100.0) == "failures"


def test_there_is_no_relative_width_without_an_interval() -> None:
    assert relative_half_width(None) is None
    assert relative_half_width(estimate([1.0, 2.0])) is None
    assert relative_half_width(estimate([0.0] * 6)) is None


def test_a_launch_counts_for_its_time_unless_it_failed() -> None:
    assert value_of(a_launch(journal=passing_journal(warm=(2.0, 9.0, 2.2)))) == 2.2
    assert value_of(a_wrong_launch(warm=(3.0,))) == 3.0
    assert value_of(a_failed_launch(stage="warm")) is None


def test_stopping_early_on_lucky_data_costs_no_more_of_the_coverage_than_is_said() -> None:
    """With launches that spread by 5% and a rule of 2%, the interval at the stop holds the true median in some 93 of 100."""
    import numpy

    random = numpy.random.default_rng(20261122)
    held = 0
    for values in random.normal(1.0, 0.05, size=(120, MOST_LAUNCHES)):
        done = next(count for count in range(6, MOST_LAUNCHES + 1) if stop(UNTIL, tuple(map(float, values[:count]))))
        found = estimate([float(value) for value in values[:done]])
        assert found is not None
        held += found.low <= 1.0 <= found.high
    assert held >= 104, "93% of 120 less three standard errors"


@pytest.mark.parametrize(("text", "share"), [("2%", 0.02), (" 0.5 %", 0.005), ("100%", 1.0), (".5%", 0.005), ("2.%", 0.02)])
def test_a_percentage_is_read(text: str, share: float) -> None:
    assert parse_percentage(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["2", "0.02", "0%", "-1%", "101%", "%", "", "nan%", "inf%", "2%%", "1e1%", "two%", "٢%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=re.escape(f"--until {text!r} is not a percentage above 0% and up to 100%, such as 2%")
    ):
        parse_percentage(text)


def test_a_number_of_launches_and_a_precision_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="--launches and --until exclude each other"):
        parse_stopping(3, "2%", None, default=3)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf"), 43201.0])
def test_a_budget_that_is_no_number_of_minutes_is_refused(minutes: float) -> None:
    with pytest.raises(UsageError, match=r"--budget .* is not a number of minutes"):
        parse_stopping(None, None, minutes, default=3)


def test_what_is_asked_for_becomes_a_rule() -> None:
    assert parse_stopping(None, None, None, default=3) == StoppingRule(launches=3)
    assert parse_stopping(7, None, 2.0, default=3) == StoppingRule(launches=7, budget_seconds=120.0)
    assert parse_stopping(None, "2%", None, default=3) == UNTIL


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (StoppingRule(launches=1), "1 launch of each configuration"),
        (
            StoppingRule(launches=3, budget_seconds=90.0),
            "3 launches of each configuration; none begins later than 1.5 min after the first",
        ),
        (UNTIL, "6 to 50 launches of each configuration, until the 95% interval's half-width is 2% of the median or less"),
    ],
)
def test_the_rule_is_said_in_words(rule: StoppingRule, text: str) -> None:
    assert rule_text(rule) == text


@pytest.mark.parametrize(
    ("values", "elapsed", "text"),
    [
        (TIGHT, 0.0, "precise enough: half-width 0.249%, 2% was asked for"),
        ((1.0, 2.0) * 25, 0.0, "not precise enough after 50 launches, the most there are: half-width 33.3%"),
        ((None,) * 3, 0.0, "3 launches in a row without a time"),
        ((1.0,), 60.0, "the budget of 1 min is spent: no interval yet"),
        ((1.0,), 59.0, ""),
    ],
)
def test_why_a_cell_ends_is_said_in_words(values: tuple[float | None, ...], elapsed: float, text: str) -> None:
    rule = StoppingRule(launches=50, until=0.02, budget_seconds=60.0)
    assert stop_text(rule, decide(rule, values, elapsed_seconds=elapsed)) == text


def test_the_end_of_a_fixed_number_needs_few_words() -> None:
    assert stop_text(FIXED, decide(FIXED, TIGHT[:3], elapsed_seconds=0.0)) == "all launches done"
