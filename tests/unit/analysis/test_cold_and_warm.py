"""Cold, second launch and steady, told by the recorded state of a cache. All numbers are made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis.cold_and_warm import cold_and_warm_of, phase_of
from harness.analysis.cold_and_warm_rows import alarms, cold_and_warm_rows
from harness.analysis.rows import rows_of
from harness.records.launch import Launch
from harness.records.outcome import CacheRecord, Verdict
from reports.markdown.render import render_benchmarks
from tests.unit.samples import a_launch, a_plan, a_wrong_launch, passing_journal

GPU = {"family": "rocm", "image": "rocm", "variant": "native"}
MIB = 1 << 20


def a_run(
    number: int,
    first_pass: float,
    *,
    before: int | None = 0,
    after: int | None = 0,
    seen: bool = False,
    campaign: int = 1,
    steady: float = 2.0,
    **plan: Any,
) -> Launch:
    """A launch whose first pass takes so long; files of its cache before and after, a MiB each."""
    planned = a_plan(number, campaign=campaign, caches="keep", **plan)
    hip = {"hip": "6.4"} if planned.image.family == "rocm" else {}
    cuda = {"cuda": "12.8"} if planned.image.family == "cuda" else {}
    made = a_launch(planned, journal=passing_journal(cold=first_pass, warm=(steady, steady), **hip, **cuda))
    record = CacheRecord(
        mode="keep",
        files_before=before,
        bytes_before=None if before is None else before * MIB,
        files_after=after,
        bytes_after=None if after is None else after * MIB,
        seen_before=seen,
    )
    return msgspec.structs.replace(made, caches=record)


def a_working_cache() -> list[Launch]:
    return [
        a_run(1, 60.0, after=40, **GPU),
        a_run(2, 3.0, before=40, after=41, seen=True, **GPU),
        a_run(3, 4.0, before=41, after=41, seen=True, **GPU),
    ]


@pytest.mark.parametrize(
    ("launch", "phase"),
    [
        (a_run(1, 3.0), "cold"),
        (a_run(1, 3.0, before=5), "filled by other work"),
        (a_run(1, 3.0, before=5, seen=True), "second"),
        (a_run(1, 3.0, before=0, seen=True), "second"),
        (a_run(1, 3.0, before=None), None),
        (a_launch(), None),
        (msgspec.structs.replace(a_run(1, 3.0), journal=passing_journal(last_stage="load")), None),
    ],
)
def test_what_a_first_pass_was_is_told_by_its_cache(launch: Launch, phase: str | None) -> None:
    assert phase_of(launch) == phase


def test_the_order_of_launches_says_nothing() -> None:
    times = cold_and_warm_of(reversed(a_working_cache()))
    assert times is not None
    assert times.cold is not None
    assert times.second is not None
    assert (times.cold.median, times.cold.n, times.second.median, times.second.n) == (60.0, 1, 3.5, 2)


def test_the_three_times_stand_each_with_its_n_and_what_the_cache_grew_by() -> None:
    times = cold_and_warm_of([*a_working_cache(), a_run(4, 30.0, before=41, after=50, **GPU)])
    assert times is not None
    assert times.steady is not None
    assert (times.steady.median, times.steady.n, times.others) == (2.0, 4, 1)
    assert times.cold_growth == (40.0, 40.0 * MIB)
    assert times.second_growth == (0.5, 0.5 * MIB)
    assert times.cold_result_seconds is not None
    assert times.health.state == "alive"
    assert "of the 58.00 s" in times.health.text
    assert "saves 56.50 s (97%; n = 1 cold, 2 second, 4 steady)" in times.health.text


@pytest.mark.parametrize(
    ("launches", "state", "words"),
    [
        ([a_run(1, 3.0), a_run(2, 3.0, seen=True)], "no cache on a CPU", "no kernel cache on a CPU"),
        ([a_run(1, 385.0, after=9, **GPU), a_run(2, 384.0, before=9, after=18, seen=True, **GPU)], "dead", "saves 1.00 s (0%"),
        ([a_run(1, 385.0, **GPU), a_run(2, 384.0, seen=True, **GPU)], "dead", "wrote nothing"),
        # 20% of the 10 s between a cold pass of 12 s and a steady one of 2 s are 2 s.
        ([a_run(1, 12.0, after=9, **GPU), a_run(2, 10.1, before=9, after=9, seen=True, **GPU)], "dead", "(19%"),
        ([a_run(1, 12.0, after=9, **GPU), a_run(2, 10.0, before=9, after=9, seen=True, **GPU)], "alive", "(20%"),
        ([a_run(1, 2.4, **GPU), a_run(2, 2.4, seen=True, **GPU)], "nothing to save", "0.40 s longer"),
        ([a_run(1, 1.0, **GPU), a_run(2, 1.0, seen=True, **GPU)], "nothing to save", "0.00 s longer"),
        ([a_run(1, 60.0, after=9, **GPU)], "not known", "without a second time: run `bench --caches keep`"),
        ([a_run(1, 60.0, before=3, after=9, seen=True, **GPU)], "not known", "without a cold time"),
        (
            [a_run(1, 9.0, family="cuda", image="cuda"), a_run(2, 9.0, seen=True, family="cuda", image="cuda")],
            "nothing to save",
            "the image keeps no kernels",
        ),
    ],
)
def test_a_cache_is_dead_by_a_rule(launches: list[Launch], state: str, words: str) -> None:
    times = cold_and_warm_of(launches)
    assert times is not None
    assert times.health.state == state
    assert words in times.health.text
    assert times.health.is_alarm == (state == "dead")


def test_launches_that_failed_or_have_no_cache_on_record_are_left_out() -> None:
    failed = msgspec.structs.replace(a_run(1, 99.0), verdict=a_wrong_launch().verdict.__class__(status="fail", stage="warm"))
    assert cold_and_warm_of([failed, a_launch()]) is None


def test_the_results_cold_is_the_cold_time_and_none_where_each_cache_was_filled() -> None:
    cold, *later = a_working_cache()
    (row,) = rows_of([cold, *later])
    assert row.cold_seconds == 60.0
    (row,) = rows_of(later)
    assert row.cold_seconds is None
    (row,) = rows_of([a_launch()])
    assert row.cold_seconds is None, "nothing is on record of its cache"


def is_wrong(launch: Launch) -> Launch:
    return msgspec.structs.replace(launch, verdict=Verdict(status="wrong output", stage="verify"))


def test_a_launch_with_wrong_output_is_none_of_the_times_of_those_that_are_right() -> None:
    fast = [
        is_wrong(a_run(4, 1.0, after=40, steady=0.1, **GPU)),
        is_wrong(a_run(5, 59.9, before=40, after=41, seen=True, steady=0.1, **GPU)),
    ]
    assert cold_and_warm_of([*fast, *a_working_cache()]) == cold_and_warm_of(a_working_cache())
    cold, second = a_run(1, 385.0, after=9, **GPU), a_run(2, 384.0, before=9, after=18, seen=True, **GPU)
    assert alarms(rows_of([cold]), [cold, second]), "the alarm is there where both are right"
    assert alarms(rows_of([cold]), [cold, is_wrong(second)]) == ()


def test_times_of_wrong_output_alone_are_struck_through_and_raise_no_alarm() -> None:
    wrong = [
        is_wrong(each) for each in (a_run(1, 385.0, after=9, **GPU), a_run(2, 384.0, before=9, after=18, seen=True, **GPU))
    ]
    page = render_benchmarks(wrong)
    section = page.split("## Cold, second launch, steady")[1].split("\n## ")[0]
    assert "| ~~385.00 s~~ | 1 | ~~384.00 s~~ | 1 | ~~2.00 s (2.00, 2.00)~~ | 2 |" in section
    assert "not known: each launch has wrong output" in section
    assert alarms(rows_of(wrong), wrong) == ()
    assert "~~" not in render_benchmarks(a_working_cache())


def test_a_cold_launch_of_another_campaign_counts_and_one_of_another_kernel_does_not() -> None:
    cold, *later = a_working_cache()
    later = [msgspec.structs.replace(x, plan=msgspec.structs.replace(x.plan, campaign="campaign-2")) for x in later]
    (row,) = cold_and_warm_rows(rows_of([cold, *later]), [cold, *later])
    assert row.times.cold is not None
    assert (row.row.launches, row.times.cold.n) == (tuple(later), 1)
    host = msgspec.structs.replace(cold.plan.host, kernel="6.19.0")
    other = msgspec.structs.replace(cold, plan=msgspec.structs.replace(cold.plan, host=host))
    (row,) = cold_and_warm_rows(rows_of([other, *later]), [other, *later])
    assert row.times.cold is None


def test_the_page_has_the_table_and_the_alarm_and_an_old_store_has_neither() -> None:
    page = render_benchmarks(a_working_cache())
    assert "## Cold, second launch, steady" in page
    assert "| 60.00 s | 1 | 3.50 s (3.00, 4.00) | 2 | 2.00 s (2.00, 2.00) | 3 |" in page
    assert "| +40 files, +40.0 MiB |" in page
    assert "**dead**" not in page
    dead = [a_run(1, 385.0, after=9, **GPU), a_run(2, 384.0, before=9, after=18, seen=True, **GPU)]
    assert "⚠️ **dead**: of the 383.00 s" in render_benchmarks(dead)
    assert alarms(rows_of(dead), dead)[0].startswith("rocm: dead kernel cache: of the 383.00 s")
    assert alarms(rows_of(a_working_cache()), a_working_cache()) == ()
    assert "second launch" not in render_benchmarks([a_launch()])


@pytest.mark.parametrize(("start", "known"), [(0.4, True), (-(2.0**62), False), (2.0**62, False)])
def test_a_first_result_from_outside_of_the_launch_has_no_time(start: float, known: bool) -> None:
    runs = [msgspec.structs.replace(each, wall_seconds=500.0, start_seconds=start) for each in a_working_cache()]
    times = cold_and_warm_of(runs)
    assert times is not None
    assert (times.cold_result_seconds is not None) == known
