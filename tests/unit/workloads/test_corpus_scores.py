"""What the host finds out about the recordings of a corpus, against answers worked out by hand. No turn here was ever heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.inputs.corpus_folder import Reference
from harness.inputs.corpus_lines import Turn
from harness.records.fields import Fields
from harness.records.launch import Launch
from harness.workloads.accuracy import WORKLOAD as ACCURACY
from harness.workloads.accuracy import Accuracy, accuracy_of
from harness.workloads.corpus_scores import MOST_COMPARISONS, score_corpus, score_of
from harness.workloads.diarization.scoring import FullScore, score_in_full
from harness.workloads.diarization.turns import MOST_TURNS, Turns, comparisons
from harness.workloads.error_rates import Scores
from tests.unit.corpora import a_hypothesis, a_result, an_accuracy_launch, failing, trying

ONE: Turns = ((0.0, 10.0, "A"),)
OVERLAPPED: Turns = ((0.0, 10.0, "A"), (4.0, 6.0, "B"))


def full(reference: Turns, hypothesis: Turns, regions: Sequence[tuple[float, float]] | None = None) -> FullScore:
    return score_in_full(reference=reference, hypothesis=hypothesis, regions=regions, collar_seconds=0.25)


def parts(scores: Scores, *, missed: float = 0.0, total: float) -> bool:
    """Whether nothing but so much speech was missed."""
    expected = (missed, 0.0, 0.0, total)
    return tuple(getattr(scores, name) for name in Scores.__struct_fields__) == pytest.approx(expected)


def test_what_begins_late_is_missed_and_a_collar_takes_a_quarter_of_a_second_from_each_end() -> None:
    late = full(ONE, ((0.5, 10.0, "x"),))
    assert parts(late.strict, missed=0.5, total=10.0)
    assert parts(late.collar, missed=0.25, total=9.5), "the late half second has a quarter of it left"
    assert (late.jaccard_error, late.jaccard_speakers) == (pytest.approx(0.05), 1)


def test_nothing_misses_everything_and_names_mean_nothing() -> None:
    nothing = full(ONE, ())
    assert parts(nothing.strict, missed=10.0, total=10.0)
    assert (nothing.speakers, nothing.reference_speakers) == (0, 1)
    swapped: Turns = ((0.0, 5.0, "B"), (5.0, 10.0, "A"))
    assert parts(full(((0.0, 5.0, "A"), (5.0, 10.0, "B")), swapped).strict, total=10.0)


def test_overlapped_speech_is_scored_and_regions_leave_out_the_rest() -> None:
    assert parts(full(OVERLAPPED, ONE).strict, missed=2.0, total=12.0)
    inside = full(OVERLAPPED, ONE, [(0.0, 4.0), (5.0, 6.0), (5.5, 6.0)])
    assert parts(inside.strict, missed=1.0, total=6.0)
    assert (inside.speakers, inside.reference_speakers) == (1, 2)
    outside = full(ONE, ONE, [(20.0, 30.0)])
    assert parts(outside.strict, total=0.0)
    assert (outside.speakers, outside.reference_speakers) == (0, 0)


def test_a_speaker_s_own_overlap_counts_once_and_turns_that_only_touch_keep_their_collar() -> None:
    doubled: Turns = ((0.0, 6.0, "A"), (4.0, 10.0, "A"))
    assert parts(full(doubled, ONE).strict, total=10.0)
    assert parts(full(doubled, ONE).collar, total=9.5)
    assert parts(full(((0.0, 6.0, "A"), (6.0, 10.0, "A")), ONE).collar, total=9.0)


def a_reference(*turns: tuple[float, float, str], name: str = "f", regions: Any = None) -> Reference:
    """A reference of turns (start, end, speaker)."""
    return Reference(name=name, turns=tuple(Turn(start, end - start, who) for start, end, who in turns), regions=regions)


def texts(*events: dict[str, Any]) -> dict[int, str | None]:
    return {event["index"]: event["rttm"] for event in events}


def found(hypotheses: dict[int, str | None], *references: Reference) -> dict[str, Any]:
    return score_corpus(hypotheses, references, collar_seconds=0.25)


def test_each_recording_has_its_scores_by_its_index() -> None:
    told = found(texts(a_hypothesis(1, *ONE)), a_reference(*ONE), a_reference(*OVERLAPPED))
    assert list(told["recordings"]) == ["1"]
    assert score_of(Fields(told), 1, Fields()) == full(OVERLAPPED, ONE)
    assert score_of(Fields(told), 0, Fields()) == "it was not scored"


@pytest.mark.parametrize(
    "text", [None, "SPEAKER x 1 nan 1 <NA> <NA> a", "SPEAKER x 1 0 1 <NA> <NA> a\n" * (MOST_TURNS + 1)], ids=type
)
def test_turns_that_cannot_be_scored_cost_their_recording_and_say_why(text: Any) -> None:
    told = found({0: text, 1: "", 5: ""}, a_reference(*ONE), a_reference(*ONE))
    why = score_of(Fields(told), 0, Fields(a_result(0)))
    assert isinstance(why, str)
    assert why.startswith("its turns cannot be scored: ")
    assert isinstance(score_of(Fields(told), 1, Fields()), FullScore)
    assert score_of(Fields(told), 5, Fields()) == "it has no reference"


def test_a_reference_that_would_take_too_long_costs_its_recording() -> None:
    many = a_reference(*((float(n), n + 0.5, "a") for n in range(MOST_TURNS + 1)))
    why = score_of(Fields(found({0: ""}, many)), 0, Fields())
    assert isinstance(why, str)
    assert why.startswith("its reference cannot be scored by: there are more than")


def test_a_launch_whose_turns_together_would_take_hours_is_scored_as_far_as_it_goes() -> None:
    most = tuple((float(n), n + 0.5, "a") for n in range(MOST_TURNS))
    assert comparisons(most, most) * 4 > MOST_COMPARISONS, "four recordings at the bound are too much"
    text = "".join(f"SPEAKER x 1 {n} 0.5 <NA> <NA> a <NA> <NA>\n" for n in range(MOST_TURNS))
    told = score_corpus({1: text, 2: text, 3: text, 4: text}, [a_reference(*ONE)] * 5, collar_seconds=0.25, most=10)
    assert {index: each["why_not"] for index, each in told["recordings"].items()} == dict.fromkeys(
        "1234", "all turns of this launch together would take too long to score"
    )


def test_references_whose_turns_were_merged_are_named() -> None:
    doubled = ((0.0, 6.0, "A"), (4.0, 10.0, "A"))
    references = [a_reference(*doubled, name=f"f{index}") for index in range(12)]
    (remark,) = found(dict.fromkeys(range(12), ""), *references)["remarks"]
    assert remark == (
        "turns of the reference that overlap another of the same speaker were merged: "
        "f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and more"
    )
    assert "remarks" not in found({0: ""}, a_reference(*ONE))


def examined(folder: Path, launch: Launch, *references: Reference) -> Accuracy:
    """The accuracy of a launch after the host has looked at it."""
    (folder / "truth").write_bytes(msgspec.json.encode(references))
    findings = ACCURACY.examine(launch.plan, launch.said, folder / "truth" if references else None)
    return accuracy_of([msgspec.structs.replace(launch, findings=dict(findings))])


def test_a_run_is_scored_by_the_host_and_the_last_word_on_a_recording_counts(tmp_path: Path) -> None:
    events = [trying(0), a_hypothesis(0), a_hypothesis(0, *ONE), trying(1), failing(1), trying(2)]
    launch = an_accuracy_launch(1, events, ends=False)
    references = [a_reference(*ONE, name=f"f{index}") for index in range(3)]
    told = examined(tmp_path, launch, *references)
    assert [file.outcome for file in told.files] == ["ok", "failed", "died"]
    assert told.files[0].strict is not None
    assert told.files[0].strict.der == pytest.approx(0.0)
    assert told.files[0].speakers == told.files[0].reference_speakers == 1


def test_scores_that_a_guest_makes_up_are_read_by_nobody(tmp_path: Path) -> None:
    launch = an_accuracy_launch(1, [trying(0), a_result(0, error=0.0)], files=1, guest_sha256="1")
    (file,) = examined(tmp_path, launch, a_reference(*ONE)).files
    assert file.strict is not None
    assert file.strict.der == pytest.approx(1.0), "it put out no turn"
    (file,) = examined(tmp_path, launch).files
    assert (file.outcome, file.why) == ("failed", "it has no reference")


def test_what_was_merged_is_a_note_of_the_run(tmp_path: Path) -> None:
    launch = an_accuracy_launch(1, [trying(0), a_hypothesis(0, *ONE)], files=1, options={"notes": ["odd"]})
    told = examined(tmp_path, launch, a_reference((0.0, 6.0, "A"), (4.0, 10.0, "A"), name="f0"))
    assert told.notes == ("odd", "turns of the reference that overlap another of the same speaker were merged: f0")


def test_a_launch_whose_times_cannot_be_true_has_no_score(tmp_path: Path) -> None:
    launch = an_accuracy_launch(1, [trying(0), {**a_hypothesis(0, *ONE), "at": 1_795_299_900.0}], files=1)
    assert "a pass of accuracy took 2 s, but the journal went on only after" in launch.verdict.summary
    (file,) = examined(tmp_path, launch, a_reference(*ONE)).files
    assert (file.outcome, file.why) == ("failed", launch.verdict.summary)


@pytest.mark.parametrize("score", [{"strict": 1}, {"strict": {"missed_seconds": None}}, {"speakers": 1}])
def test_a_damaged_score_in_the_store_is_none(score: dict[str, Any]) -> None:
    launch = an_accuracy_launch(1, [trying(0), a_hypothesis(0, *ONE)], files=1)
    (file,) = accuracy_of([msgspec.structs.replace(launch, findings={"recordings": {"0": score}})]).files
    assert file.outcome == "failed"
    assert "its score in the store is damaged" in file.why
