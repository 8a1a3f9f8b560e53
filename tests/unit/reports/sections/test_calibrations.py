"""What pages show of calibrations, and which meter a row's memory is told by. All series are made up."""

from __future__ import annotations

import pytest

from harness.analysis.rows import rows_of
from reports.markdown.render import render_benchmarks
from reports.terminal.results import print_results
from reports.terminal.tasks import print_calibrations
from reports.values import format_memory
from tests.unit.analysis.test_peak_memory import VM_HWM
from tests.unit.calibrations import a_calibration_launch, made_up_results
from tests.unit.samples import a_failed_launch, a_launch, a_plan


def test_a_row_of_the_page_is_told_by_the_calibrated_meter_and_the_calibration_is_no_row() -> None:
    launches = [a_calibration_launch(1, guest=VM_HWM), a_launch(a_plan(9))]
    (row,) = rows_of(launches)
    assert format_memory(row.memory) == "1.50 GiB (VmHWM)"
    assert "| 1.50 GiB (VmHWM) | PASS |" in render_benchmarks(launches)


def test_the_terminal_knows_calibrations_of_the_store_that_it_does_not_show(capsys: pytest.CaptureFixture[str]) -> None:
    launch = a_launch(a_plan(9))
    print_results([launch])
    assert "1.50 GiB (VmHWM, not calibrated)" in capsys.readouterr().out
    print_results([launch], stored=[a_calibration_launch(1, guest=VM_HWM), a_launch(a_plan(8, image="other"))])
    out = capsys.readouterr().out
    assert "1.50 GiB (VmHWM) |" in out
    assert "other" not in out


def test_the_page_has_a_section_only_where_there_is_a_calibration() -> None:
    assert "Meters of memory" not in render_benchmarks([a_launch()])
    failed = a_failed_launch(a_plan(task="calibrate", last_stage="device"), stage="device")
    assert "Meters of memory" not in render_benchmarks([a_launch(a_plan(9)), failed])
    page = render_benchmarks([a_launch(a_plan(9)), a_calibration_launch(1, guest=VM_HWM)])
    lines = page.split("## Meters of memory")[1].splitlines()
    assert "| Meter | Read by | 0.5 GiB | 1 GiB | 2 GiB | Judged |" in lines
    assert (
        "| VmHWM | the process | 0.500 GiB (+0.0%) | 1.000 GiB (+0.0%) | 2.000 GiB (+0.0%) | moves by what is allocated |"
        in lines
    )
    assert "| fdinfo | the host | - | - | - | unavailable: nothing was sampled on the host |" in lines
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {7}, "a table that Markdown takes for one"
    assert "" not in lines[lines.index(table[0]) : lines.index(table[-1])]


def test_a_store_of_calibrations_alone_has_the_section_too() -> None:
    assert "## Meters of memory" in render_benchmarks([a_calibration_launch(1, guest=VM_HWM)])


HOSTILE = "<img src=x>|\n# pwned\x1b[31m"


def test_what_a_container_says_of_its_meters_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    launch = a_calibration_launch(results=made_up_results(VM_HWM, unavailable={"cgroup_peak_bytes": HOSTILE}))
    page = render_benchmarks([launch])
    assert "&lt;img src=x&gt;" in page
    assert "<img" not in page
    assert "\n# pwned" not in page
    print_calibrations([launch])
    out = capsys.readouterr().out
    assert "\n# pwned" not in out
    assert "\x1b" not in out


def test_the_terminal_shows_a_calibration_and_why_another_failed(capsys: pytest.CaptureFixture[str]) -> None:
    failed = a_failed_launch(a_plan(2, task="calibrate", last_stage="device"), stage="device")
    print_calibrations([a_calibration_launch(1, guest=VM_HWM), failed])
    out = capsys.readouterr().out
    assert "Meters of cpu (podman, cpu, on cpu)" in out
    assert "0.500 GiB (+0.0%)" in out
    assert "cpu cpu (podman): FAIL in device: error: builtins.ImportError" in out
