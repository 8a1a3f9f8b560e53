from __future__ import annotations

import io
import sys

import msgspec
import pytest

from benchmarks.wire import STAGES
from harness.analysis.rows import Row
from reports.sections.compatibility import stage_marks
from reports.status import status_text
from reports.terminal.results import print_results
from tests.unit.analysis.test_rows import only_row
from tests.unit.samples import (
    WORKLOAD,
    a_failed_launch,
    a_launch,
    a_plan,
    a_wrong_launch,
)


def marks(row: Row) -> str:
    signs = {"✅": "P", "❌": "F", "⚠️": "W", "·": "."}
    return "".join(signs[mark] for mark in stage_marks(row, STAGES))


def test_what_all_launches_share_is_said_without_a_count() -> None:
    assert status_text(only_row(a_launch(a_plan(1)), a_launch(a_plan(2)))) == "PASS"
    assert status_text(only_row(a_failed_launch(a_plan(1)), a_failed_launch(a_plan(2)))) == "FAIL: import"


def test_the_stages_up_to_the_one_reached_are_passed() -> None:
    assert marks(only_row(a_launch())) == "P" * len(STAGES)
    assert marks(only_row(a_wrong_launch())) == "P" * (len(STAGES) - 1) + "W"
    assert marks(only_row(a_failed_launch(stage="import"))) == "PF....."
    assert marks(only_row(a_failed_launch(stage="warm"))) == "PPPPPF."


def test_a_stage_that_is_not_known_any_more_counts_as_the_first() -> None:
    launch = a_failed_launch()
    odd = msgspec.structs.replace(launch, verdict=msgspec.structs.replace(launch.verdict, stage="gone"))
    assert marks(only_row(odd)) == "F......"


def test_the_table_on_the_terminal_shows_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    print_results([a_launch(a_plan(1)), a_wrong_launch(a_plan(2, image="wrong")), a_failed_launch(a_plan(3, image="broken"))])
    text = out.getvalue()
    assert "embedded on sample-30s: 30.0 s of audio" in text
    for word in ("2.10 s", "14.3x", "5.0%", "1.50 GiB", "WRONG OUTPUT", "FAIL: import", "2.13.0"):
        assert word in text


def test_figures_of_wrong_output_are_marked_on_the_terminal_also_where_another_launch_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_results([a_wrong_launch(a_plan(1)), a_failed_launch(a_plan(2))])
    out = capsys.readouterr().out
    for words in ("~~2.10 s~~", "~~14.3x~~", "~~0.70 s~~", "FAIL: import"):
        assert words in out


def test_the_table_on_the_terminal_takes_no_name_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    print_results([a_launch(a_plan(image="[red]name[/red]:1"))])
    assert "[red]name[/red]:1" in out.getvalue()


def test_a_table_that_is_piped_on_is_markdown_whatever_an_image_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    print_results([a_launch(a_plan(1, image="a|b:1")), a_launch(a_plan(2, image="c"))])
    lines = [line for line in out.getvalue().splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_an_empty_line_parts_the_tables_of_two_recordings(capsys: pytest.CaptureFixture[str]) -> None:
    longer = msgspec.structs.replace(WORKLOAD, input="sample-fitted-60s", amount=60.0, input_sha256="6" * 64)
    print_results([a_launch(a_plan(1)), a_launch(a_plan(2, workload=longer))])
    out = capsys.readouterr().out
    assert "|\n\nembedded on sample-fitted-60s" in out or "|\n\nembedded on sample-30s" in out
    assert not out.startswith("\n")
