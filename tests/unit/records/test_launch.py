from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from harness.records.journal import number
from harness.records.launch import SCHEMA, Launch, is_id, new_id
from harness.records.outcome import Telemetry
from harness.records.plan import WorkloadRecord
from harness.records.upgrade import read_launch, read_plan
from tests.unit.samples import a_failed_launch, a_launch, a_link, failing_journal, passing_journal

FIRST_SCHEMA = """{
 "plan": {"id": "20261121T222219-fe35ec", "campaign": "20261121T222049-6cf437", "owner": "3270:228428:a368a0b3:4026531836",
  "cell": "local-cpu/cpu/embedded/sample-30s", "planned_at": "2026-11-21T22:22:19Z",
  "image": {"name": "local-cpu", "family": "cpu", "id": "recipe:45eb", "recipe": "45eb"}, "variant": "cpu",
  "workload": {"pipeline": "embedded", "audio": "sample-30s", "audio_seconds": 30.0, "audio_sha256": "64ed",
   "reference_sha256": "d78f", "highest_der": 0.08, "segmentation_batch_size": 32, "embedding_batch_size": 96, "warm_passes": 3},
  "engine": {"name": "local", "version": "3.11.7"}, "host": {"kernel": "6.18.44", "processors": 2, "memory_bytes": 25325268992},
  "device": "cpu", "last_stage": "verify", "timeout_seconds": 1200.0, "command": ["env", "-i", "python"]},
 "exit": {"started": true, "code": 0}, "verdict": {"status": "pass", "stage": "verify"}, "start_seconds": 0.07,
 "journal": [{"event": "begin", "at": 1795299739.8, "stage": "launch"}, {"event": "done", "at": 1795299759.8}]
}"""
"""A record as version 1 wrote it: it stays readable for ever, so this text is never changed."""


def changed(**found: Any) -> Launch:
    """A launch whose ``verify`` stage found something else."""
    return a_launch(journal=passing_journal(**found))


def a_sampled_launch() -> Launch:
    """A launch with three samples of one meter."""
    series = {"vram_used_bytes": (0.0, None, 4096.0)}
    telemetry = Telemetry(hertz=2.0, times=(1.0, 1.5, 2.0), series=series, unavailable={"gpu_power_watts": "no GPU"})
    return msgspec.structs.replace(a_launch(), telemetry=telemetry)


def test_a_record_of_the_first_schema_is_read() -> None:
    launch = read_launch(FIRST_SCHEMA)
    assert launch.schema == SCHEMA
    assert launch.plan.workload == WorkloadRecord(
        name="diarization",
        profile="embedded",
        input="sample-30s",
        amount=30.0,
        input_sha256="64ed",
        truth_sha256="d78f",
        highest_error=0.08,
        numbers={"segmentation_batch_size": 32, "embedding_batch_size": 96},
    )
    assert (launch.plan.warm_passes, launch.plan.last_stage) == (3, "verify")
    assert (launch.id, launch.image, launch.verdict.status) == ("20261121T222219-fe35ec", "local-cpu", "pass")


@pytest.mark.parametrize(
    ("changes", "name", "last_stage", "options"),
    [
        ({"last_stage": "device", "steps": ["lstm"]}, "probe", "device", {"steps": ["lstm"]}),
        ({"last_stage": "import"}, "probe", "import", {}),
        ({"last_stage": "device", "task": "ladder", "options": {"batches": [1]}}, "ladder", "ladder", {"batches": [1]}),
    ],
)
def test_another_workload_of_the_first_schema_has_its_name(
    changes: dict[str, Any], name: str, last_stage: str, options: dict[str, Any]
) -> None:
    document = json.loads(FIRST_SCHEMA)
    plan = read_launch(json.dumps({**document, "plan": {**document["plan"], **changes}})).plan
    assert (plan.workload.name, plan.last_stage, plan.options) == (name, last_stage, options)


@pytest.mark.parametrize("options", [True, -1, 1e300, "x", [1]])
def test_a_damaged_record_of_the_first_schema_is_refused_as_one(options: Any) -> None:
    document = json.loads(FIRST_SCHEMA)
    plan = {**document["plan"], "steps": ["lstm"], "options": options}
    with pytest.raises(msgspec.DecodeError):
        read_launch(json.dumps({**document, "plan": plan}))
    with pytest.raises(msgspec.DecodeError):
        read_plan(json.dumps(plan))


def test_what_is_written_is_what_is_read() -> None:
    for launch in (a_launch(), a_sampled_launch(), a_failed_launch(stage="warm", log_tail="the end\n")):
        assert read_launch(msgspec.json.encode(launch)) == launch


def test_a_record_from_before_there_was_telemetry_has_none_and_one_without_writes_none() -> None:
    assert read_launch(FIRST_SCHEMA).telemetry is None
    assert "telemetry" not in json.loads(msgspec.json.encode(a_launch()))


def test_a_reading_that_failed_is_kept_apart_from_a_zero() -> None:
    read = read_launch(msgspec.json.encode(a_sampled_launch()))
    assert read.telemetry is not None
    assert read.telemetry.series["vram_used_bytes"] == (0.0, None, 4096.0)


def test_a_record_of_this_version_carries_this_schema() -> None:
    assert a_launch().schema == SCHEMA


def test_a_field_that_a_later_version_added_does_not_stop_an_older_one_of_the_same_schema() -> None:
    document = json.loads(FIRST_SCHEMA)
    document["plan"]["later"] = 1
    assert read_launch(json.dumps(document)).image == "local-cpu"


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        a_launch().log_tail = "other"  # type: ignore[misc]


def test_the_times_of_a_launch_are_those_of_its_journal() -> None:
    launch = a_launch(journal=passing_journal(warm=(2.0, 2.5), cold=3.5))
    assert launch.pass_seconds("warm") == (2.0, 2.5)
    assert launch.pass_seconds("cold") == (3.5,)
    assert (launch.load_seconds, launch.import_seconds) == (0.7, 1.0)
    assert launch.peak_resident_bytes == 3 << 29


def test_what_no_meter_gave_is_not_zero() -> None:
    launch = a_launch()
    assert launch.peak_reserved_bytes is None
    never_ran = a_failed_launch(stage="import")
    assert (never_ran.load_seconds, never_ran.peak_resident_bytes, never_ran.torch_version) == (None,) * 3
    assert never_ran.pass_seconds("warm") == ()
    assert not never_ran.said.found("verify")


def test_the_chain_is_that_of_the_stage_that_failed_outermost_first() -> None:
    links = (a_link("ImportError", "outer"), a_link("OSError", "root"))
    launch = a_launch(journal=failing_journal("import", *links))
    assert [(link.type, link.message) for link in launch.chain] == [("ImportError", "outer"), ("OSError", "root")]
    assert launch.chain[0].where == links[0]["where"]
    assert a_launch().chain == ()


def test_the_last_word_on_an_import_counts() -> None:
    assert a_launch().said.imports["torch"].outcome == "ok"


@pytest.mark.parametrize("value", [1, 1.5, 0, -2])
def test_a_finite_number_is_a_number(value: float) -> None:
    assert number(value) == float(value)


@pytest.mark.parametrize(
    "value", [None, "1", [], {}, True, float("nan"), float("inf"), -float("inf"), 10**400], ids=lambda each: repr(each)[:9]
)
def test_anything_else_is_no_number(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), True, "2.0", None, [2.0], 10**400], ids=lambda each: repr(each)[:9]
)
def test_a_pass_counts_only_with_seconds_that_are_a_number(value: object) -> None:
    journal = passing_journal(warm=(2.0, value))  # type: ignore[arg-type]
    launch = msgspec.structs.replace(a_launch(), journal=journal)
    assert launch.pass_seconds("warm") == (2.0,)


def test_no_two_ids_are_the_same() -> None:
    assert len({new_id() for _ in range(100)}) == 100


def test_ids_made_one_after_another_sort_in_that_order() -> None:
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)


@pytest.mark.parametrize("text", ["20261121T204530-123456-1f0a", "20261121T204530-1f0a9c"])
def test_an_id_of_this_or_an_earlier_version_is_one(text: str) -> None:
    assert is_id(text)
    assert is_id(new_id())


@pytest.mark.parametrize(
    "text", ["", ".", "..", "notes", "dry-run-cpu", "../20261121T204530-1f0a9c", "20261121T204530-1f0a9c\n", "20261121T204530"]
)
def test_any_other_name_is_no_id(text: str) -> None:
    assert not is_id(text)
