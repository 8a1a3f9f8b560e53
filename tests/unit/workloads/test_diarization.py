"""What the host finds out about turns: the error rate against answers worked out by hand, and what it says of hostile ones.

No turn here was ever heard.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.records.journal import read
from harness.workloads.diarization import WORKLOAD as DIARIZATION
from harness.workloads.diarization import der_of
from harness.workloads.diarization.scoring import rate as rate_of
from harness.workloads.diarization.turns import MOST_AT_ONCE, MOST_TURNS, Turn, Turns, most_at_once, own_overlaps, read_turns
from tests.unit.samples import RTTM, WORKLOAD, a_launch, a_plan, passing_journal

TWO: Turns = ((0.0, 10.0, "a"), (10.0, 20.0, "b"))


def rate(hypothesis: Turns, reference: Turns = TWO) -> float | None:
    return rate_of(reference=reference, hypothesis=hypothesis)


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
        "SPEAKER x 1 1e308 1e308 <NA> <NA> a",
        "SPEAKER x 1 0 1",
    ],
)
def test_what_is_no_turn_makes_the_whole_unreadable(line: str) -> None:
    assert isinstance(read_turns(f"SPEAKER x 1 0 1 <NA> <NA> a\n{line}\n"), str)


def in_a_row(count: int, *, speakers: int = 1, seconds: float = 0.5) -> str:
    """Turns that begin a second apart."""
    return "".join(f"SPEAKER x 1 {number} {seconds} <NA> <NA> s{number % speakers} <NA> <NA>\n" for number in range(count))


def test_what_would_take_too_long_to_score_is_refused_before_it_is_scored() -> None:
    assert len(read_turns(in_a_row(MOST_TURNS))) == MOST_TURNS
    assert read_turns(in_a_row(MOST_TURNS + 1)) == "there are more than 10,000 turns, which would take too long to score"
    assert len(read_turns(in_a_row(1_000, speakers=1_000))) == 1_000
    assert "more than 1,000 speakers" in read_turns(in_a_row(1_001, speakers=1_001))
    assert isinstance(read_turns(in_a_row(100, speakers=100, seconds=MOST_AT_ONCE)), tuple)
    assert f"more than {MOST_AT_ONCE} turns at one moment" in read_turns(
        in_a_row(100, speakers=100, seconds=MOST_AT_ONCE + 0.5)
    )


def test_turns_at_once_are_those_under_way_together() -> None:
    assert most_at_once(()) == 0
    assert most_at_once(((0.0, 1.0, "a"), (1.0, 2.0, "b"))) == 1
    assert most_at_once(((0.0, 9.0, "a"), (1.0, 2.0, "b"), (1.5, 3.0, "a"), (5.0, 5.0, "c"))) == 3


def test_a_speaker_s_own_overlaps_are_counted_and_those_that_rounding_makes_are_none() -> None:
    assert own_overlaps(((0.0, 6.0, "a"), (4.0, 10.0, "a"), (5.0, 9.0, "b"), (5.0, 5.5, "a"))) == 2
    assert own_overlaps(((0.0, 1.2345, "a"), (1.233, 2.0, "a"), (2.0, 3.0, "a"))) == 0


def examined(*, rttm: Any = RTTM, truth: Path | None = None, profile: str = "embedded") -> dict[str, Any]:
    """What the host finds out about an output."""
    plan = a_plan(workload=msgspec.structs.replace(WORKLOAD, profile=profile), guest_sha256="1")
    return dict(DIARIZATION.examine(plan, read(passing_journal(rttm=rttm)), truth))


def a_truth(folder: Path, text: str) -> Path:
    (folder / "truth").write_text(text, encoding="utf-8-sig")
    return folder / "truth"


def test_the_host_counts_the_speakers_and_scores_the_turns_itself(tmp_path: Path) -> None:
    found = examined(truth=a_truth(tmp_path, RTTM.splitlines()[0]))
    assert found == {
        "speakers": 2,
        "der": {
            "missed_seconds": 0.0,
            "false_alarm_seconds": pytest.approx(0.8),
            "confusion_seconds": 0.0,
            "total_seconds": pytest.approx(0.43),
        },
    }
    assert examined() == {"speakers": 2}, "without a reference there is no error"


def test_a_reference_whose_turns_were_merged_says_so(tmp_path: Path) -> None:
    doubled = "SPEAKER x 1 6.690 0.430 <NA> <NA> a\nSPEAKER x 1 6.700 0.420 <NA> <NA> a\nSPEAKER x 1 7.550 0.8 <NA> <NA> b\n"
    found = examined(truth=a_truth(tmp_path, doubled))
    assert found["remarks"] == ["1 turn(s) of the reference overlap another of the same speaker; they were merged"]
    assert found["der"]["total_seconds"] == pytest.approx(1.23)
    assert found["remarks"][0] in msgspec.structs.replace(a_launch(), findings=found).notes


@pytest.mark.parametrize("rttm", [None, 7, ["SPEAKER"], "SPEAKER x 1 nan 1 <NA> <NA> a", in_a_row(MOST_TURNS + 1)], ids=type)
def test_turns_that_cannot_be_scored_are_wrong_output_and_not_the_guest_s_own_score(rttm: Any, tmp_path: Path) -> None:
    found = examined(rttm=rttm, truth=a_truth(tmp_path, RTTM))
    assert list(found) == ["unreadable"]
    assert der_of(msgspec.structs.replace(a_launch(journal=passing_journal(rttm=rttm)), findings=found)) is None


def test_what_random_weights_put_out_is_not_scored(tmp_path: Path) -> None:
    assert examined(profile="synthetic", truth=a_truth(tmp_path, RTTM)) == {}


def test_a_reference_that_cannot_be_scored_by_is_told(tmp_path: Path) -> None:
    found = examined(truth=a_truth(tmp_path, in_a_row(MOST_TURNS + 1)))
    assert "der" not in found
    assert found["remarks"][0].startswith("no DER: the reference cannot be scored by: there are more than 10,000 turns")


def test_a_launch_that_did_not_come_to_its_output_is_not_examined() -> None:
    assert DIARIZATION.examine(a_plan(), read(passing_journal(last_stage="warm")), None) == {}


PARTS = {"missed_seconds": 1.0, "false_alarm_seconds": 0.5, "confusion_seconds": 0.5, "total_seconds": 20.0}


def test_der_is_all_errors_over_all_speech() -> None:
    assert der_of(msgspec.structs.replace(a_launch(), findings={"speakers": 2, "der": PARTS})) == pytest.approx(0.1)


def test_the_der_of_a_record_from_before_the_host_scored_is_the_guest_s_and_of_a_later_one_never() -> None:
    said = passing_journal(der=0.05)
    assert der_of(msgspec.structs.replace(a_launch(journal=said), findings={})) == pytest.approx(0.05)
    assert der_of(msgspec.structs.replace(a_launch(journal=said), findings={"speakers": 2})) is None


@pytest.mark.parametrize(
    "der",
    [
        None,
        0.05,
        "5%",
        [],
        {},
        {**PARTS, "total_seconds": 0.0},
        {**PARTS, "missed_seconds": "1"},
        {**PARTS, "missed_seconds": -1.0},
        {**PARTS, "missed_seconds": float("nan")},
        {**PARTS, "missed_seconds": 10**400},
    ],
    ids=["none", "number", "text", "list", "empty", "no speech", "text in it", "below zero", "NaN in it", "huge in it"],
)
def test_der_is_unknown_where_it_cannot_be_computed(der: object) -> None:
    journal = passing_journal(der=None)
    assert der_of(msgspec.structs.replace(a_launch(journal=(*journal[:-2], {**journal[-2], "der": der})), findings={})) is None
    assert der_of(msgspec.structs.replace(a_launch(), findings={"speakers": 2, "der": der})) is None
