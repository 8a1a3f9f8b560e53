"""Which launches speak for a cell. All numbers are made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis.rows import Row, by_name, rows_of, workloads_of
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord, Verdict
from harness.records.plan import EngineRecord
from reports.markdown.render import render_benchmarks
from reports.status import status_text
from tests.unit.samples import (
    WORKLOAD,
    a_failed_launch,
    a_launch,
    a_plan,
    a_wrong_launch,
    journal_until,
    passing_journal,
)


def an_interrupted_launch(number: int, **plan: object) -> Launch:
    exit_ = ExitRecord(started=True, interrupted=True)
    return a_launch(a_plan(number, **plan), journal=journal_until("warm"), exit=exit_)  # type: ignore[arg-type]


def a_probe(number: int, *, passes: bool, campaign: int = 1) -> Launch:
    plan = a_plan(number, campaign=campaign, last_stage="device")
    return a_launch(plan, journal=passing_journal(last_stage="device")) if passes else a_failed_launch(plan, stage="import")


def only_row(*launches: Launch) -> Row:
    (row,) = rows_of(launches)
    return row


def test_no_launch_is_no_row() -> None:
    assert rows_of(()) == ()
    assert workloads_of(()) == ()


def test_the_launches_of_a_cell_are_one_row() -> None:
    launches = tuple(a_launch(a_plan(n), journal=passing_journal(warm=(float(n),))) for n in (1, 2, 3))
    row = only_row(*launches)
    assert row.launches == launches
    assert row.seconds is not None
    assert (row.seconds.median, row.seconds.low, row.seconds.high, row.seconds.n) == (2.0, 1.0, 3.0, 3)
    assert row.rate is not None
    assert row.rate.median == 15.0
    assert row.load_seconds == 0.7


def test_the_value_of_a_launch_is_one_value_however_many_passes_it_had() -> None:
    row = only_row(a_launch(journal=passing_journal(warm=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0))))
    assert row.seconds is not None
    assert (row.seconds.n, row.seconds.median) == (1, 4.0)


def test_another_engine_is_another_row() -> None:
    podman, docker = a_launch(a_plan(1)), a_launch(a_plan(2, engine="docker"))
    rootless = a_launch(msgspec.structs.replace(a_plan(3), engine=EngineRecord(name="podman", rootless=True)))
    assert [row.engine for row in rows_of([podman, docker, rootless])] == ["podman", "docker", "podman rootless"]


def test_a_row_is_of_the_latest_campaign_alone() -> None:
    old, new = a_launch(a_plan(1, campaign=1)), a_launch(a_plan(1, campaign=2))
    assert only_row(new, old).launches == (new,)


def test_a_campaign_that_was_interrupted_does_not_take_the_place_of_one_that_ended() -> None:
    old = a_launch(a_plan(1, campaign=1))
    assert only_row(old, an_interrupted_launch(1, campaign=2)).launches == (old,)


def test_a_campaign_that_was_interrupted_late_keeps_what_ended() -> None:
    ended = a_launch(a_plan(1, campaign=2))
    row = only_row(a_launch(a_plan(1, campaign=1)), ended, an_interrupted_launch(2, campaign=2))
    assert row.launches == (ended,)
    assert row.status == "pass"


def test_a_cell_that_was_only_ever_interrupted_has_no_row() -> None:
    assert rows_of([an_interrupted_launch(1)]) == ()


def test_a_probe_that_passed_says_nothing_about_a_whole_run() -> None:
    assert rows_of([a_probe(1, passes=True)]) == ()
    full = a_launch(a_plan(1, campaign=1))
    assert only_row(full, a_probe(1, passes=True, campaign=2)).launches == (full,)


def test_a_probe_that_failed_is_a_row() -> None:
    assert only_row(a_probe(1, passes=False)).status == "fail"


def test_one_failed_launch_makes_the_row_fail_and_speaks_for_it() -> None:
    failed = a_failed_launch(a_plan(2), stage="warm")
    row = only_row(a_launch(a_plan(1)), failed, a_launch(a_plan(3)))
    assert (row.status, row.speaking) == ("fail", failed)
    assert status_text(row) == "FAIL: error (1 of 3)"
    assert not row.is_ranked


def test_a_failed_launch_s_passes_do_not_count_for_the_time() -> None:
    row = only_row(a_launch(a_plan(1)), a_failed_launch(a_plan(2), stage="verify"))
    assert row.seconds is not None
    assert row.seconds.n == 1


def test_a_failure_outweighs_a_wrong_output_whichever_came_last() -> None:
    failed, wrong = a_failed_launch(a_plan(1)), a_wrong_launch(a_plan(2))
    assert only_row(failed, wrong).status == "fail"
    assert only_row(a_wrong_launch(a_plan(1)), a_failed_launch(a_plan(2))).status == "fail"


def test_a_wrong_output_is_timed_and_not_ranked() -> None:
    row = only_row(a_wrong_launch())
    assert row.status == "wrong output"
    assert row.rate is not None
    assert not row.is_ranked
    assert status_text(row) == "WRONG OUTPUT"


def test_a_row_of_failures_has_no_numbers() -> None:
    row = only_row(a_failed_launch())
    assert (row.seconds, row.rate, row.cold_seconds, row.load_seconds) == (None,) * 4
    assert row.memory == ()


def test_memory_is_the_highest_of_all_launches() -> None:
    low, high = list(passing_journal()), list(passing_journal())
    warm_end = next(n for n, event in enumerate(high) if event["event"] == "end" and event["stage"] == "warm")
    high[warm_end] = {**high[warm_end], "peak_resident_bytes": 5 << 30}
    row = only_row(a_launch(a_plan(1), journal=high), a_launch(a_plan(2), journal=low))
    assert [(reading.meter, reading.peak_bytes) for reading in row.memory] == [("vm_hwm_bytes", 5 << 30)]


@pytest.mark.parametrize("speakers", [None, "2", 2.0, [2], True])
def test_speakers_that_are_no_whole_number_are_unknown(speakers: object) -> None:
    row = only_row(a_launch(journal=passing_journal(speakers=speakers)))  # type: ignore[arg-type]
    assert [figure.value for figure in row.figures if figure.kind == "count"] == [None]


def test_a_known_failure_is_explained_only_while_it_is_known() -> None:
    launch = a_failed_launch()
    known = msgspec.structs.replace(launch.verdict, signature="disk-full")
    forgotten = msgspec.structs.replace(launch.verdict, signature="long-gone")
    signature = only_row(msgspec.structs.replace(launch, verdict=known)).signature
    assert signature is not None
    assert signature.id == "disk-full"
    assert only_row(msgspec.structs.replace(launch, verdict=forgotten)).signature is None


def test_rows_are_ordered_right_ones_by_speed_then_wrong_ones_then_failures() -> None:
    launches = [
        a_failed_launch(a_plan(1, image="a-broken")),
        a_wrong_launch(a_plan(2, image="b-wrong"), warm=(5.0,)),
        a_wrong_launch(a_plan(6, image="c-wrong"), warm=(0.1,)),
        a_launch(a_plan(3, image="c-slow"), journal=passing_journal(warm=(9.0,))),
        a_launch(a_plan(4, image="d-fast"), journal=passing_journal(warm=(1.0,))),
        a_failed_launch(a_plan(5, image="a-also-broken")),
    ]
    (workload,) = workloads_of(rows_of(launches))
    assert [row.image for row in workload.rows] == ["d-fast", "c-slow", "b-wrong", "c-wrong", "a-also-broken", "a-broken"]


def test_workloads_are_kept_apart_by_pipeline_and_by_what_was_heard() -> None:
    longer = msgspec.structs.replace(WORKLOAD, input="sample-300s", amount=300.0, input_sha256="d" * 64)
    other = msgspec.structs.replace(WORKLOAD, profile="3.1")
    launches = [
        a_launch(a_plan(1)),
        a_launch(a_plan(2, image="other")),
        a_launch(a_plan(3, workload=longer)),
        a_launch(a_plan(4, workload=other)),
    ]
    found = [(each.profile, each.input, each.amount, len(each.rows)) for each in workloads_of(rows_of(launches))]
    assert found == [("3.1", "sample-30s", 30.0, 1), ("embedded", "sample-30s", 30.0, 2), ("embedded", "sample-300s", 300.0, 1)]


def test_a_row_whose_range_reaches_into_that_of_the_fastest_is_not_told_apart_from_it() -> None:
    times = {"a": (2.0, 2.4), "b": (2.3, 2.6), "c": (2.5, 2.7)}
    launches = [
        a_launch(a_plan(2 * place + turn, image=image), journal=passing_journal(warm=(seconds,) * 3))
        for place, (image, pair) in enumerate(times.items())
        for turn, seconds in enumerate(pair, 1)
    ]
    (workload,) = workloads_of(rows_of(launches))
    assert [row.image for row in workload.as_fast] == ["b"]
    page = render_benchmarks(launches)
    assert "its range overlaps that of b (podman), so they are not told apart here" in page
    assert "not told apart" not in render_benchmarks(launches[:2])


def test_lengths_of_one_cell_are_sorted_as_numbers() -> None:
    lengths = (600.0, 30.0, 120.0, 11.0)
    recordings = [msgspec.structs.replace(WORKLOAD, input=f"sample-fitted-{each:.0f}s", amount=each) for each in lengths]
    rows = rows_of(a_launch(a_plan(number, workload=each)) for number, each in enumerate(recordings))
    assert [row.speaking.plan.workload.amount for row in sorted(rows, key=by_name)] == sorted(lengths)


def test_two_recordings_of_one_name_and_length_do_not_take_each_other_s_place() -> None:
    another = msgspec.structs.replace(WORKLOAD, input_sha256="d" * 64)
    launches = [a_launch(a_plan(1, campaign=1)), a_launch(a_plan(1, campaign=2, workload=another))]
    assert len(workloads_of(rows_of(launches))) == 2


def test_the_order_in_which_launches_are_given_does_not_matter() -> None:
    launches = [a_launch(a_plan(number, image=f"image-{number % 3}")) for number in range(9)]
    forth, back = workloads_of(rows_of(launches)), workloads_of(rows_of(reversed(launches)))
    assert forth == back


def test_a_failed_build_that_never_saw_the_recording_is_overtaken_by_a_later_run_of_its_cell() -> None:
    unread = msgspec.structs.replace(WORKLOAD, input_sha256="")
    failed = a_launch(
        a_plan(1, workload=unread),
        journal=(),
        exit=ExitRecord(started=False),
        verdict=Verdict(status="fail", stage="launch", cause="build"),
    )
    (alone,) = rows_of([failed])
    assert alone.status == "fail"
    (later,) = rows_of([failed, a_launch(a_plan(1, campaign=2))])
    assert later.status == "pass"
    again = msgspec.structs.replace(failed, plan=a_plan(1, campaign=3, workload=unread))
    assert {row.status for row in rows_of([a_launch(a_plan(1, campaign=2)), again])} == {"pass", "fail"}


@pytest.mark.parametrize("changes", [{"task": "ladder", "last_stage": "device"}, {"purpose": "reference"}])
def test_tasks_and_runs_for_reference_are_no_rows(changes: dict[str, Any]) -> None:
    assert rows_of([a_launch(a_plan(**changes))]) == ()


def test_the_figures_are_those_of_the_workload_by_the_last_launch_that_has_a_time() -> None:
    row = only_row(
        a_launch(a_plan(1), journal=passing_journal(speakers=3)),
        a_launch(a_plan(2), journal=passing_journal(speakers=2)),
        a_failed_launch(a_plan(3)),
    )
    assert tuple(figure.name for figure in row.figures) == row.workload.figures
    assert [figure.value for figure in row.figures if figure.kind == "count"] == [2]


def test_a_row_without_a_time_has_its_figures_without_values() -> None:
    row = only_row(a_failed_launch(stage="warm"))
    assert tuple(figure.name for figure in row.figures) == row.workload.figures
    assert {figure.value for figure in row.figures} == {None}


def test_a_failed_probe_stands_among_the_rows_of_the_workload_that_it_speaks_for() -> None:
    (workload,) = workloads_of(rows_of([a_probe(1, passes=False), a_launch(a_plan(2, image="other"))]))
    assert len(workload.rows) == 2
    assert workload.workload.name == WORKLOAD.name
    assert {row.workload.name for row in workload.rows} == {WORKLOAD.name}


def test_a_launch_that_was_to_stop_early_is_a_row_only_where_it_failed() -> None:
    early = msgspec.structs.replace(a_plan(), last_stage="import")
    assert rows_of([a_launch(early, journal=passing_journal(last_stage="import"))]) == ()
    assert only_row(a_failed_launch(early)).status == "fail"


def test_a_workload_of_a_later_version_has_no_rows() -> None:
    later = msgspec.structs.replace(a_plan(), workload=msgspec.structs.replace(WORKLOAD, name="later"))
    assert rows_of([a_launch(later, verdict=Verdict(status="pass", stage="verify"))]) == ()


def test_a_profile_whose_output_means_nothing_is_remarked_on() -> None:
    random = msgspec.structs.replace(WORKLOAD, profile="synthetic")
    plain, remarked = workloads_of(rows_of([a_launch(a_plan(1)), a_launch(a_plan(2, workload=random))]))
    assert (plain.remark, remarked.remark) == ("", "random weights, no accuracy")


@pytest.mark.parametrize(
    ("stage", "states"),
    [("import", ["passed", "failed", *["not reached"] * 5]), ("gone", ["failed", *["not reached"] * 6])],
)
def test_the_stages_of_a_row_are_those_of_its_workload(stage: str, states: list[str]) -> None:
    launch = a_failed_launch()
    odd = msgspec.structs.replace(launch, verdict=msgspec.structs.replace(launch.verdict, stage=stage))
    row = only_row(odd)
    assert tuple(row.stages) == row.workload.all_stages
    assert list(row.stages.values()) == states
