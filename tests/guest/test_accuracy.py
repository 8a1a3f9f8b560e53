"""The task ``accuracy`` against stub packages: what a recording's failure costs. The scores here are stubs' and mean nothing."""

from __future__ import annotations

import json
import wave
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.wire import JOURNAL, Request

from .stubs import SCORING, TURNS, Ended, Stubs, make_request, run_guest


def a_request(folder: Path, *, files: int = 3, first: int = 0, limit_seconds: float = 60.0, **fields: object) -> Request:
    """A request for a corpus of silence, whose references are what the stub says."""
    corpus = folder / "corpus"
    corpus.mkdir()
    for index in range(files):
        with wave.open(str(corpus / f"{index:04d}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 16_000 * 2))
    turns = [[start, end - start, speaker] for start, end, speaker in TURNS]
    listed = [{"audio": f"{n:04d}.wav", "name": f"f{n}", "turns": turns, "regions": None} for n in range(files)]
    (corpus / "manifest.json").write_text(json.dumps({"files": listed}))
    options = {"collar_seconds": 0.25, "first": first, "files": [{"limit_seconds": limit_seconds}] * files}
    return make_request(
        folder, last_stage="device", task="accuracy", options=options, folders={"corpus": str(corpus)}, **fields
    )


def run(folder: Path, misbehave: Mapping[str, str] | None = None, **request: object) -> Ended:
    stub = Stubs(files=SCORING, misbehave=misbehave or {}, **({"gpu": True, "hip": "0"} if request.get("device") else {}))
    return run_guest(folder, stub, a_request(folder, **request))  # type: ignore[arg-type]


def words(ended: Ended) -> list[str]:
    return [f"{event['outcome']} {event.get('index', '')}".strip() for event in ended.events("result")]


def test_each_recording_is_journaled_before_and_after_its_pass(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.exit.code == 0, ended.log
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1", "ok 1", "trying 2", "ok 2"]
    last = ended.events("result")[-1]
    assert last["rttm"].startswith("SPEAKER f2 1 0.000 1.000 <NA> <NA> STUB_00 <NA> <NA>\n")
    assert (last["speakers"], last["reference_speakers"], last["audio_seconds"]) == (2, 2, 2.0)
    assert ended.end("accuracy")["tried"] == 3


def test_an_exception_costs_its_recording_alone(tmp_path: Path) -> None:
    ended = run(tmp_path, {"pass 1": "if file['uri'] == 'f1': pipeline._passes = 9; raise MemoryError('planted')"})
    assert ended.exit.code == 0, ended.log
    assert words(ended) == ["loaded", "trying 0", "ok 0", "trying 1", "failed 1", "trying 2", "ok 2"]
    (failed,) = ended.events("result", outcome="failed")
    assert failed["chain"][-1]["message"] == "planted"


def test_a_recording_that_is_missing_costs_itself_alone(tmp_path: Path) -> None:
    request = a_request(tmp_path)
    (tmp_path / "corpus/0001.wav").unlink()
    ended = run_guest(tmp_path, Stubs(files=SCORING), request)
    assert words(ended)[-3:] == ["failed 1", "trying 2", "ok 2"]


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


def test_hypotheses_that_do_not_fit_the_journal_are_left_out_and_the_scores_stay(tmp_path: Path) -> None:
    turns = [(float(n), n + 0.5, f"STUB_{n:05d}") for n in range(4_000)]
    stub = Stubs(files=SCORING | {"pyannote/metrics/diarization.py": _QUICK_METRICS}, outputs=[turns])
    ended = run_guest(tmp_path, stub, a_request(tmp_path, files=2))
    assert [event["rttm"] for event in ended.events("result", outcome="ok")] == ["", ""]


_QUICK_METRICS = """
class DiarizationErrorRate:
    def __init__(self, collar=0.0):
        pass
    def compute_components(self, reference, hypothesis, uem=None):
        return dict.fromkeys(("missed detection", "false alarm", "confusion", "total"), 1.0)
class JaccardErrorRate:
    def compute_components(self, reference, hypothesis, uem=None):
        return {"speaker error": 0.0, "speaker count": 1}
"""


@pytest.mark.parametrize("moment", ["load", "move"])
def test_a_pipeline_that_does_not_load_ends_the_task_before_any_recording(tmp_path: Path, moment: str) -> None:
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
