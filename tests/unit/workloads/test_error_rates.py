from __future__ import annotations

import pytest

from harness.workloads.error_rates import Scores, bootstrap, total_of
from tests.unit.corpora import a_score


def test_der_over_a_corpus_is_the_sum_of_errors_over_the_sum_of_speech() -> None:
    total = total_of([Scores(**a_score(0, 30.0, parts=(1, 2, 3))), Scores(**a_score(0, 10.0, parts=(4, 0, 0)))])
    assert total is not None
    assert total.der == pytest.approx(10 / 40)
    assert (total.missed, total.false_alarm, total.confusion) == (5 / 40, 2 / 40, 3 / 40)
    assert total.interval is None


def test_a_corpus_without_speech_has_no_der_and_does_not_divide_by_it() -> None:
    total = total_of([Scores(**a_score(2.0, 0.0))])
    assert total is not None
    assert (total.der, total.missed, total.scores.error_seconds) == (None, None, 2.0)
    assert total_of([]) is None


def test_recordings_that_are_all_alike_have_an_interval_without_width() -> None:
    interval = bootstrap([(1.0, 10.0)] * 10)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))


def test_fewer_than_ten_recordings_have_no_interval() -> None:
    assert bootstrap([(1.0, 10.0)] * 9) is None


def test_the_interval_is_near_that_of_the_normal_law_where_that_one_holds() -> None:
    # 400 recordings, half with 10% and half with 30%: mean 20%, deviation 10%, so 20% -+ 1.96 x 10% / 20.
    interval = bootstrap([(1.0, 10.0), (3.0, 10.0)] * 200)
    assert interval is not None
    assert interval.low == pytest.approx(0.2 - 0.0098, abs=0.0012)
    assert interval.high == pytest.approx(0.2 + 0.0098, abs=0.0012)


def test_the_same_recordings_give_the_same_interval() -> None:
    files = [(float(number), 10.0) for number in range(12)]
    assert bootstrap(files) == bootstrap(files)
