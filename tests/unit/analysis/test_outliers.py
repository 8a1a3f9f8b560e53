from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.analysis.outliers import FEWEST_FOR_HEAPS, heaps, oddities_of, outliers

if TYPE_CHECKING:
    import numpy

EVEN = (1.00, 1.01, 1.02, 1.03, 1.04, 1.05)


def samples(count: int, size: int) -> numpy.ndarray[Any, Any]:
    """Normal samples that spread by 10%, so that none is too near to the median to be flagged."""
    import numpy

    return numpy.random.default_rng(20261122).normal(1.0, 0.1, size=(count, size))


def test_a_value_far_from_the_rest_is_named_by_its_position() -> None:
    assert outliers([1.0, 1.01, 5.0, 0.99, 1.0, 1.02]) == (2,)
    assert outliers([1.0, 1.01, 0.2, 0.99, 1.0, 1.02]) == (2,), "too fast is as odd as too slow"


def test_the_modified_z_score_is_the_published_one() -> None:
    """Median 3, distances 2, 1, 0, 0, 1, x: MAD 1. 0.6745 x > 6 from x = 8.9 on."""
    assert outliers([1.0, 2.0, 3.0, 3.0, 4.0, 3 + 8.8]) == ()
    assert outliers([1.0, 2.0, 3.0, 3.0, 4.0, 3 + 9.0]) == (5,)


def test_an_even_spread_has_no_outlier() -> None:
    assert outliers(EVEN) == ()


@pytest.mark.parametrize("count", range(6))
def test_fewer_than_six_values_have_no_outlier(count: int) -> None:
    assert outliers([1.0] * max(0, count - 1) + [100.0] * min(1, count)) == ()


def test_equal_values_have_no_outlier() -> None:
    assert outliers([2.0] * 20) == ()


def test_where_most_values_are_equal_two_percent_decides() -> None:
    assert outliers([2.0] * 9 + [2.03]) == ()
    assert outliers([2.0] * 9 + [2.05]) == (9,)


def test_what_lies_within_two_percent_is_never_flagged() -> None:
    nearly = [1.0, 1.0001, 1.0002, 0.9999, 0.9998, 1.0, 1.015]
    assert outliers(nearly) == ()
    assert heaps([1.0, 1.0001, 1.0002, 1.0003, 1.0004, 1.01, 1.0101, 1.0102, 1.0103, 1.0104]) is None


@pytest.mark.parametrize(("size", "most"), [(6, 0.05), (8, 0.05), (12, 0.02), (20, 0.01)])
def test_clean_samples_have_an_outlier_as_rarely_as_is_said(size: int, most: float) -> None:
    flagged = sum(bool(outliers(list(map(float, sample)))) for sample in samples(1500, size))
    assert flagged / 1500 <= most


def test_the_usual_threshold_would_flag_one_clean_sample_in_seven() -> None:
    """This is why ours is another: see `harness.analysis.outliers.MOST_Z`."""
    import numpy

    found = samples(1500, 6)
    distances = numpy.abs(found - numpy.median(found, axis=1, keepdims=True))
    scores = 0.6745 * distances / numpy.median(distances, axis=1, keepdims=True)
    assert 0.12 < float((scores.max(axis=1) > 3.5).mean()) < 0.18


LOW, HIGH = (1.0, 1.01, 1.02, 1.03, 1.04), (1.5, 1.51, 1.52, 1.53, 1.54)


def test_two_heaps_are_told_apart_in_any_order() -> None:
    mixed = [value for pair in zip(HIGH, LOW, strict=True) for value in pair]
    assert heaps(mixed) == (LOW, HIGH)


def test_two_outliers_are_no_heap() -> None:
    assert heaps([*LOW, 1.05, 1.06, 1.07, 3.0, 3.01]) is None
    assert outliers([*LOW, 1.05, 1.06, 1.07, 3.0, 3.01]) == (8, 9)


def test_a_heap_is_a_quarter_of_the_values_at_least() -> None:
    sixteen = [1 + number / 1000 for number in range(16)]
    assert heaps([*sixteen, 2.0, 2.001, 2.002]) is None
    assert heaps([*sixteen[:9], 2.0, 2.001, 2.002]) is not None


def test_a_gap_as_wide_as_the_wider_heap_is_none() -> None:
    assert heaps([0.0, 1.0, 2.0, 3.0, 4.0, 8.0, 8.1, 8.2, 8.3, 8.4]) is None
    assert heaps([0.0, 1.0, 2.0, 3.0, 4.0, 8.1, 8.2, 8.3, 8.4, 8.5]) is not None


def test_too_few_values_are_never_two_heaps() -> None:
    assert heaps([*LOW, *HIGH][: FEWEST_FOR_HEAPS - 1]) is None
    assert heaps([]) is None


@pytest.mark.parametrize(("size", "most"), [(10, 0.045), (12, 0.02), (20, 0.002)])
def test_clean_samples_fall_into_two_heaps_as_rarely_as_is_said(size: int, most: float) -> None:
    flagged = sum(heaps(list(map(float, sample))) is not None for sample in samples(1500, size))
    assert flagged / 1500 <= most


def test_evenly_spread_samples_are_the_hardest_case() -> None:
    import numpy

    found = numpy.random.default_rng(20261122).uniform(1.0, 2.0, size=(1500, 10))
    flagged = sum(heaps(list(map(float, sample))) is not None for sample in found)
    assert 0.05 < flagged / 1500 < 0.11


def test_two_true_heaps_are_seen_nine_times_in_ten() -> None:
    import numpy

    random = numpy.random.default_rng(20261122)
    found = random.normal(1.0, 0.05, size=(500, 12)) + 0.4 * random.permuted([[0] * 6 + [1] * 6] * 500, axis=1)
    seen = sum(heaps(list(map(float, sample))) is not None for sample in found)
    assert seen / 500 > 0.9


def test_what_is_odd_is_said_in_a_few_words() -> None:
    assert oddities_of(EVEN) == ()
    assert oddities_of([*EVEN, 9.0]) == ("1 outlier",)
    assert oddities_of([*EVEN, 1.02, 1.03, 9.0, 9.1]) == ("2 outliers",)
    assert oddities_of([*LOW, *HIGH]) == ("two heaps",)
