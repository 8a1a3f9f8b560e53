"""Seconds and processors. The GPU is a named fake."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from benchmarks import meter
from harness import places


class FakeTorch(types.ModuleType):
    """A torch whose GPU counts how often it was waited for."""

    def __init__(self) -> None:
        super().__init__("torch")
        self.waits = 0
        self.cuda = types.SimpleNamespace(synchronize=self._wait)

    def _wait(self) -> None:
        self.waits += 1


@pytest.fixture
def fake_torch(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    """`FakeTorch` in torch's place."""
    torch = FakeTorch()
    monkeypatch.setitem(sys.modules, "torch", torch)
    return torch


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of torch fails."""
    monkeypatch.setitem(sys.modules, "torch", None)


def spin(seconds: float) -> None:
    """Use the processor for a while."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


# Processors


@pytest.fixture
def allowed() -> int:
    """How many processors the affinity mask has."""
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("100000 100000\n", 1),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),  # half a processor is one thread, never none
        ("max 100000\n", None),
        ("1600000 100000\n", 16),
        ("", None),
        ("garbage\n", None),
    ],
)
def test_a_cgroup_2_quota_cuts_the_processors(tmp_path: Path, allowed: int, text: str, most: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert meter.usable_processors(str(tmp_path)) == min(allowed, most or allowed)


@pytest.mark.parametrize(("quota", "most"), [("100000", 1), ("30000", 1), ("-1", None), ("garbage", None)])
def test_a_cgroup_1_quota_cuts_the_processors(tmp_path: Path, allowed: int, quota: str, most: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert meter.usable_processors(str(tmp_path)) == min(allowed, most or allowed)


def test_without_a_cgroup_the_affinity_mask_counts(tmp_path: Path, allowed: int) -> None:
    assert meter.usable_processors(str(tmp_path)) == allowed
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from benchmarks import meter; print(meter.usable_processors('/nowhere'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=places.ROOT, stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) == 1


# Seconds


def test_the_parts_sum_to_the_whole_and_come_in_order() -> None:
    watch = meter.Stopwatch(lambda: None)
    for part in ("segmentation", "embeddings", "segmentation"):
        watch.border(part)
    measured = watch.stop()
    assert list(measured["parts"]) == ["segmentation", "embeddings", "rest"]
    assert sum(measured["parts"].values()) == pytest.approx(measured["seconds"])


def test_time_belongs_to_the_part_that_ends_at_the_border() -> None:
    watch = meter.Stopwatch(lambda: None)
    watch.border("first")
    spin(0.05)
    watch.border("second")
    parts = watch.stop()["parts"]
    assert parts["second"] >= 0.05 > parts["first"]


def test_what_the_device_still_had_to_do_belongs_to_the_part_before_the_border() -> None:
    queued = [0.0, 0.05, 0.0]
    watch = meter.Stopwatch(lambda: spin(queued.pop(0)))
    watch.border("embeddings")
    parts = watch.stop()["parts"]
    assert parts["embeddings"] >= 0.05 > parts["rest"]
    assert queued == []


def test_what_the_device_had_to_do_before_does_not_count() -> None:
    queued = [0.05, 0.0]
    assert meter.Stopwatch(lambda: spin(queued.pop(0))).stop()["seconds"] < 0.05


def test_processor_seconds_count_work_and_not_waiting() -> None:
    watch = meter.Stopwatch(lambda: None)
    subprocess.run(["sleep", "0.3"], check=True)  # another process's time: waited for, not worked
    spin(0.05)
    measured = watch.stop()
    assert measured["seconds"] >= 0.35
    assert 0.0 < measured["processor_seconds"] < measured["seconds"] - 0.1


def test_on_a_gpu_a_border_waits_for_it(fake_torch: FakeTorch) -> None:
    watch = meter.Stopwatch(meter.synchroniser("cuda"))
    watch.border("segmentation")
    watch.stop()
    assert fake_torch.waits == 3


def test_on_a_cpu_a_border_needs_no_torch(no_torch: None) -> None:
    meter.Stopwatch(meter.synchroniser("cpu")).stop()
