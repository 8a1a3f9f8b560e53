"""What looking at a launch costs: the sampler's processor time, and the harness's own while a launch runs."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.engines.base import Run
from harness.engines.local import Local
from harness.telemetry.sampler import Sampler, sensors_of
from harness.telemetry.samples import read_lines
from harness.telemetry.start import sampling
from tests.unit.sensor_trees import a_process, a_strix_halo, strixbench_itself, write_tree

LAUNCH_SECONDS = 20
SAMPLES = 200
HERTZ = 2.0
STRANGERS = 400


def processor_seconds(sampler: Sampler) -> float:
    """Of one sample, all threads together."""
    begun = time.process_time()
    sampler.sample()
    return time.process_time() - begun


def told(capsys: pytest.CaptureFixture[str], what: str, seconds: list[float]) -> None:
    """Prints what a sample costs, and the share of a core at the sampler's rate."""
    middle = statistics.median(seconds)
    with capsys.disabled():
        print(
            f"\n{what}: median {middle * 1000:.2f} ms of processor time a sample (most {max(seconds) * 1000:.2f}), "
            f"mean {statistics.fmean(seconds) * HERTZ:.3%} of a core at {HERTZ:g} Hz, n = {len(seconds)}"
        )


@pytest.mark.benchmark(group="one sample (target: 1% of a core at 2 Hz, which is 5 ms of processor time)")
def test_a_sample_of_this_host(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    order = {
        "exchange": "/nowhere/launch/exchange",
        "since_ticks": 0,
        "gpu": None,
        "is_nvidia": False,
        "is_thorough": False,
        "root": "/",
    }
    sampler = Sampler(sensors_of(order))
    seconds: list[float] = []
    benchmark.pedantic(lambda: seconds.append(processor_seconds(sampler)), rounds=SAMPLES, warmup_rounds=1)
    told(capsys, "this host", seconds)
    sampler.close()


@pytest.mark.benchmark(group="one sample (target: 1% of a core at 2 Hz, which is 5 ms of processor time)")
def test_a_sample_of_a_made_up_strix_halo(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain files in the place of sysfs: what the kernel and the firmware take to answer is not in it."""
    strixbench_itself(tmp_path)
    a_strix_halo(tmp_path)
    write_tree(tmp_path, {"proc/meminfo": "MemAvailable: 1000 kB\n"})
    write_tree(tmp_path, {"sys/class/powercap/intel-rapl:0/name": "package-0\n"})
    write_tree(tmp_path, {"sys/class/powercap/intel-rapl:0/energy_uj": "1000\n"})
    info = "drm-client-id: 7\ndrm-pdev: 0000:c5:00.0\ndrm-memory-gtt: 2000 KiB\n"
    for number in range(STRANGERS):
        a_process(tmp_path, 1000 + number)
    for number in range(3):
        handles = {each: ("/dev/dri/renderD128", info) if each < 4 else ("/tmp/file", "") for each in range(200)}
        a_process(tmp_path, 9000 + number, session=9000, command="sh /results/launch/exchange", handles=handles)
    order = {
        "exchange": "/results/launch/exchange",
        "since_ticks": 0,
        "gpu": None,
        "is_nvidia": False,
        "is_thorough": False,
        "root": str(tmp_path),
    }
    sampler = Sampler(sensors_of(order))
    seconds: list[float] = []
    benchmark.pedantic(lambda: seconds.append(processor_seconds(sampler)), rounds=SAMPLES, warmup_rounds=8)
    told(capsys, f"a made-up Strix Halo, {STRANGERS} other processes, 600 open files", seconds)
    sampler.close()


@pytest.mark.benchmark(group="processor time beside a launch (target: 1% of a core)")
def test_beside_a_launch(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole sampler, its start included, and the harness that waits."""
    into = tmp_path / "telemetry.jsonl"
    (tmp_path / "exchange").mkdir()
    run = Run(
        name="strixbench-perf",
        image="",
        argv=(sys.executable, "-c", f"import time; time.sleep({LAUNCH_SECONDS})"),
        environment={},
        mounts=(),
        working_directory="/",
        exchange=tmp_path / "exchange",
    )
    engine = Local()

    def launch() -> None:
        with sampling(run.exchange, into=into, gpu=None, is_nvidia=False, quiet_seconds=0.0):
            engine.run(run, timeout_seconds=LAUNCH_SECONDS + 60)

    before = time.process_time()
    benchmark.pedantic(launch, rounds=1)
    harness = time.process_time() - before
    lines = read_lines(into)
    costs = [cost for line in lines if (cost := line.number("cost_seconds")) is not None]
    with capsys.disabled():
        print(
            f"\na launch of {LAUNCH_SECONDS} s in the local engine: harness {harness * 1000:.0f} ms of processor time "
            f"({harness / LAUNCH_SECONDS:.3%} of a core); sampler {costs[-1] * 1000:.0f} ms ({costs[-1] / LAUNCH_SECONDS:.3%}), of "
            f"which {costs[0] * 1000:.0f} ms until its first sample, {len(lines) - 2} samples, n = 1"
        )
