from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.telemetry.sampler import Sampler, sensors_of, write_samples
from harness.telemetry.sensors import Files, Meminfo, Readings, amd_gpus_below
from tests.unit.sensor_trees import a_process, a_strix_halo, strixbench_itself, write_tree

PATIENCE = 0.05


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A Strix Halo with nothing running."""
    strixbench_itself(tmp_path)
    a_strix_halo(tmp_path)
    write_tree(tmp_path, {"proc/meminfo": "MemAvailable: 1000 kB\n"})
    return tmp_path


@pytest.fixture
def hanging(host: Path) -> Iterator[Path]:
    """A file that whoever opens it waits for: a pipe without a writer."""
    path = next(host.glob("sys/devices/*/*/mem_info_gtt_used"))
    path.unlink()
    os.mkfifo(path)
    yield path
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NONBLOCK), "wb"):  # whoever still waits goes on
        pass


def sampler_of(root: Path) -> Sampler:
    return Sampler([*amd_gpus_below(root, None), Meminfo(root)], patience_seconds=PATIENCE)


def taken(sampler: Sampler) -> Readings:
    """A sample, which must be there."""
    found = sampler.sample()
    assert found is not None
    return found


def test_a_file_that_hangs_costs_its_own_meter_and_no_other(host: Path, hanging: Path) -> None:
    sampler = sampler_of(host)
    for _ in range(3):
        found = taken(sampler)
        assert found.failures["gtt_used_bytes"] == f"{hanging} did not answer within 0.05 s"
        assert found.values["vram_used_bytes"] == 180355072.0
        assert found.values["socket_power_watts"] == 84.5
        assert found.values["mem_available_bytes"] == 1024000.0
    sampler.close()


def test_a_file_that_answers_at_last_is_read_again(host: Path, hanging: Path) -> None:
    sampler = sampler_of(host)
    assert "gtt_used_bytes" in taken(sampler).failures
    descriptor = os.open(hanging, os.O_RDWR | os.O_NONBLOCK)  # the one that waits finds a writer
    os.write(descriptor, b"77\n")
    deadline = time.monotonic() + 10
    while "gtt_used_bytes" in (found := taken(sampler)).failures and time.monotonic() < deadline:
        os.write(descriptor, b"77\n")
    os.close(descriptor)
    assert found.values["gtt_used_bytes"] == 77.0
    sampler.close()


class TwoThatHang:
    """Two files of a GPU that is sick as a whole."""

    meters = ("a", "b")

    def __init__(self, folder: Path) -> None:
        self.paths = [folder / "a", folder / "b"]
        for path in self.paths:
            os.mkfifo(path)

    def read(self, files: Files, found: Readings) -> None:
        for path in self.paths:
            found.take(path.name, [(str(path), files.number(path))])


class Raising:
    """A sensor with a fault in it: it tells one meter and raises before the other."""

    meters = ("told", "untold")

    def read(self, files: Files, found: Readings) -> None:
        found.take("told", [("here", 1.0)])
        raise ValueError("could not convert string to float: '²'")


def test_a_sensor_that_raises_costs_its_own_meters_and_each_time_says_why(host: Path) -> None:
    sampler = Sampler([Raising(), Meminfo(host)], patience_seconds=PATIENCE)
    for _ in range(3):
        # Told after some attempts that nobody wants it, so that a sampler which tries for ever fails here and does not hang.
        found = sampler.sample(attempts(5))
        assert found is not None
        assert found.failures == {"untold": "ValueError: could not convert string to float: '²'"}
        assert found.values == {"told": 1.0, "mem_available_bytes": 1024000.0}
    sampler.close()


def attempts(most: int) -> Callable[[], bool]:
    """Says that it is over when it was asked so often."""
    asked = itertools.count(1)
    return lambda: next(asked) > most


class Hanging:
    """A sensor that hangs without a file being named, until it is let go."""

    meters = ("sick",)

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.reads = 0

    def read(self, files: Files, found: Readings) -> None:
        self.reads += 1
        self.let_go.wait()
        found.take("sick", [("here", 5.0)])


def test_a_sensor_that_hangs_without_a_file_is_left_out_until_it_comes_back(host: Path) -> None:
    sick = Hanging()
    sampler = Sampler([sick, Meminfo(host)], patience_seconds=PATIENCE)
    for _ in range(3):
        found = sampler.sample(attempts(5))
        assert found is not None
        assert found.failures == {"sick": "reading it did not end within 0.05 s"}
        assert found.values == {"mem_available_bytes": 1024000.0}
    assert sick.reads == 1
    sick.let_go.set()
    deadline = time.monotonic() + 10
    while "sick" not in found.values and time.monotonic() < deadline:
        found = sampler.sample(attempts(5)) or found
    assert found.values["sick"] == 5.0
    sampler.close()


class EndlesslySick:
    """Whatever is opened hangs, and it is another file each time."""

    meters = ("sick",)

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.numbers = itertools.count()

    def read(self, files: Files, found: Readings) -> None:
        files.call(f"file {next(self.numbers)}", self.let_go.wait)


def test_a_sampler_that_waits_for_its_meters_sees_that_it_is_to_end() -> None:
    sick = EndlesslySick()
    lines: list[dict[str, Any]] = []
    over = attempts(3)
    write_samples(Sampler([sick], patience_seconds=PATIENCE), lines.append, hertz=2.0, wait=lambda seconds: over())
    assert [sorted(line) for line in lines] == [["hertz"], ["cost_seconds"]]
    sick.let_go.set()


def test_each_of_several_files_that_hang_is_waited_for_once(host: Path) -> None:
    sick = TwoThatHang(host)
    sampler = Sampler([sick, Meminfo(host)], patience_seconds=PATIENCE)
    found = taken(sampler)
    assert (sorted(found.failures), sorted(found.values)) == (["a", "b"], ["mem_available_bytes"])
    for path in sick.paths:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    sampler.close()


def written(
    root: Path, *, samples: int, gpu: str | None = None, before_slower: int = 3600, is_thorough: bool = False
) -> tuple[list[dict[str, Any]], list[float]]:
    """The lines of a sampler that takes some samples, and how long it would have waited after each."""
    lines: list[dict[str, Any]] = []
    waits: list[float] = []

    def enough(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == samples

    order = {
        "exchange": "/results/launches/1/exchange",
        "since_ticks": 0,
        "gpu": gpu,
        "is_nvidia": False,
        "is_thorough": is_thorough,
        "root": str(root),
    }
    sampler = Sampler(sensors_of(order))
    write_samples(sampler, lines.append, hertz=2.0, wait=enough, samples_before_slower=before_slower)
    return lines, waits


def test_a_line_a_sample_with_its_time_and_what_the_sampler_has_cost(host: Path) -> None:
    lines, waits = written(host, samples=3)
    assert lines[0] == {"hertz": 2.0}
    assert [line["values"]["socket_power_watts"] for line in lines[1:4]] == [84.5] * 3
    assert lines[1]["at"] <= lines[2]["at"] <= lines[3]["at"]
    assert 0 <= lines[1]["cost_seconds"] <= lines[4]["cost_seconds"]
    assert all(0.0 <= seconds <= 2.0 for seconds in waits)


def test_a_thorough_sampler_reads_slow_meters_at_every_sample(host: Path) -> None:
    info = "drm-client-id: 7\ndrm-pdev: 0000:c5:00.0\ndrm-memory-gtt: 2 KiB\n"
    a_process(host, 200, command="sh /results/launches/1/exchange", handles={3: ("/dev/dri/renderD128", info)})
    for is_thorough, expected in ((True, [2048.0] * 3), (False, [2048.0, None, None])):
        lines, _ = written(host, samples=3, is_thorough=is_thorough)
        assert [line["values"].get("fdinfo_gpu_bytes") for line in lines[1:4]] == expected


def test_a_source_and_a_reason_are_written_once(host: Path) -> None:
    lines, _ = written(host, samples=3)
    assert "mem_info_vram_used" in lines[1]["sources"]["vram_used_bytes"]
    assert "no process" in lines[1]["unavailable"]["tree_resident_bytes"]
    assert not any("sources" in line or "unavailable" in line for line in lines[2:])


def test_a_host_without_a_card_says_so_of_each_meter(tmp_path: Path) -> None:
    strixbench_itself(tmp_path)
    lines, _ = written(tmp_path, samples=1)
    for meter in ("vram_used_bytes", "gtt_used_bytes", "gpu_power_watts", "gfx_clock_hertz"):
        assert lines[1]["unavailable"][meter].endswith("sys/class/drm has no card of amdgpu")


def test_a_long_launch_is_sampled_ever_more_slowly(host: Path) -> None:
    # Nothing is waited for here, so that each wait is the time until that sample is due.
    _, due = written(host, samples=5, before_slower=2)
    assert [round(later - earlier, 1) for earlier, later in pairwise([0.0, *due])] == [0.5, 1.0, 1.0, 2.0, 2.0]
