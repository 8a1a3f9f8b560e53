"""What an output is scored by stays with the host: no engine and no guest is told of it, and a killed harness leaves it to the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.wire import REQUEST, STEPS
from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell
from harness.engines.base import BuiltImage, Run
from harness.inputs.launch_inputs import recording_inputs
from harness.launch.plan import EXCHANGE, TRUTH, Origin, Prepared, launches_folder, prepare_launch
from harness.launch.run import conclude, execute
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from harness.records.plan import EngineRecord, Settings
from harness.records.upgrade import read_plan
from harness.workloads.diarization import der_of
from tests.unit.records.test_launch import FIRST_SCHEMA
from tests.unit.samples import (
    HOST,
    RTTM,
    FakeEngine,
    an_audio,
    no_sampler,
    passing_journal,
    probing_journal,
    some_models,
    write_journal,
    write_rttm,
)

CATALOG = load_catalog()
ENGINES = ("podman", "docker", "local")


def prepared(folder: Path, engine: str = "podman", **audio: Any) -> Prepared:
    image = CATALOG.images["local-cpu" if engine == "local" else "cpu"]
    cell = Cell(image, CATALOG.variants["cpu"], CATALOG.pipelines["embedded"].profile, "sample-30s")
    return prepare_launch(
        cell,
        BuiltImage(id="sha256:1234"),
        EngineRecord(name=engine),
        origin=Origin("c", "", HOST),
        inputs=recording_inputs(an_audio(folder / "audio", **audio), some_models(folder)),
        settings=Settings(),
        family="cpu",
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_no_mount_no_variable_no_argument_and_no_request_names_the_truth(tmp_path: Path, engine: str) -> None:
    truth = write_rttm(tmp_path / "the-truth.rttm", (0.0, 1.0, "a"))
    ready = prepared(tmp_path, engine, reference=truth)
    assert ready.truth == truth
    told = f"{ready.run}{ready.request.to_json()}"
    assert "sample.wav" in told, "what the guest reads is named"
    assert "the-truth" not in told
    assert "rttm" not in told
    assert str(ready.plan.workload.truth_sha256) not in told


def a_guest(seen: list[Path]) -> Any:
    """A guest that passes, and notes what lies in its folder."""

    def guest(run: Run) -> ExitRecord:
        seen.extend(run.exchange.iterdir())
        write_journal(run.exchange, passing_journal(rttm=RTTM, der=0.0))
        return ExitRecord(started=True, code=0)

    return guest


def test_a_launch_is_scored_by_a_truth_that_lies_outside_what_a_container_can_write(tmp_path: Path) -> None:
    truth = tmp_path / "truth.rttm"
    truth.write_text(RTTM.splitlines()[0])
    ready = prepared(tmp_path, reference=truth, highest_der=0.5)
    seen: list[Path] = []
    launch = execute(ready, FakeEngine(a_guest(seen)), sample=no_sampler)
    assert [path.name for path in seen] == [REQUEST]
    kept = launches_folder() / launch.id / TRUTH
    assert kept.read_text() == truth.read_text()
    assert not any(kept.is_relative_to(mount.source) for mount in ready.run.mounts)
    assert der_of(launch) == pytest.approx(0.8 / 0.43)
    assert launch.verdict.status == "wrong output", "whatever the guest says of itself"


def test_a_harness_that_was_killed_leaves_the_truth_to_the_next(tmp_path: Path) -> None:
    truth = tmp_path / "truth.rttm"
    truth.write_text(RTTM)
    ready = prepared(tmp_path, reference=truth, highest_der=0.08)
    launch = execute(ready, FakeEngine(a_guest([])), sample=no_sampler)
    truth.unlink()
    again = conclude(ready.plan, ExitRecord(started=True, interrupted=True))
    assert again.findings == launch.findings
    assert (again.verdict.status, der_of(again)) == ("pass", pytest.approx(0.0))


def test_findings_are_stored_and_read_again(tmp_path: Path) -> None:
    launch = execute(prepared(tmp_path), FakeEngine(a_guest([])), sample=no_sampler)
    assert launch.findings == {"speakers": 2}
    document = json.loads(msgspec.json.encode(launch))
    assert document["findings"] == {"speakers": 2}
    assert msgspec.convert(document, type(launch)).findings == launch.findings


def left_by_schema_1(journal: Sequence[dict[str, Any]], **changes: Any) -> Launch:
    """What is recovered of a launch whose harness was killed when guests still scored their own outputs."""
    document = json.loads(FIRST_SCHEMA)["plan"]
    plan = read_plan(json.dumps(document | changes))
    exchange = launches_folder() / plan.id / EXCHANGE
    exchange.mkdir(parents=True)
    write_journal(exchange, journal)
    return conclude(plan, ExitRecord(started=True, interrupted=True))


def test_a_finished_launch_of_schema_1_is_recovered_with_the_error_that_its_guest_computed() -> None:
    launch = left_by_schema_1(passing_journal(der=0.05))
    assert (launch.verdict.status, launch.verdict.summary) == ("pass", "")
    assert der_of(launch) == pytest.approx(0.05)


def test_a_finished_launch_of_schema_1_is_still_wrong_by_that_error() -> None:
    launch = left_by_schema_1(passing_journal(der=0.4))
    assert (launch.verdict.status, launch.findings) == ("wrong output", {})


def test_a_guest_of_today_is_not_believed_where_its_truth_is_lost(tmp_path: Path) -> None:
    ready = prepared(tmp_path, reference=write_rttm(tmp_path / "truth.rttm", (0.0, 1.0, "a")), highest_der=0.08)
    execute(ready, FakeEngine(a_guest([])), sample=no_sampler)
    (launches_folder() / ready.plan.id / TRUTH).unlink()
    launch = conclude(ready.plan, ExitRecord(started=True, interrupted=True))
    assert (launch.verdict.status, der_of(launch)) == ("wrong output", None)


def test_a_finished_corpus_of_schema_1_is_recovered_with_the_scores_that_its_guest_computed() -> None:
    launch = left_by_schema_1([], last_stage="device", task="accuracy", options={"files": [{"name": "a"}]})
    assert launch.plan.workload.name == "accuracy"
    assert launch.findings == {}


@pytest.mark.parametrize(("said", "status"), [({}, "pass"), ({"lstm": {"outcome": "wrong"}}, "wrong output")])
def test_the_steps_of_a_finished_probe_of_schema_1_are_judged(said: dict[str, Any], status: str) -> None:
    journal = probing_journal(said)
    old = [event for event in journal if event.get("stage") != "probe"]  # its steps came after the device stage, in no stage
    launch = left_by_schema_1(old, last_stage="device", steps=list(STEPS))
    assert launch.verdict.status == status


def test_a_launch_of_a_stage_that_is_unknown_here_stops_no_recovery(tmp_path: Path) -> None:
    ready = prepared(tmp_path)
    workload = msgspec.structs.replace(ready.plan.workload, name="of-a-later-version")
    plan = msgspec.structs.replace(ready.plan, workload=workload, last_stage="later")
    exchange = launches_folder() / plan.id / EXCHANGE
    exchange.mkdir(parents=True)
    ended = {"stage": "later", "seconds": 0.1}
    write_journal(exchange, [{"event": "begin", **ended}, {"event": "end", **ended}, {"event": "done"}])
    launch = conclude(plan, ExitRecord(started=True, interrupted=True))
    assert launch.verdict.stage == "launch", "the stages of such a workload are not known"
