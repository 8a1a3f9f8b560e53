"""What any workload answers, and what the default answers are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.wire import Request
from harness.catalog.load import load_catalog
from harness.inputs.launch_inputs import row_inputs
from harness.workloads.workload import Unit, Workload, workload_named, workload_names, workload_of, workload_of_rows
from tests.unit.samples import WORKLOAD, a_failed_launch, a_launch, a_plan, passing_journal

AUDIO = workload_named("diarization")


def test_an_amount_and_a_rate_are_written_in_the_unit_s_words() -> None:
    seconds, images = AUDIO.unit, Unit(amount="images", rate_title="Images/s", rate_suffix=" images/s")
    assert seconds is not None
    assert (seconds.text(30.0), seconds.rate_text(14.28)) == ("30.0 s of audio", "14.3x")
    assert (images.text(8.0), images.rate_text(725.0)) == ("8 images", "725.0 images/s")
    assert (seconds.rate_name, images.rate_name) == ("realtime", "")


def test_a_portion_has_a_shorter_name_above_columns_where_the_unit_gives_one() -> None:
    thousand = Unit(amount="images", rate_title="Images/s", portion_title="1000 images")
    assert AUDIO.unit is not None
    assert (AUDIO.unit.portion_head, thousand.portion_head) == ("an audio hour", "1000 images")


@pytest.mark.parametrize("name", sorted(workload_names()))
def test_every_workload_answers_for_a_plan_of_its_own(name: str) -> None:
    workload = workload_named(name)
    plan = a_plan(workload=msgspec.structs.replace(WORKLOAD, name=name), last_stage=workload.last_stage)
    assert workload.is_whole(plan) == workload.is_measured
    assert workload.series(plan.workload)
    assert workload.free_amount >= 0
    assert bool(workload.why_free) == (workload.free_amount > 0)


OPTIONS: dict[str, dict[str, Any]] = {
    "accuracy": {"first": 0, "files": []},
    "calibrate": {"sizes_bytes": [1], "hold_seconds": 1.0},
    "ladder": {"batches": [1], "models": ["segmentation"]},
}
"""What a campaign puts into the plans of workloads that need it."""


@pytest.mark.parametrize("name", sorted(workload_names()))
def test_the_guest_s_module_takes_what_the_host_tells_it(name: str) -> None:
    workload = workload_named(name)
    record = msgspec.structs.replace(WORKLOAD, name=name)
    row = load_catalog().workloads.get(name)
    if row is not None:
        given = row_inputs(row)[0]
        record = msgspec.structs.replace(record, amount=given.amount, numbers=given.numbers)
    plan = a_plan(workload=record, last_stage=workload.last_stage, options=OPTIONS.get(name, {}))
    told = dict(workload.guest_options(plan))
    asked = Request(launch=plan.id, workload=name, device="cpu", last_stage=plan.last_stage, options=told)
    assert Request.from_json(asked.to_json()) == asked


def test_only_workloads_that_compare_their_output_are_compared() -> None:
    assert workload_named("diarization").is_compared
    assert not workload_named("probe").is_compared


def test_a_launch_that_stops_early_is_not_whole() -> None:
    assert not AUDIO.is_whole(msgspec.structs.replace(a_plan(), last_stage="import"))
    assert AUDIO.is_whole(a_plan())


def test_a_probe_speaks_for_a_cell_where_it_failed_before_its_steps() -> None:
    probe = workload_of(a_plan(last_stage="device"))
    passed = a_launch(a_plan(last_stage="device"), journal=passing_journal(last_stage="device"))
    assert not probe.is_result(passed)
    assert probe.is_result(a_failed_launch(a_plan(last_stage="device")))
    assert workload_of_rows(passed.plan) is AUDIO


@pytest.mark.parametrize(
    ("name", "series"), [("call-fitted-120s", "call"), ("call-30s", "call"), ("call", "call"), ("-30s", "-30s")]
)
def test_lengths_of_one_recording_are_a_series(name: str, series: str) -> None:
    record = msgspec.structs.replace(WORKLOAD, input=name)
    assert AUDIO.series(record) == series
    assert Workload().series(record) == name
