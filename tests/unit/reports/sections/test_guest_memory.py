"""The guest's memory meters in a record and on the page. All numbers are made up."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.records.launch import Launch
from reports.markdown.render import render_benchmarks
from tests.unit.samples import a_launch, a_plan, passing_journal

GIB = 1 << 30


def a_metered_launch(number: int = 1, **warm: Any) -> Launch:
    journal = [{**e, **(warm if e.get("event") == "end" and e.get("stage") == "warm" else {})} for e in passing_journal()]
    return a_launch(a_plan(number), journal=journal)


def test_a_meter_is_its_bytes_or_its_reason() -> None:
    launch = a_metered_launch(
        memory={"resident_peak_bytes": GIB, "cgroup_peak_bytes": 0}, memory_unavailable={"cgroup_current_bytes": "no file"}
    )
    assert launch.memory == {"resident_peak_bytes": GIB, "cgroup_peak_bytes": 0}
    assert launch.memory_unavailable == {"cgroup_current_bytes": "no file"}


@pytest.mark.parametrize("value", [None, "1", -1, math.nan, math.inf, True, [1], {}])
def test_what_is_no_number_of_bytes_is_left_out(value: Any) -> None:
    assert a_metered_launch(memory={"resident_peak_bytes": value, "<b>": 1}).memory == {}


@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_what_is_no_mapping_holds_no_meters(value: Any) -> None:
    launch = a_metered_launch(memory=value, memory_unavailable=value)
    assert (launch.memory, launch.memory_unavailable) == ({}, {})


def test_the_page_shows_the_largest_and_says_unavailable() -> None:
    meters = [{"resident_peak_bytes": GIB}, {"resident_peak_bytes": 3 * GIB}]
    reason = {"cgroup_peak_bytes": "shared | with <others>"}
    page = render_benchmarks([a_metered_launch(n, memory=m, memory_unavailable=reason) for n, m in enumerate(meters, start=1)])
    (line,) = [line for line in page.splitlines() if line.startswith("| cpu |") and "unavailable" in line]
    assert "| 2 | 3.00 GiB | unavailable |" in line
    assert "cgroup\\_peak\\_bytes: shared \\| with &lt;others&gt;" in page
    assert "Memory, meter by meter" not in render_benchmarks([a_launch()])
