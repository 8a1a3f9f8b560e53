"""The page's section on several lengths. All times are made up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from harness.analysis.cost_model import CostModel, NoFit
from harness.analysis.costs import CostRow, cost_rows
from harness.analysis.intervals import Interval
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.records.plan import WorkloadRecord
from reports.markdown.render import render_benchmarks
from reports.sections.cost import cost_tables, interval_text, lengths_text, r_squared_text
from tests.unit.reports.drawn import cells_of
from tests.unit.samples import WORKLOAD, a_failed_launch, a_launch, a_plan, a_wrong_launch, journal_until, passing_journal

LENGTHS = (11.0, 30.0, 120.0)


def workload_of(seconds: float, *, highest_der: float | None = None, stem: str = "sample") -> WorkloadRecord:
    return msgspec.structs.replace(
        WORKLOAD,
        input=f"{stem}-fitted-{seconds:.0f}s",
        amount=seconds,
        input_sha256=f"{seconds:064.0f}",
        highest_error=highest_der,
    )


def on_lengths(
    lengths: Iterable[float] = LENGTHS,
    *,
    each: int = 2,
    campaign: int = 1,
    image: str = "cpu",
    slope: float = 0.05,
    stem: str = "sample",
    **changes: Any,
) -> list[Launch]:
    """Launches of one campaign that take 1 s and ``slope`` for each second of audio, but for 1% of scatter."""
    found = []
    for turn in range(each):
        for length in lengths:
            seconds = (1 + slope * length) * (1 + 0.01 * (turn % 2))
            number = 1 + len(found)
            plan = a_plan(number, campaign=campaign, image=image, workload=workload_of(length, stem=stem), **changes)
            found.append(a_launch(plan, journal=passing_journal(warm=(seconds,) * 3)))
    return found


def only(launches: Iterable[Launch]) -> CostRow:
    (row,) = cost_rows(launches)
    return row


def cost_cells(row: CostRow) -> tuple[str, ...]:
    (table,) = cost_tables([row])
    return cells_of(table)


def test_a_campaign_on_several_lengths_is_one_line() -> None:
    row = only(on_lengths())
    assert isinstance(row.model, CostModel)
    assert row.model.fixed_seconds.value == pytest.approx(1.005, rel=0.01)
    assert row.model.marginal_rate is not None
    assert row.model.marginal_rate.value == pytest.approx(19.9, rel=0.01)
    assert lengths_text(row) == "11 s x2, 30 s x2, 120 s x2"


def test_campaigns_of_one_length_are_no_line_together() -> None:
    apart = [launch for number, length in enumerate(LENGTHS, 1) for launch in on_lengths([length], campaign=number)]
    assert cost_rows(apart) == ()


def test_two_lengths_are_refused_with_the_reason() -> None:
    row = only(on_lengths((11.0, 30.0)))
    assert isinstance(row.model, NoFit)
    assert cost_cells(row)[5:] == (*["-"] * 5, "no fit: 2 lengths with a time; a line needs 3 or more")


def test_a_length_that_fails_is_counted_and_missed() -> None:
    launches = on_lengths((11.0, 30.0))
    failed = [a_failed_launch(a_plan(8 + number, workload=workload_of(600.0)), stage="warm") for number in range(2)]
    row = only([*launches, *failed])
    assert lengths_text(row) == "11 s x2, 30 s x2, 600 s x0 of 2"
    assert isinstance(row.model, NoFit)


def test_wrong_output_is_told_beside_its_speed() -> None:
    wrong = a_wrong_launch(a_plan(9, workload=workload_of(120.0, highest_der=0.08)))
    row = only([*on_lengths(), wrong])
    assert "wrong output in 1 of 7 launches: a speed of nothing" in cost_cells(row)[-1]


def test_the_latest_campaign_on_several_lengths_speaks() -> None:
    old, new = on_lengths(campaign=1, slope=0.05), on_lengths(campaign=2, slope=0.1)
    single = on_lengths([30.0], campaign=3, slope=0.5)
    row = only([*single, *new, *old])
    assert {launch.plan.campaign for launch in row.launches} == {"campaign-2"}


def test_two_recordings_are_two_lines_that_name_them() -> None:
    rows = cost_rows([*on_lengths(campaign=1), *on_lengths(campaign=2, stem="call")])
    assert [cost_cells(row)[3] for row in rows] == ["embedded on call", "embedded on sample"]


def test_a_length_that_is_the_recording_s_own_is_a_length_of_it() -> None:
    own = a_plan(9, workload=msgspec.structs.replace(workload_of(60.0), input="sample-60s"))
    assert lengths_text(only([*on_lengths(), a_launch(own)])) == "11 s x2, 30 s x2, 60 s x1, 120 s x2"


def test_a_later_campaign_that_makes_no_line_takes_no_place_and_is_told() -> None:
    row = only([*on_lengths(campaign=1), *on_lengths((11.0, 30.0), campaign=2)])
    assert {launch.plan.campaign for launch in row.launches} == {"campaign-1"}
    assert "a later campaign makes no line: 2 lengths with a time; a line needs 3 or more" in cost_cells(row)[-1]


def test_interrupted_launches_are_left_out() -> None:
    cut = ExitRecord(started=True, interrupted=True)
    interrupted = [
        a_launch(a_plan(20 + number, campaign=2, workload=workload_of(length)), journal=journal_until("warm"), exit=cut)
        for number, length in enumerate(LENGTHS)
    ]
    assert cost_rows(interrupted) == ()
    row = only([*on_lengths(campaign=1), *interrupted])
    assert row == only(on_lengths(campaign=1))
    assert lengths_text(only([*on_lengths(campaign=2), *interrupted])) == "11 s x2, 30 s x2, 120 s x2"


def test_images_and_engines_are_lines_of_their_own() -> None:
    rows = cost_rows([*on_lengths(), *on_lengths(image="other"), *on_lengths(engine="docker")])
    assert [(cost_cells(row)[0], cost_cells(row)[1]) for row in rows] == [
        ("cpu", "docker"),
        ("cpu", "podman"),
        ("other", "podman"),
    ]


@pytest.mark.parametrize("changes", [{"task": "ladder"}, {"purpose": "reference"}, {"last_stage": "import"}])
def test_what_is_no_result_is_no_line(changes: dict[str, Any]) -> None:
    assert cost_rows(on_lengths(**changes)) == ()


def test_how_far_an_hour_is_from_the_longest_length_is_said() -> None:
    assert "an audio hour is 30 times the longest length" in cost_cells(only(on_lengths()))[-1]
    assert "times the longest length" not in cost_cells(only(on_lengths((11.0, 120.0, 1800.0))))[-1]


def test_an_interval_is_written_with_its_unit() -> None:
    assert interval_text(Interval(1.523, 1.311, 1.731), " s", digits=2) == "1.52 s [1.31, 1.73]"
    assert interval_text(Interval(20.0, 10.0, math.inf), "x", digits=1) == "20.0x [10.0, none]"


def test_an_r_squared_is_cut_so_that_only_1_reads_as_1() -> None:
    assert [r_squared_text(each) for each in (0.99996, 1.0, 0.5, None)] == ["0.9999", "1.0000", "0.5000", "-"]


def test_the_page_has_the_section_where_there_are_such_launches_alone() -> None:
    page = render_benchmarks(on_lengths())
    section = page.split("## Fixed and marginal cost")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert lines[0].count("|") == lines[2].count("|") == 12
    assert "11 s x2, 30 s x2, 120 s x2" in lines[2]
    assert "## Fixed and marginal cost" not in render_benchmarks([a_launch()])


def test_each_length_keeps_a_table_of_its_own() -> None:
    page = render_benchmarks(on_lengths())
    for length in LENGTHS:
        assert f"### embedded on sample-fitted-{length:.0f}s: {length:.1f} s of audio" in page
