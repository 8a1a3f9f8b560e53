from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.records.likeness import HASHES, WORK, key_of
from harness.records.plan import EngineRecord, Plan
from tests.unit.samples import WORKLOAD, a_plan

WORKLOADS = {
    "profile": msgspec.structs.replace(WORKLOAD, profile="3.1"),
    "input": msgspec.structs.replace(WORKLOAD, input="call"),
    "input hash": msgspec.structs.replace(WORKLOAD, input_sha256="d" * 64),
    "truth hash": msgspec.structs.replace(WORKLOAD, truth_sha256=None),
}

OTHERS: dict[Any, Plan] = {
    "image": a_plan(image="other"),
    "variant": a_plan(variant="native"),
    **{part: a_plan(workload=workload) for part, workload in WORKLOADS.items()},
    "engine": a_plan(engine="docker"),
    "rootless": msgspec.structs.replace(a_plan(), engine=EngineRecord(name="podman", version="5.7.0", rootless=True)),
    "flags": a_plan(flags="compat"),
    "gpu": a_plan(gpu="0000:c5:00.0"),
}


@pytest.mark.parametrize("part", OTHERS)
def test_plans_that_differ_in_a_part_are_alike_only_without_it(part: Any) -> None:
    assert key_of(OTHERS[part]) != key_of(a_plan())
    assert key_of(OTHERS[part], without=(part,)) == key_of(a_plan(), without=(part,))


def test_what_is_run_can_be_left_out_whole() -> None:
    assert {key_of(a_plan(workload=workload), without=WORK) for workload in WORKLOADS.values()} == {
        key_of(a_plan(), without=WORK)
    }
    assert set(HASHES) < set(WORK)


def test_the_least_flags_are_those_from_before_there_was_a_choice() -> None:
    assert key_of(a_plan(flags="least")) == key_of(a_plan(flags=""))


def test_the_number_of_a_launch_and_its_campaign_are_no_part() -> None:
    assert key_of(a_plan(7, campaign=3)) == key_of(a_plan())
