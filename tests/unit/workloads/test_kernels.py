"""`strixbench kernels` on the host: the tools that it hands in, and its section of the page. All times here are made up."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from harness import places
from harness.analysis.intervals import estimate
from harness.errors import HostError
from harness.records.outcome import Verdict
from harness.workloads import kernels
from harness.workloads.diarization import chunks_of
from reports.markdown.render import render_benchmarks
from reports.sections.kernels import format_call, format_rate, format_time
from reports.terminal.tasks import print_kernels
from tests.unit.analysis.test_kernel_rows import a_bench_launch, a_kernel, a_kernels_launch
from tests.unit.samples import a_launch


@pytest.mark.parametrize(
    ("seconds", "chunks"), [(3.0, 1), (10.0, 1), (10.5, 2), (11.0, 2), (11.1, 3), (30.0, 21), (600.0, 591)]
)
def test_a_recording_is_cut_into_chunks_of_ten_seconds_one_a_second(seconds: float, chunks: int) -> None:
    assert chunks_of(seconds) == chunks


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
