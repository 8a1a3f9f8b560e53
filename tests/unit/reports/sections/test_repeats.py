"""The page's section on how many launches a row has. All times are made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import pytest

from harness.analysis.intervals import estimate
from harness.analysis.repeats import RepeatRow, odd_text, repeat_rows
from harness.analysis.stopping import decide, value_of
from harness.records.launch import Launch
from harness.records.outcome import Decision
from harness.records.plan import CoolDown, Plan, StoppingRule
from reports.markdown.render import render_benchmarks
from reports.sections.repeats import cool_down_text, repeats_table
from reports.terminal.launch import print_launch
from reports.terminal.results import print_results
from reports.values import format_spread
from tests.unit.reports.drawn import cells_of
from tests.unit.samples import a_failed_launch, a_launch, a_plan, passing_journal

UNTIL = StoppingRule(launches=50, until=0.02, budget_seconds=600.0)
STEADY = (2.0, 2.001, 2.002, 2.003, 2.004, 2.005)


def launches_of(
    values: Sequence[float | None], *, rule: StoppingRule = UNTIL, image: str = "cpu", elapsed: float = 10.0, first: int = 1
) -> list[Launch]:
    """Launches of one campaign as its rule saw them; ``None`` is one that failed."""
    found: list[Launch] = []
    for number, value in enumerate(values, first):
        plan: Plan = a_plan(number, image=image, stopping=rule)
        launch = a_failed_launch(plan) if value is None else a_launch(plan, journal=passing_journal(warm=(value,) * 3))
        so_far = [value_of(each) for each in (*found, launch)]
        found.append(with_decision(launch, decide(rule, so_far, elapsed_seconds=elapsed)))
    return found


def with_decision(launch: Launch, decision: Decision | None) -> Launch:
    return msgspec.structs.replace(launch, decision=decision)


def only(launches: Sequence[Launch]) -> RepeatRow:
    (row,) = repeat_rows(launches)
    return row


def test_a_row_says_how_precise_it_is_what_was_asked_for_and_why_it_ended() -> None:
    cells = cells_of(repeats_table([only(launches_of(STEADY))]))
    assert cells[4:6] == ("6 of 6", "±0.125%")
    assert cells[6].startswith(
        "6 to 50 launches of each configuration, until the 95% interval's half-width is 2% of the median or less"
    )
    assert cells[7] == "precise enough: half-width 0.125%, 2% was asked for"


def test_a_cell_that_failed_throughout_says_so() -> None:
    row = only(launches_of([None] * 3))
    assert cells_of(repeats_table([row]))[4:6] == ("0 of 3", "-")
    assert row.ended == "3 launches in a row without a time"


def test_a_budget_that_another_cell_spent_ended_this_one_too() -> None:
    mine = launches_of((2.0, 2.1), elapsed=300.0)
    other = launches_of((2.0, 2.1), image="other", elapsed=700.0, first=3)
    rows = {row.row.image: row.ended for row in repeat_rows([*mine, *other])}
    assert rows == {"cpu": "the budget of 10 min is spent", "other": "the budget of 10 min is spent: no interval yet"}


def test_a_campaign_that_was_interrupted_says_so() -> None:
    assert only(launches_of((2.0, 2.1), elapsed=30.0)).ended == "interrupted"


def test_launches_from_before_there_was_a_rule_have_no_row() -> None:
    assert repeat_rows([a_launch()]) == ()
    assert "## How many launches" not in render_benchmarks([a_launch()])


def test_odd_launches_are_named_and_none_is_left_out() -> None:
    launches = launches_of((*STEADY, 9.0))
    assert odd_text(launches) == f"outlier {launches[6].id} at 9.00 s"
    assert only(launches).row.seconds == estimate([*STEADY, 9.0])
    two = launches_of([1.0, 1.01, 1.02, 1.03, 1.04, 1.5, 1.51, 1.52, 1.53, 1.54])
    assert odd_text(two) == "two heaps: 5 around 1.02 s and 5 around 1.52 s"
    assert odd_text(launches_of(STEADY)) == ""


def test_what_is_odd_stands_beside_the_spread() -> None:
    assert format_spread(estimate([*STEADY, 9.0])) == "2.00 s [2.00, 9.00], 1 outlier"
    assert "| 2.00 s [2.00, 9.00], 1 outlier |" in render_benchmarks(launches_of((*STEADY, 9.0)))


def a_wait(outcome: Literal["cool", "time is up"] = "cool", *, waited: float = 0.0, after: float = 40.0) -> CoolDown:
    return CoolDown(
        outcome=outcome,
        most_seconds=60.0,
        margin_celsius=3.0,
        waited_seconds=waited,
        start_celsius={"gpu": 40.0},
        before_celsius={"gpu": 70.0},
        after_celsius={"gpu": after},
    )


@pytest.mark.parametrize(
    ("waits", "text"),
    [
        ([], ""),
        ([a_wait()], "waited 0 s in 1 launch"),
        ([a_wait(), a_wait(waited=12.4)], "waited 12 s in 2 launches"),
        (
            [a_wait(), a_wait("time is up", waited=60.0, after=51.0)],
            "waited 60 s in 2 launches, 1 began too warm, by up to 11 °C",
        ),
        ([CoolDown(outcome="no thermometer", most_seconds=60.0, margin_celsius=3.0)] * 2, "no thermometer"),
        (
            [a_wait(), CoolDown(outcome="no thermometer", most_seconds=60.0, margin_celsius=3.0)],
            "waited 0 s in 2 launches, 1 without a thermometer",
        ),
    ],
)
def test_the_waits_are_said_in_words(waits: list[CoolDown], text: str) -> None:
    assert cool_down_text(waits) == text


def test_a_wait_that_ended_without_a_reading_names_no_degrees() -> None:
    blind = CoolDown(outcome="time is up", most_seconds=9.0, margin_celsius=3.0, start_celsius={"k10temp": 40.0})
    assert cool_down_text([blind]) == "waited 0 s in 1 launch, 1 began too warm"


def test_the_page_has_a_line_for_each_row() -> None:
    page = render_benchmarks([*launches_of(STEADY), *launches_of((2.0, 2.1), image="other", first=20)])
    section = page.split("## How many launches")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {11}


def test_a_thermometer_s_and_an_image_s_name_are_no_markup() -> None:
    page = render_benchmarks(launches_of(STEADY, image="a|b`c"))
    section = page.split("## How many launches")[1].split("\n## ")[0]
    assert "a\\|b\\`c" in section


def test_the_terminal_says_it_where_there_is_more_than_a_fixed_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_results(launches_of(STEADY))
    assert "precise enough: half-width 0.125%" in capsys.readouterr().out
    print_results(launches_of((2.0, 2.1), rule=StoppingRule(launches=2)))
    assert "How many launches" not in capsys.readouterr().out


def test_a_launch_is_shown_with_its_rule_and_its_wait(capsys: pytest.CaptureFixture[str]) -> None:
    launch = launches_of(STEADY)[-1]
    cooled = msgspec.structs.replace(launch, plan=msgspec.structs.replace(launch.plan, cool_down=a_wait(waited=5.0)))
    print_launch(cooled)
    out = capsys.readouterr().out
    assert "precise enough: half-width 0.125%, 2% was asked for" in out
    assert "waited 5 s in 1 launch" in out
