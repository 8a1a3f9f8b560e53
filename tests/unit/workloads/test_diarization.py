"""The error rate between two sets of turns, against answers worked out by hand. No turn here was ever heard."""

from __future__ import annotations

import math
import random

import pytest

from harness.workloads.diarization import MOST_TURNS, Turn, Turns, error_rate, read_turns

TWO: Turns = ((0.0, 10.0, "a"), (10.0, 20.0, "b"))


def rate(hypothesis: Turns, reference: Turns = TWO) -> float | None:
    return error_rate(reference=reference, hypothesis=hypothesis)


def test_the_same_turns_have_no_error_whatever_their_speakers_are_called() -> None:
    assert rate(TWO) == 0.0
    assert rate(((0.0, 10.0, "b"), (10.0, 20.0, "a"))) == 0.0
    assert rate(((0.0, 10.0, "SPEAKER_07"), (10.0, 20.0, "SPEAKER_00"))) == 0.0


@pytest.mark.parametrize(
    ("hypothesis", "expected"),
    [
        (((0.0, 10.0, "a"),), 0.5),  # missed
        ((*TWO, (20.0, 25.0, "a")), 0.25),  # false alarm
        (((0.0, 12.0, "a"), (12.0, 20.0, "b")), 0.1),  # confusion
        (((0.0, 20.0, "a"),), 0.5),  # one speaker for two
        (((0.0, 10.0, "a"), (10.0, 15.0, "b"), (15.0, 20.0, "c")), 0.25),  # two speakers for one
        ((), 1.0),
        (((0.0, 20.0, "a"), (0.0, 20.0, "b")), 1.0),  # both all the time: right and a false alarm as long
        (((0.0, 10.0, "a"), (0.0, 10.0, "a"), (10.0, 20.0, "b")), 0.0),  # one turn twice is one turn
    ],
)
def test_each_kind_of_error_counts_by_its_seconds(hypothesis: Turns, expected: float) -> None:
    assert rate(hypothesis) == pytest.approx(expected)


def test_a_speaker_s_own_overlapping_turns_are_one_turn_on_either_side() -> None:
    doubled: Turns = ((0.0, 6.0, "a"), (4.0, 10.0, "a"), (10.0, 20.0, "b"))
    assert rate(doubled) == 0.0
    assert rate(TWO, doubled) == 0.0
    assert rate(((0.0, 10.0, "a"),), doubled) == pytest.approx(10 / 20)


def test_turns_whose_sum_is_not_finite_have_no_rate() -> None:
    huge: Turns = ((0.0, 1e308, "a"), (0.0, 1e308, "b"))
    assert math.isnan(rate(huge, huge) or 0.0)
    assert math.isnan(rate(huge) or 0.0)


def test_a_turn_whose_end_is_not_finite_cannot_be_read() -> None:
    assert read_turns("SPEAKER x 1 1e307 1e307 <NA> <NA> a <NA> <NA>\n") == ((1e307, 2e307, "a"),)
    assert read_turns("SPEAKER x 1 1e308 1e308 <NA> <NA> a <NA> <NA>\n") is None


def test_overlap_is_scored() -> None:
    both: Turns = ((0.0, 10.0, "a"), (5.0, 10.0, "b"))
    assert rate(both, both) == 0.0
    assert rate(((0.0, 10.0, "a"),), both) == pytest.approx(5 / 15)


def test_speakers_are_matched_as_well_as_can_be_and_not_greedily() -> None:
    # x shares most with a; taking that first leaves y nothing, though (a, y) and (b, x) together share more.
    reference: Turns = ((0.0, 9.0, "a"), (9.0, 14.0, "b"))
    hypothesis: Turns = ((0.0, 4.0, "y"), (4.0, 14.0, "x"))
    assert rate(hypothesis, reference) == pytest.approx(5 / 14)
    assert rate(((0.0, 8.0, "y"), (8.0, 14.0, "x")), reference) == pytest.approx(1 / 14)


def test_where_nobody_speaks_there_is_no_error_and_where_only_one_says_so_no_rate() -> None:
    assert rate((), ()) == 0.0
    assert rate(TWO, ()) is None


def test_a_permutation_of_labels_never_changes_the_rate() -> None:
    generator = random.Random(7)
    for _ in range(20):
        turns = tuple(a_turn(generator) for _ in range(12))
        other = tuple(a_turn(generator) for _ in range(12))
        names = dict(zip("abcd", generator.sample("wxyz", 4), strict=True))
        renamed = tuple((start, end, names[who]) for start, end, who in other)
        assert rate(renamed, turns) == pytest.approx(rate(other, turns))
        assert rate(renamed, other) == pytest.approx(0.0)


def a_turn(generator: random.Random) -> Turn:
    start = generator.uniform(0, 50)
    return start, start + generator.uniform(0.1, 10), generator.choice("abcd")


def test_an_rttm_is_read_by_its_fields() -> None:
    text = (
        "SPEAKER x 1 1.500 0.250 <NA> <NA> SPEAKER_00 <NA> <NA>\n\nSPKR-INFO x 1 <NA> <NA> <NA> unknown SPEAKER_00 <NA> <NA>\n"
    )
    assert read_turns(text) == ((1.5, 1.75, "SPEAKER_00"),)
    assert read_turns("") == ()


@pytest.mark.parametrize(
    "line",
    [
        "SPEAKER x 1 nan 1 <NA> <NA> a",
        "SPEAKER x 1 0 inf <NA> <NA> a",
        "SPEAKER x 1 -1 1 <NA> <NA> a",
        "SPEAKER x 1 zero 1 <NA> <NA> a",
        "SPEAKER x 1 0 1",
    ],
)
def test_what_is_no_turn_makes_the_whole_unreadable(line: str) -> None:
    assert read_turns(f"SPEAKER x 1 0 1 <NA> <NA> a\n{line}\n") is None


def test_a_flood_of_turns_or_speakers_is_unreadable() -> None:
    assert read_turns("SPEAKER x 1 0 1 <NA> <NA> a\n" * (MOST_TURNS + 1)) is None
    assert read_turns("".join(f"SPEAKER x 1 0 1 <NA> <NA> {number}\n" for number in range(1_001))) is None
