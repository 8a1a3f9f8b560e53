"""The probe's steps over a stub torch: each in a real process, each real way to die, and what it costs.

The packages are stubs (see `tests.guest.stubs`): nothing is computed, and no number here is a measurement.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.wire import OUTCOMES, STEPS
from benchmarks.workloads.probe.steps import MOST_TAIL_BYTES

from .stubs import Ended, Stubs, make_request, run_guest

ON_A_CPU = [name for name in STEPS if not name.endswith("-miopen-off")]
HANG = "import time; time.sleep(600)"


def stepped(folder: Path, stubs: Stubs | None = None, steps: Sequence[str] = STEPS, **fields: Any) -> Ended:
    """A guest that was asked for steps, by default for all; ``fields`` are the request's or options of the probe."""
    limits = {name: fields.pop(name) for name in [*fields] if name.endswith("_timeout_seconds")}
    return run_guest(
        folder, stubs or Stubs(), make_request(folder, "probe", options={"steps": list(steps), **limits}, **fields)
    )


def outcomes(ended: Ended) -> dict[str, str]:
    """The last outcome of each step."""
    return {event["name"]: event["outcome"] for event in ended.events("step")}


def last(ended: Ended, name: str) -> dict[str, Any]:
    return ended.events("step", name=name)[-1]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """All steps without any mischief; many tests look at it, none changes it."""
    return stepped(tmp_path_factory.mktemp("sound"))


def test_all_steps_are_run_in_order_after_the_device_stage(sound: Ended) -> None:
    assert sound.verdict().status == "pass", sound.events("step")
    kinds = [(event["event"], event.get("stage") or event.get("name")) for event in sound.journal]
    after = kinds[kinds.index(("end", "device")) + 1 :]
    steps = [("step", name) for name in STEPS for _ in range(2)]
    assert after == [("begin", "probe"), *steps, ("end", "probe"), ("done", None)]


def test_each_step_is_announced_before_it_is_tried(sound: Ended) -> None:
    events = sound.events("step")
    assert {event["outcome"] for event in events[::2]} == {"trying"}
    assert {event["outcome"] for event in events[1::2]} <= set(OUTCOMES) - {"trying"}


def test_a_cpu_has_no_miopen_to_be_switched_off(sound: Ended) -> None:
    skipped = {event["name"]: event["reason"] for event in sound.events("step", outcome="skipped")}
    assert skipped == dict.fromkeys(("lstm-miopen-off", "conv2d-miopen-off"), "no MIOpen on a CPU")


def test_on_a_gpu_no_step_is_skipped(tmp_path: Path) -> None:
    ended = stepped(tmp_path, Stubs(gpu=True, hip="0.0-stub"), device="cuda")
    assert outcomes(ended) == dict.fromkeys(STEPS, "ok"), ended.events("step")
    assert any("cudnn.enabled is False" in note for note in last(ended, "lstm-miopen-off")["notes"])
    assert last(ended, "lstm")["notes"] == []


def test_a_step_tells_its_times_its_shape_and_how_far_it_is_from_the_cpu(sound: Ended) -> None:
    event = last(sound, "lstm")
    assert event["first_seconds"] > 0
    assert event["best_seconds"] > 0
    assert event["shape"] == "32 x 589 x 60, 4 layers of 128, both ways"
    assert event["difference"] == {"max_absolute": 0.0, "max_relative": 0.0, "tolerance": 0.001}


DEATHS = {
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV", "crash"),
    "abort": ("os.abort()", "crashed", "SIGABRT", "crash"),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", "SIGKILL", "out of memory"),
    "exit-0": ("os._exit(0)", "crashed", None, "crash"),
    "exit-7": ("os._exit(7)", "crashed", None, "crash"),
    "sys-exit": ("sys.exit(1)", "crashed", None, "crash"),
    "exception": ("raise RuntimeError('miopenStatusUnknownError')", "failed", None, "error"),
    "hang": (HANG, "timeout", None, "timeout"),
    "deaf": (f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {HANG}", "timeout", None, "timeout"),
}
"""Name -> what the step does, its outcome, its signal, the cause."""

LIMITS = {"hang": 0.2, "deaf": 1.5}
"""Seconds for a step that hangs: it may hang wherever it likes, but it has to come as far as to be deaf."""


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_costs_one_step(tmp_path: Path, death: str) -> None:
    code, outcome, name, cause = DEATHS[death]
    steps = ("gemm", "lstm", "lstm-dropout-0")
    # Short only for the step that hangs: on a busy machine any other may need seconds to start.
    limits = {"step_timeout_seconds": 60.0, "compiling_step_timeout_seconds": LIMITS.get(death, 60.0)}
    ended = stepped(tmp_path, Stubs(misbehave={"step lstm": code}), steps=steps, **limits)
    assert ended.exit.code == 0
    assert outcomes(ended) == {"gemm": "ok", "lstm": outcome, "lstm-dropout-0": "ok"}
    assert last(ended, "lstm").get("signal") == name
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage) == ("fail", "lstm")
    if death != "exception":  # a known failure has a cause of its own
        assert verdict.cause == cause


SLOW = "import time; time.sleep(0.5)"


def test_a_step_that_compiles_has_longer(tmp_path: Path) -> None:
    stubs = Stubs(misbehave={"step gemm": HANG, "step conv2d": SLOW})
    limits = {"step_timeout_seconds": 0.2, "compiling_step_timeout_seconds": 60.0}
    ended = stepped(tmp_path, stubs, steps=("gemm", "conv2d"), **limits)
    assert outcomes(ended) == {"gemm": "timeout", "conv2d": "ok"}


def test_when_a_step_that_compiles_has_hung_the_others_have_as_long_as_any_step(tmp_path: Path) -> None:
    stubs = Stubs(misbehave={"step lstm": HANG, "step segmentation": SLOW})
    # The reverse of real life, so that no step that ends has little time.
    limits = {"step_timeout_seconds": 60.0, "compiling_step_timeout_seconds": 0.2}
    ended = stepped(tmp_path, stubs, steps=("lstm", "segmentation"), **limits)
    assert outcomes(ended) == {"lstm": "timeout", "segmentation": "ok"}


def test_the_exception_of_a_step_is_kept_whole(tmp_path: Path) -> None:
    code = "raise ValueError('outer') from OSError('the root')"
    ended = stepped(tmp_path, Stubs(misbehave={"step gemm": code}), steps=("gemm",))
    assert [(link["type"], link["message"]) for link in last(ended, "gemm")["chain"]] == [
        ("ValueError", "outer"),
        ("OSError", "the root"),
    ]
    assert ended.verdict().summary == "OSError: the root"


def test_a_segfault_leaves_its_python_frames_in_the_tail(tmp_path: Path) -> None:
    ended = stepped(tmp_path, Stubs(misbehave={"step gemm": DEATHS["segfault"][0]}), steps=("gemm",))
    assert "Segmentation fault" in last(ended, "gemm")["tail"]
    assert "in measure" in last(ended, "gemm")["tail"]


def test_a_crash_at_a_step_s_exit_is_a_crash_and_keeps_its_numbers(tmp_path: Path) -> None:
    code = "import atexit; atexit.register(os.abort)"
    event = last(stepped(tmp_path, Stubs(misbehave={"step gemm": code}), steps=("gemm",)), "gemm")
    assert (event["outcome"], event["signal"]) == ("crashed", "SIGABRT")
    assert event["first_seconds"] > 0


def test_a_step_that_prints_without_end_keeps_the_last_of_its_output(tmp_path: Path) -> None:
    code = "print('the beginning'); [print('x' * 999, flush=True) for _ in range(2000)]; print('last words', flush=True); os.abort()"
    tail = last(stepped(tmp_path, Stubs(misbehave={"step gemm": code}), steps=("gemm",)), "gemm")["tail"]
    assert len(tail) <= MOST_TAIL_BYTES
    assert "the beginning" not in tail
    assert "last words" in tail


def test_a_step_that_leaves_a_process_behind_is_not_waited_for(tmp_path: Path) -> None:
    code = f"if os.fork() == 0:\n    {HANG}\nos.kill(os.getpid(), signal.SIGSEGV)"
    ended = stepped(tmp_path, Stubs(misbehave={"step gemm": code}), steps=("gemm", "lstm"))
    assert outcomes(ended) == {"gemm": "crashed", "lstm": "ok"}


@pytest.mark.parametrize("value", ["0.5", "nan", "inf"])
def test_numbers_that_are_not_the_cpu_s_are_wrong(tmp_path: Path, value: str) -> None:
    # The stub's one number is the difference and the reference's size at once: 0.5 / 0.5 is all of it.
    ended = stepped(tmp_path, Stubs(difference=value), steps=("gemm",))
    assert outcomes(ended) == {"gemm": "wrong"}
    verdict = ended.verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("wrong output", "gemm", None)
    assert verdict.summary.startswith("wrong numbers in gemm")


def test_a_warning_of_a_library_is_a_note_and_no_failure(tmp_path: Path) -> None:
    text = "UserWarning: Attempting to use hipBLASLt on an unsupported architecture! Overriding blas backend to hipblas"
    stubs = Stubs(misbehave={"step gemm": f"print('loading'); print({text!r}, file=sys.stderr); print({text!r})"})
    event = last(stepped(tmp_path, stubs, steps=("gemm",)), "gemm")
    assert (event["outcome"], event["notes"]) == ("ok", [text])


def test_a_warning_of_the_device_stage_is_kept(tmp_path: Path) -> None:
    stubs = Stubs(misbehave={"multiply": "import warnings; warnings.warn('hipBLASLt is not supported here')"})
    assert stepped(tmp_path, stubs, steps=()).end("device")["warnings"] == ["hipBLASLt is not supported here"]


def test_without_its_device_no_step_is_tried(tmp_path: Path) -> None:
    ended = stepped(tmp_path, Stubs(gpu=False), device="cuda")
    assert ended.events("step") == []
    assert (ended.verdict().stage, ended.verdict().cause) == ("device", "wrong torch"), "a torch for CPUs sees no GPU"


def test_the_guest_s_own_death_is_told_with_the_step_that_ran(tmp_path: Path) -> None:
    code = f"os.kill(os.getppid(), {int(signal.SIGSEGV)})"
    verdict = stepped(tmp_path, Stubs(misbehave={"step gemm": code}), steps=("gemm", "lstm")).verdict()
    assert (verdict.status, verdict.stage, verdict.cause) == ("fail", "gemm", "crash")


def test_a_benchmark_runs_no_step(tmp_path: Path) -> None:
    assert run_guest(tmp_path).events("step") == []


@pytest.mark.parametrize("fields", [{"steps": ("gemn",)}, {"knobs": ("miopen-of",)}], ids=str)
def test_an_unknown_step_or_knob_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    ended = stepped(tmp_path, **fields)
    assert ended.exit.code == 2
    assert next(iter(fields.values()))[0] in ended.log


def test_a_knob_is_switched_in_steps_and_in_the_pipeline_and_both_say_so(tmp_path: Path) -> None:
    knobs = ("lstm-dropout-0", "miopen-off")
    ended = stepped(tmp_path, steps=("lstm",), knobs=knobs)
    assert [note.partition(":")[0] for note in last(ended, "lstm")["notes"]] == list(knobs)
    piped = run_guest(tmp_path, request=make_request(tmp_path, knobs=("miopen-off",)))
    assert piped.verdict().status == "pass"
    assert [event["text"].partition(":")[0] for event in piped.events("note")] == ["miopen-off"]
