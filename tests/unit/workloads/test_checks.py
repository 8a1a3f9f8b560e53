"""What cannot be true in a finished task's journal. All numbers are made up."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.workloads.kernels import bench_kernels, model_work
from harness.records.outcome import ExitRecord, Verdict
from harness.workloads.calibrate import GRAIN_BYTES
from harness.workloads.kernel_work import MODELS, work_on
from tests.unit.corpora import a_result
from tests.unit.samples import Event, judged, passing_journal

GIB = 1 << 30


def judged_task(
    task: str,
    results: list[Event],
    *,
    options: dict[str, Any],
    device: str = "cpu",
    run_seconds: float | None = 100.0,
    **end: Any,
) -> Verdict:
    *begun, _ = passing_journal(last_stage="device")
    stage = {"stage": task}
    told = [{"event": "result", **each} for each in results]
    journal = [*begun, {"event": "begin", **stage}, *told, {"event": "end", "seconds": 1.0, **stage, **end}, {"event": "done"}]
    ended = ExitRecord(started=True, code=0, run_seconds=run_seconds)
    return judged(journal, ended, task=task, options=options, device=device)


def assert_a_lie(verdict: Verdict, said: str) -> None:
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert verdict.summary.startswith("the journal cannot be true: ")
    assert said in verdict.summary


def timed(name: str, *, device: str = "cpu", **changes: Any) -> Event:
    flop, moved = work_on(device)[name]
    return {
        "kernel": name,
        "outcome": "ok",
        "seconds": [0.1, 0.2],
        "first_seconds": 0.3,
        "flop": flop,
        "bytes": moved,
        **changes,
    }


def of_kernels(*results: Event, only: tuple[str, ...] = ("lstm*",), work: Any = MODELS, **more: Any) -> Verdict:
    return judged_task("kernels", list(results), options={"only": list(only)}, work=work, **more)


LSTM = "lstm batch 32"
ONE = timed("lstm batch 1")


def test_kernels_that_can_be_true_pass_on_their_own_device_alone() -> None:
    for device in ("cpu", "cuda"):
        results = [timed(name, device=device) for name in work_on(device)]
        assert of_kernels(*results, only=(), device=device).status == "pass"
        assert of_kernels(*results, only=(), device="").status == "pass"
    assert_a_lie(of_kernels(timed("resnet34 stem", device="cuda"), only=("resnet34 stem",)), "resnet34 stem is told as")


@pytest.mark.parametrize("seconds", [[1e-9], [0.1, 1e-9], [0.0], [-1.0], [], None, "0.1", [math.nan], [True], ["1"], {}])
def test_a_kernel_s_call_takes_a_time(seconds: Any) -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM, seconds=seconds)), f"a call of {LSTM} took no time")


def test_a_kernel_s_first_call_takes_a_time() -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM, first_seconds=0)), "took no time")


def test_kernels_take_no_longer_than_the_run() -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM, seconds=[4.0, 4.0]), run_seconds=8.0), "longer than the 8.0 s that it ran")
    assert of_kernels(ONE, timed(LSTM, seconds=[4.0, 3.5]), run_seconds=8.0).status == "pass"
    assert of_kernels(ONE, timed(LSTM, seconds=[4.0]), run_seconds=None).status == "pass"


@pytest.mark.parametrize("changes", [{"flop": 10**15}, {"bytes": 1}, {"flop": None}, {"flop": "many"}])
def test_the_work_of_a_kernel_is_the_host_s_count(changes: dict[str, Any]) -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM, **changes)), f"{LSTM} is told as")


@pytest.mark.parametrize("name", ["the best of all", ["lstm batch 32"], None])
def test_a_kernel_that_the_host_does_not_know_is_none(name: Any) -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM), timed(LSTM, kernel=name)), "is no kernel that was asked for")


def test_no_device_computes_or_moves_so_fast() -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM, seconds=[1e-6])), "5.2e+16 FLOP a second; nothing does over 1e+16")
    copy = timed("copy", seconds=[2e-7])
    assert_a_lie(of_kernels(copy, only=("copy",)), "2.7e+15 bytes a second")


def test_all_kernels_that_were_asked_for_must_be_there() -> None:
    assert_a_lie(of_kernels(ONE), f"it ends without {LSTM}")
    assert_a_lie(of_kernels(only=()), "it ends without")


@pytest.mark.parametrize("work", [None, [], {}, {**MODELS, "resnet34_item_flop": 1}])
def test_the_networks_work_is_the_host_s_count(work: Any) -> None:
    assert_a_lie(of_kernels(ONE, timed(LSTM), work=work), "the networks' work is told as")


def test_the_host_s_table_is_what_the_guest_counts() -> None:
    for device in ("cpu", "cuda"):
        kernels = bench_kernels.kernels(device)
        assert {kernel.name: (kernel.flop, kernel.bytes) for kernel in kernels} == work_on(device)
    assert model_work() == MODELS


BASELINE: Event = {"phase": "baseline"}


def held(size: Any) -> Event:
    return {"phase": "held", "allocated_bytes": size}


def of_calibration(*results: Event) -> Verdict:
    return judged_task("calibrate", list(results), options={"sizes_bytes": [GIB, 2 * GIB]})


def test_a_calibration_that_held_each_size_passes() -> None:
    assert of_calibration(BASELINE, held(GIB), held(2 * GIB)).status == "pass"
    assert of_calibration(BASELINE, held(GIB + GRAIN_BYTES - 1), held(2 * GIB)).status == "pass"


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ((), "without a baseline"),
        ((held(GIB), held(2 * GIB)), "without a baseline"),
        ((BASELINE,), f"without having held {GIB} bytes"),
        ((BASELINE, held(GIB)), f"without having held {2 * GIB} bytes"),
        ((BASELINE, held(GIB), held(GIB)), f"without having held {2 * GIB} bytes"),
        ((BASELINE, held(GIB), held(3 * GIB)), f"without having held {2 * GIB} bytes"),
        ((BASELINE, held(GIB), held("2")), f"without having held {2 * GIB} bytes"),
    ],
)
def test_a_calibration_without_its_sizes_is_a_lie(results: tuple[Event, ...], said: str) -> None:
    assert_a_lie(of_calibration(*results), said)


def of_accuracy(*results: Event, **more: Any) -> Verdict:
    spent = sum(result.get("seconds", 0.0) for result in results)
    options = {"files": [{"name": "a"}, {"name": "b"}], "first": 0, **more}
    return judged_task("accuracy", list(results), options=options, seconds=spent)


def test_an_accuracy_run_tells_of_each_recording_and_takes_no_longer_than_the_run() -> None:
    failed: Event = {"outcome": "failed", "index": 1}
    assert of_accuracy(a_result(0), failed).status == "pass"
    assert of_accuracy(a_result(1), first=1).status == "pass"
    assert_a_lie(of_accuracy(), "it ends without recording 1 of 2")
    assert_a_lie(of_accuracy(a_result(0), {"outcome": "trying", "index": 1}), "it ends without recording 2 of 2")
    assert_a_lie(of_accuracy(a_result(0), a_result([1])), "it ends without recording 2 of 2")
    assert_a_lie(of_accuracy(a_result(0), a_result(1, seconds=99.0)), "longer than the 100.0 s that it ran")
