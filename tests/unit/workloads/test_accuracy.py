from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.workloads.accuracy import accuracies_of, accuracy_of
from harness.workloads.corpus_runs import MOST_RELAUNCHES, next_index, run_to_the_end
from tests.unit.corpora import a_result, a_score, an_accuracy_launch, failing, trying
from tests.unit.samples import a_failed_launch, a_launch


def scored(*results: dict[str, object]) -> list[dict[str, object]]:
    """Each result, after the event that announces it."""
    return [event for result in results for event in (trying(int(str(result["index"]))), result)]


def test_a_run_has_its_recordings_its_totals_and_its_throughput() -> None:
    found = accuracy_of(
        [
            an_accuracy_launch(
                1,
                scored(
                    a_result(0, error=1.0, total=10.0, speakers=3, jaccard={"error": 0.2, "speakers": 1}),
                    a_result(1, error=3.0, total=30.0, speakers=2),
                    a_result(2, error=0.0, total=10.0, speakers=0, jaccard={"error": 2.0, "speakers": 2}),
                ),
            )
        ]
    )
    assert [file.name for file in found.scored] == ["f0", "f1", "f2"]
    assert found.failed == ()
    assert found.strict is not None
    assert found.collar is not None
    assert found.strict.der == pytest.approx(4 / 50)
    assert found.collar.der == pytest.approx(2 / 50)
    assert found.jer == pytest.approx((0.2 + 0.5 + 2.0) / 5), "over the reference's speakers, not over recordings"
    assert found.speaker_count_error == pytest.approx((1 + 0 + 2) / 3)
    assert found.speaker_count_right == pytest.approx(1 / 3)
    assert found.hours_an_hour == pytest.approx(180 / 6)


def test_an_exception_costs_its_recording_and_is_told() -> None:
    found = accuracy_of([an_accuracy_launch(1, scored(a_result(0), failing(1), a_result(2)))])
    assert [file.outcome for file in found.files] == ["ok", "failed", "ok"]
    assert found.files[1].why == "builtins.RuntimeError: HIP error: no kernel"
    assert found.hours_an_hour == pytest.approx(120 / 4), "what was not diarized counts on neither side"


def test_a_crash_costs_its_recording_and_another_launch_continues_after_it() -> None:
    died = an_accuracy_launch(1, [*scored(a_result(0)), trying(1)], ends=False)
    assert next_index(died) == 2
    alone = accuracy_of([died])
    assert [file.outcome for file in alone.files] == ["ok", "died", "not reached"]
    assert "died of SIGSEGV in accuracy" in alone.files[1].why
    found = accuracy_of([died, an_accuracy_launch(2, scored(a_result(2)), first=2)])
    assert [file.outcome for file in found.files] == ["ok", "died", "ok"]
    assert [file.name for file in found.failed] == ["f1"]


def test_a_pass_over_its_limit_is_told_as_that() -> None:
    died = an_accuracy_launch(1, [trying(0)], ends=False, log_tail="Timeout (0:10:00)!\nThread 0x1:\n")
    assert accuracy_of([died]).files[0].why == "its pass was over the limit of time and was ended"


def test_a_launch_that_ended_well_or_never_began_is_not_gone_on_with() -> None:
    assert next_index(an_accuracy_launch(1, scored(a_result(0), a_result(1), a_result(2)))) is None
    assert next_index(an_accuracy_launch(1, [], ends=False)) is None
    assert next_index(an_accuracy_launch(1, [trying(2)], ends=False)) is None, "the last recording has none after it"
    assert next_index(a_failed_launch()) is None


def test_a_launch_that_a_person_ended_is_not_gone_on_with() -> None:
    died = an_accuracy_launch(1, [trying(0)], ends=False)
    interrupted = a_launch(died.plan, journal=died.journal, exit=ExitRecord(started=True, interrupted=True))
    assert next_index(interrupted) is None


def test_a_run_continues_after_each_crash_and_ends_where_nothing_is_left() -> None:
    asked: list[int] = []

    def again(ended: Launch, first: int) -> Sequence[Launch]:
        asked.append(first)
        events = [trying(first)] if first < 2 else scored(a_result(first), a_result(first + 1))
        return [an_accuracy_launch(2 + first, events, files=4, first=first, ends=first >= 2)]

    launches = run_to_the_end(lambda: [an_accuracy_launch(1, [trying(0)], files=4, ends=False)], again)
    assert asked == [1, 2]
    (found,) = accuracies_of(launches)
    assert [file.outcome for file in found.files] == ["died", "died", "ok", "ok"]


def test_an_image_that_dies_each_time_is_given_up() -> None:
    asked: list[int] = []

    def again(ended: Launch, first: int) -> Sequence[Launch]:
        asked.append(first)
        return [an_accuracy_launch(1 + first, [trying(first)], files=50, first=first, ends=False)]

    launches = run_to_the_end(lambda: [an_accuracy_launch(1, [trying(0)], files=50, ends=False)], again)
    assert asked == list(range(1, MOST_RELAUNCHES + 1))
    (found,) = accuracies_of(launches)
    outcomes = [file.outcome for file in found.files]
    assert outcomes == ["died"] * (MOST_RELAUNCHES + 1) + ["not reached"] * (50 - MOST_RELAUNCHES - 1)
    assert found.strict is None
    assert (found.jer, found.hours_an_hour, found.speaker_count_error) == (None, None, None)


def test_an_image_that_never_started_has_a_row_with_every_recording_not_reached() -> None:
    launch = an_accuracy_launch(1, [], ends=False)
    (found,) = accuracies_of([launch])
    assert {file.outcome for file in found.files} == {"not reached"}


def test_what_the_host_left_out_is_a_row_and_a_failure_only_where_a_result_was_due() -> None:
    left_out = [
        {"name": "bad", "why": "it is silent", "is_failure": True},
        {"name": "alone", "why": "no reference names it", "is_failure": False},
    ]
    found = accuracy_of([an_accuracy_launch(1, scored(a_result(0)), files=1, options={"left_out": left_out})])
    assert [(file.name, file.outcome) for file in found.files] == [("f0", "ok"), ("bad", "left out"), ("alone", "unscored")]
    assert [file.name for file in found.failed] == ["bad"]


@pytest.mark.parametrize(
    "changes",
    [
        {"strict": a_score(-1.0)},
        {"strict": None},
        {"collar": {"missed_seconds": 1.0}},
        {"seconds": 0.0},
        {"seconds": 1e-9},
        {"strict": a_score(12.0, parts=(9.0, 0.0, 3.0))},
        {"seconds": "2"},
        {"speakers": -1},
        {"speakers": True},
        {"jaccard": [1]},
        {"jaccard": {"error": float("nan"), "speakers": 2}},
    ],
)
def test_numbers_that_cannot_be_true_are_no_score(changes: dict[str, object]) -> None:
    (file,) = accuracy_of([an_accuracy_launch(1, [a_result(0, **changes)], files=1)]).files
    assert (file.outcome, file.strict) == ("failed", None)
    assert "the journal cannot be true" in file.why


def test_a_recording_without_speech_to_be_scored_has_the_right_speakers_in_nothing() -> None:
    nothing = a_result(0, error=0.0, total=0.0, speakers=0, reference_speakers=0)
    found = accuracy_of([an_accuracy_launch(1, [nothing], files=1)])
    assert (found.files[0].outcome, found.speaker_count_right) == ("failed", None)
    assert found.files[0].why == "nothing was scored: the reference has no speech there"


def test_passes_that_took_longer_than_the_container_ran_are_no_score() -> None:
    (file,) = accuracy_of([an_accuracy_launch(1, [a_result(0, seconds=5.0)], files=1, run_seconds=4.0)]).files
    assert "longer than the 4.0 s that it ran" in file.why


def test_what_a_cpu_torch_in_a_rocm_image_diarized_is_no_score_of_that_image() -> None:
    (file,) = accuracy_of([an_accuracy_launch(1, [a_result(0)], files=1, image="rocm72", family="rocm")]).files
    assert (file.outcome, file.strict) == ("failed", None)
    assert "something replaced the torch" in file.why


@pytest.mark.parametrize("index", [-1, 3, True, "0", None, 10**30])
def test_a_result_of_a_recording_that_was_not_asked_for_is_nobody_s(index: object) -> None:
    event = {**a_result(0), "index": index}
    assert {file.outcome for file in accuracy_of([an_accuracy_launch(1, [event])]).files} == {"not reached"}


def test_each_run_cell_and_engine_is_a_finding_of_its_own() -> None:
    launches = [
        an_accuracy_launch(1, [], run="a"),
        an_accuracy_launch(2, [], run="b"),
        an_accuracy_launch(3, [], run="b", image="other"),
        an_accuracy_launch(4, [], run="b", engine="docker"),
        an_accuracy_launch(5, [], run="b"),
        a_launch(),
    ]
    assert [len(found.launches) for found in accuracies_of(launches)] == [1, 2, 1, 1]
