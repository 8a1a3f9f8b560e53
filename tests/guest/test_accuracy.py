"""The workload ``accuracy`` against stub packages: what a recording's failure costs. The turns here are stubs' and mean nothing."""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.wire import JOURNAL, MOST_JOURNAL_BYTES, Request

from .stubs import TURNS, Ended, Stubs, make_request, run_guest


def a_request(folder: Path, *, files: int = 3, first: int = 0, limit_seconds: float = 60.0, **fields: object) -> Request:
    """A request for a corpus of silence."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for index in range(files):
        with wave.open(str(corpus / f"{index:04d}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 16_000 * 2))
    listed = [{"audio": f"{n:04d}.wav", "name": f"f{n}"} for n in range(files)]
    (corpus / "manifest.json").write_text(json.dumps({"files": listed}))
    options = {"first": first, "files": [{"limit_seconds": limit_seconds}] * files}
    inputs = {"corpus": str(corpus), "models": str(folder / "models")}
    return make_request(folder, "accuracy", options=options, inputs=inputs, **fields)


def run(folder: Path, misbehave: Mapping[str, str] | None = None, **request: object) -> Ended:
    stub = Stubs(misbehave=misbehave or {}, **({"gpu": True, "hip": "0"} if request.get("device") else {}))
    return run_guest(folder, stub, a_request(folder, **request))  # type: ignore[arg-type]


def words(ended: Ended) -> list[str]:
    return [f"{event['outcome']} {event.get('index', '')}".strip() for event in ended.events("result")]


def test_each_recording_is_journaled_before_and_after_its_pass(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.exit.code == 0, ended.log
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1", "ok 1", "trying 2", "ok 2"]
    last = ended.events("result")[-1]
    assert last["rttm"].startswith("SPEAKER f2 1 0.000 1.000 <NA> <NA> STUB_00 <NA> <NA>\n")
    assert set(last) == {"event", "at", "outcome", "index", "audio_seconds", "seconds", "processor_seconds", "rttm"}
    assert last["audio_seconds"] == 2.0
    assert ended.end("accuracy")["tried"] == 3


def test_an_exception_costs_its_recording_alone(tmp_path: Path) -> None:
    ended = run(tmp_path, {"pass 1": "if file['uri'] == 'f1': pipeline._passes = 9; raise MemoryError('planted')"})
    assert ended.exit.code == 0, ended.log
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1", "failed 1", "trying 2", "ok 2"]
    (failed,) = ended.events("result", outcome="failed")
    assert failed["chain"][-1]["message"] == "planted"


@pytest.mark.parametrize("missing", [0, 1])
def test_a_recording_that_is_missing_costs_itself_alone(tmp_path: Path, missing: int) -> None:
    request = a_request(tmp_path)
    (tmp_path / f"corpus/{missing:04d}.wav").unlink()
    ended = run_guest(tmp_path, Stubs(), request)
    assert words(ended) == [
        "loaded",
        *(f"{said} {n}" for n in range(3) for said in ("trying", "failed" if n == missing else "ok")),
    ]


def test_a_crash_leaves_what_was_done_and_the_one_it_died_in(tmp_path: Path) -> None:
    ended = run(tmp_path, {"pass 1": "os.kill(os.getpid(), signal.SIGSEGV)"})
    assert ended.exit.code == 139
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1"]


def test_a_launch_after_a_crash_begins_where_it_is_told(tmp_path: Path) -> None:
    assert words(run(tmp_path, first=2)) == ["loaded", "trying 2", "ok 2"]


def test_a_pass_that_hangs_ends_at_its_limit(tmp_path: Path) -> None:
    ended = run(tmp_path, {"pass 1": "import time; time.sleep(300)"}, limit_seconds=2.0)
    assert ended.exit.code == 1
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1"]
    assert "Timeout (0:00:02)!" in ended.log


def test_a_gpu_that_no_longer_answers_ends_the_launch_and_nothing_after_it_is_tried(tmp_path: Path) -> None:
    dead = "import torch.cuda\ndef dead(*a): raise RuntimeError('the context is gone')\ntorch.cuda.synchronize = dead\ndead()"
    ended = run(tmp_path, {"pass 1": dead}, device="cuda")
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1", "failed 1"]
    assert ended.chain()[-1]["message"] == "the context is gone"
    assert ended.exit.code == 1


def turns_of(count: int) -> list[tuple[float, float, str]]:
    return [(float(number), number + 0.5, "STUB_00") for number in range(count)]


def test_a_hypothesis_that_is_too_long_for_the_journal_is_a_failure_of_its_recording(tmp_path: Path) -> None:
    long = Stubs(outputs=[TURNS, turns_of(20_000), TURNS])
    ended = run_guest(tmp_path, long, a_request(tmp_path))
    assert ended.exit.code == 0, ended.log
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1", "failed 1", "trying 2", "ok 2"]
    (failed,) = ended.events("result", outcome="failed")
    assert failed["chain"][-1]["type"] == "benchmarks.workloads.accuracy.TooLong"


def test_the_hypotheses_of_a_whole_corpus_fit_in_what_the_host_reads(tmp_path: Path) -> None:
    """171 meetings as in AMI, each of 35 minutes with 1,000 turns an hour."""
    ended = run_guest(tmp_path, Stubs(outputs=[turns_of(585)]), a_request(tmp_path, files=171))
    found = ended.events("result", outcome="ok")
    assert [event["rttm"].count("\n") for event in found] == [585] * 171
    assert (ended.exchange / JOURNAL).stat().st_size < MOST_JOURNAL_BYTES / 2


@pytest.mark.parametrize("moment", ["load", "move"])
def test_a_pipeline_that_does_not_load_ends_the_workload_before_any_recording(tmp_path: Path, moment: str) -> None:
    ended = run(tmp_path, {moment: "raise RuntimeError('planted')"})
    assert words(ended) == []
    (failed,) = ended.events("failed")
    assert failed["stage"] == "accuracy"


def test_long_exceptions_of_many_recordings_leave_the_journal_short_enough_to_be_read(tmp_path: Path) -> None:
    ended = run(tmp_path, {"pass 0": "raise RuntimeError('x' * 200_000 + ' the cause')"}, files=600)
    failed = ended.events("result", outcome="failed")
    assert len(failed) == 600
    assert {event["chain"][-1]["type"] for event in failed} == {"RuntimeError"}
    assert (ended.exchange / JOURNAL).stat().st_size < 3 << 20
