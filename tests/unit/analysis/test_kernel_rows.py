"""What each image's kernels reach, and which share of it a workload does. All times here are made up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis.kernel_rows import kernel_images
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord, Verdict
from harness.workloads.diarization import WORKLOAD as DIARIZATION
from tests.unit.samples import HOST, WORKLOAD, a_launch, a_plan, passing_journal

WORK = {"segmentation_chunk_flop": 2_000_000_000, "resnet34_item_flop": 40_000_000_000}


def a_kernel(name: str, *seconds: float, **fields: Any) -> dict[str, Any]:
    """The guest's last event about one kernel: 1 GFLOP and 1 GB unless told otherwise."""
    counted = {"flop": 10**9, "bytes": 10**9, "first_seconds": 1.5, "shape": "2 x 3", **fields}
    return {"event": "result", "kernel": name, "outcome": "ok", "seconds": list(seconds), **counted}


A_COPY = a_kernel("copy", 0.1, flop=0, bytes=536_870_912)
"""A copy with its true counts"""


def a_kernels_launch(
    number: int, *events: dict[str, Any], work: Any = WORK, verdict: Verdict | None = None, **plan: Any
) -> Launch:
    begun = [{"event": "result", "kernel": event["kernel"], "outcome": "trying"} for event in events if "kernel" in event]
    pairs = [each for pair in zip(begun, events, strict=False) for each in pair]
    end = {"event": "end", "stage": "kernels", "seconds": 1.0, "work": work}
    launch = a_launch(a_plan(number, task="kernels", last_stage="device", **plan), journal=(*pairs, end))
    return msgspec.structs.replace(launch, verdict=verdict or Verdict(status="pass", stage="kernels"))


def a_bench_launch(number: int, *, segmentation: float, embeddings: float, pipeline: str = "synthetic", **plan: Any) -> Launch:
    parts = {"segmentation": segmentation, "embeddings": embeddings, "rest": 0.1}
    journal = tuple(
        {**event, "parts": parts} if event["event"] == "pass" else event
        for event in passing_journal(warm=(segmentation + embeddings + 0.1,) * 3)
    )
    workload = msgspec.structs.replace(WORKLOAD, profile=pipeline, amount=30.0)
    return a_launch(a_plan(number, workload=workload, **plan), journal=journal)


def test_rates_are_counted_work_by_the_median_over_launches_of_each_launchs_median() -> None:
    launches = [
        a_kernels_launch(n, a_kernel("gemm", *seconds)) for n, seconds in ((1, (0.5, 0.5, 9.0)), (2, (0.25,)), (3, (1.0,)))
    ]
    (image,) = kernel_images(launches)
    (row,) = image.rows
    assert (row.seconds.median, row.seconds.low, row.seconds.high, row.seconds.n) == (0.5, 0.25, 1.0, 3)
    assert (row.flop_rate, row.byte_rate, row.calls, row.first_seconds) == (2e9, 2e9, 5, 1.5)


def test_the_best_compute_rate_and_the_copy_are_the_ceilings() -> None:
    events = (a_kernel("slow", 2.0), a_kernel("fast", 0.5), a_kernel("copy", 0.1, flop=0))
    (image,) = kernel_images([a_kernels_launch(1, *events)])
    assert image.best_compute is not None
    assert image.best_compute.name == "fast"
    assert image.copy is not None
    assert image.copy.byte_rate == pytest.approx(1e10)


def test_a_share_is_the_counted_work_of_a_stage_by_its_time_beside_the_best_kernel() -> None:
    bench = [a_bench_launch(n, segmentation=s, embeddings=63.0) for n, s in ((11, 42.0), (12, 84.0), (13, 21.0))]
    (image,) = kernel_images([*bench, a_kernels_launch(1, a_kernel("gemm", 0.01))])
    segmentation, embeddings = image.shares
    # 21 chunks of 30 s: 42 GFLOP in 42 s of a device that does 100 GFLOP/s; and 63 items of 40 GFLOP in 63 s.
    assert (segmentation.stage, segmentation.flop, segmentation.seconds.n) == ("segmentation", 42e9, 3)
    assert segmentation.share == pytest.approx(0.01)
    assert (embeddings.stage, embeddings.flop) == ("embeddings", 63 * 40e9)
    assert embeddings.share == pytest.approx(0.4)


def test_the_embeddings_of_the_embedded_pipeline_have_no_share() -> None:
    bench = a_bench_launch(11, segmentation=42.0, embeddings=63.0, pipeline="embedded")
    (image,) = kernel_images([bench, a_kernels_launch(1, a_kernel("gemm", 0.01))])
    assert [share.stage for share in image.shares] == ["segmentation"]


@pytest.mark.parametrize(
    "other",
    [
        {"image": "other"},
        {"variant": "override-11.0.0"},
        {"engine": "docker"},
        {"gpu": "1"},
        {"host": msgspec.structs.replace(HOST, kernel="9.9")},
    ],
)
def test_passes_of_another_image_use_or_machine_give_no_share(other: dict[str, Any]) -> None:
    bench = a_bench_launch(11, segmentation=42.0, embeddings=63.0, **other)
    (image,) = kernel_images([bench, a_kernels_launch(1, a_kernel("gemm", 0.01))])
    assert image.shares == ()


def test_passes_that_were_wrong_give_no_share() -> None:
    bench = a_bench_launch(11, segmentation=42.0, embeddings=63.0)
    wrong = msgspec.structs.replace(bench, verdict=Verdict(status="wrong output", stage="verify"))
    (image,) = kernel_images([wrong, a_kernels_launch(1, a_kernel("gemm", 0.01))])
    assert image.shares == ()


@pytest.mark.parametrize("work", [None, [], {}, {"segmentation_chunk_flop": "x"}, {"segmentation_chunk_flop": -1.0, "x": 1}])
def test_a_guest_that_counted_nothing_gives_no_share(work: Any) -> None:
    bench = a_bench_launch(11, segmentation=42.0, embeddings=63.0)
    (image,) = kernel_images([bench, a_kernels_launch(1, a_kernel("gemm", 0.01), work=work)])
    assert image.shares == ()
    assert DIARIZATION.flop_of_parts(bench.plan.workload, {}) == {}


def test_a_kernel_that_failed_or_took_the_process_with_it_is_told_and_the_others_stay() -> None:
    chain = [{"type": "RuntimeError", "message": "miopenStatusUnknownError"}]
    failed = {"event": "result", "kernel": "conv", "outcome": "failed", "chain": chain}
    trying = {"event": "result", "kernel": "lstm", "outcome": "trying"}
    died = Verdict(status="fail", stage="kernels", cause="crash", summary="SIGSEGV")
    (image,) = kernel_images([a_kernels_launch(1, A_COPY, failed, trying, verdict=died)])
    assert [row.name for row in image.rows] == ["copy"]
    assert image.bad == (
        ("conv", "failed: RuntimeError: miopenStatusUnknownError"),
        ("lstm", "did not come to its end: crash"),
    )


@pytest.mark.parametrize(
    "event",
    [
        {"kernel": "x", "outcome": "ok"},
        {"kernel": "x", "outcome": "ok", "seconds": []},
        {"kernel": "x", "outcome": "ok", "seconds": [0, -1, "1", None, True, float("nan")]},
        {"kernel": "x", "outcome": "ok", "seconds": {"a": 1}},
        {"outcome": "ok", "seconds": [1.0]},
    ],
)
def test_a_result_that_cannot_be_a_time_is_no_row(event: dict[str, Any]) -> None:
    assert [image.rows for image in kernel_images([a_kernels_launch(1, {"event": "result", **event})]) if image.rows] == []


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (a_kernel("copy", 1e-9, flop=0, bytes=536_870_912), "a call of copy took no time"),
        (a_kernel("gemm", 1e-6, flop=10**11), "gemm at 1.0e+17 FLOP a second; nothing does over 1e+16"),
        (a_kernel("gemm", 1e-6, bytes=10**11), "gemm at 1.0e+17 bytes a second"),
    ],
)
def test_no_rate_that_cannot_be_is_a_ceiling_whatever_the_verdict_says(event: dict[str, Any], said: str) -> None:
    (image,) = kernel_images([a_kernels_launch(1, event)])
    assert (image.rows, image.best_compute) == ((), None)
    assert said in image.bad[0][1]


@pytest.mark.parametrize("event", [a_kernel("ceiling", 0.1), a_kernel("copy", 0.1)])
def test_a_launch_that_died_gives_no_rate_by_a_count_of_its_own(event: dict[str, Any]) -> None:
    died = Verdict(status="fail", stage="kernels", cause="crash", summary="SIGSEGV")
    (image,) = kernel_images([a_kernels_launch(1, event, verdict=died)])
    assert image.rows == ()
    assert "the journal cannot be true" in image.bad[0][1]


def test_calls_longer_than_the_run_are_no_row() -> None:
    launch = a_kernels_launch(1, a_kernel("gemm", 3.0, 3.0))
    launch = msgspec.structs.replace(launch, exit=ExitRecord(started=True, code=0, run_seconds=5.0))
    (image,) = kernel_images([launch])
    assert image.rows == ()
    assert "longer than the 5.0 s that it ran" in image.bad[0][1]


def test_an_interrupted_launch_beside_does_not_hide_what_another_found() -> None:
    cut = a_kernels_launch(2, verdict=Verdict(status="fail", stage="kernels", cause="interrupted"))
    cut = msgspec.structs.replace(cut, exit=ExitRecord(started=True, interrupted=True))
    (image,) = kernel_images([a_kernels_launch(1, a_kernel("gemm", 0.5)), cut])
    assert [row.name for row in image.rows] == ["gemm"]
