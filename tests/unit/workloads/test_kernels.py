"""`strixbench kernels` on the host: the tools that it hands in, and its section of the page. All times here are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import places
from harness.analysis.intervals import estimate
from harness.analysis.kernel_rows import kernel_images
from harness.errors import HostError
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord, Verdict
from harness.workloads import kernels
from harness.workloads.diarization import WORKLOAD as DIARIZATION
from harness.workloads.diarization import chunks_of
from reports.markdown.render import render_benchmarks
from reports.sections.kernels import format_call, format_rate, format_time
from reports.terminal.tasks import print_kernels
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


@pytest.mark.parametrize(
    ("seconds", "chunks"), [(3.0, 1), (10.0, 1), (10.5, 2), (11.0, 2), (11.1, 3), (30.0, 21), (600.0, 591)]
)
def test_a_recording_is_cut_into_chunks_of_ten_seconds_one_a_second(seconds: float, chunks: int) -> None:
    assert chunks_of(seconds) == chunks


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


def test_the_page_shows_ceilings_and_escapes_what_the_guest_said() -> None:
    events = (a_kernel("gemm", 0.5), a_kernel("<b>|x", 1.0, shape="@someone ```", flop="lots"))
    page = render_benchmarks([a_kernels_launch(1, *events)])
    assert "## Kernels and ceilings" in page
    assert "- Best compute rate: 2 GFLOP/s in gemm, n = 1" in page
    assert "| gemm | 2 x 3 | 500 ms | 1.5 s | 2 | 2 | 1 | 1 |" in page
    assert "| &lt;b&gt;\\|x | &#64;someone \\`\\`\\` | 1 s | 1.5 s | - | 1 | 1 | 1 |" in page
    assert "<b>" not in page


def test_no_section_where_there_is_no_such_launch_and_none_of_a_portable_build() -> None:
    assert "Kernels and ceilings" not in render_benchmarks([a_launch()])
    launch = a_kernels_launch(1, a_kernel("gemm", 0.5))
    image = msgspec.structs.replace(launch.plan.image, portable_of="rocm72")
    plan = msgspec.structs.replace(launch.plan, image=image)
    assert "Kernels and ceilings" not in render_benchmarks([msgspec.structs.replace(launch, plan=plan)])


def test_the_terminal_shows_the_same_and_names_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    trying = {"event": "result", "kernel": "lstm\x1b[2J", "outcome": "trying"}
    died = Verdict(status="fail", stage="kernels", cause="crash", summary="SIGSEGV")
    launches = [a_kernels_launch(1, trying, verdict=died), a_kernels_launch(2, a_kernel("gemm", 0.5))]
    print_kernels(launches, beside=[*launches, a_bench_launch(11, segmentation=42.0, embeddings=63.0)])
    printed = capsys.readouterr().out
    assert "cpu (podman, cpu, cpu)\n\n- Best" in printed
    assert "Best compute rate: 2 GFLOP/s in gemm, n = 1" in printed
    assert (
        "synthetic on sample-30s: segmentation reaches 50.0% of the best compute rate: 42 GFLOP counted in 42 s, n = 1 of bench"
        in printed
    )
    assert "Not timed: lstm\\x1b[2J: did not come to its end: crash" in printed
    assert "cpu: FAIL in kernels: crash: SIGSEGV" in printed
    assert "\x1b" not in printed


def test_times_and_rates_are_readable_at_any_size() -> None:
    assert format_call(0.0000123) == "0.0123 ms"
    assert format_call(None) == "-"
    assert format_rate(0.0) == "-"
    assert [format_rate(value * 1e9) for value in (0.0001, 0.25, 12.345, 12345.6)] == ["0.000100", "0.25", "12.3", "12346"]
    told = estimate([0.01, 0.02, 0.03])
    assert told is not None
    assert format_time(told) == "20 ms (10, 30)"
    many = estimate([float(number) for number in range(1, 8)])
    assert many is not None
    assert format_time(many) == "4 s [1, 7]"


def a_tools_folder(folder: Path, *files: str) -> Path:
    for name in ("pytest/__init__.py", "pytest_benchmark/__init__.py", *files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_tools_that_are_here_are_taken_without_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="tried to start a process"):
        kernels.ensure_tools(say=lambda text: None)
    assert list(tmp_path.glob("tools-*")) == []
    import hashlib

    digest = hashlib.sha256((places.ROOT / "locks/tools.txt").read_bytes()).hexdigest()[:12]
    folder = a_tools_folder(tmp_path / f"tools-{digest}", kernels.COMPLETE)
    assert kernels.ensure_tools(say=lambda text: None) == folder


def test_tools_of_one_python_alone_or_without_pytest_benchmark_are_refused(tmp_path: Path) -> None:
    kernels.check_pure(a_tools_folder(tmp_path / "good", "tomli/__init__.py"))
    with pytest.raises(HostError, match="only one Python can load"):
        kernels.check_pure(a_tools_folder(tmp_path / "native", "tomli/_parser.cpython-311-x86_64-linux-gnu.so"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(HostError, match="did not bring pytest"):
        kernels.check_pure(tmp_path / "empty")


def test_every_package_of_the_tools_is_locked_by_hash_and_without_a_marker() -> None:
    lock = kernels.tools_lock().read_text()
    pinned = [line for line in lock.splitlines() if "==" in line]
    assert {line.split("==")[0] for line in pinned} >= {"pytest", "pytest-benchmark", "tomli", "exceptiongroup"}
    # A marker would be read by this host's Python, and the folder is for any image's.
    assert all(line.endswith(" \\") and ";" not in line for line in pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)


def test_an_interrupted_launch_beside_does_not_hide_what_another_found() -> None:
    cut = a_kernels_launch(2, verdict=Verdict(status="fail", stage="kernels", cause="interrupted"))
    cut = msgspec.structs.replace(cut, exit=ExitRecord(started=True, interrupted=True))
    (image,) = kernel_images([a_kernels_launch(1, a_kernel("gemm", 0.5)), cut])
    assert [row.name for row in image.rows] == ["gemm"]
