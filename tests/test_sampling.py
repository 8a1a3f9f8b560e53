"""The sampler as a process: it ends with the harness, whatever happens."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.telemetry import sampler, start
from harness.telemetry.samples import read_lines, read_telemetry
from tests.unit.sensor_trees import a_strix_halo, strixbench_itself

SECONDS = 20.0
"""A bound for what takes a fraction of one."""


def comes(true: Callable[[], bool]) -> bool:
    """Whether something comes true within a bound."""
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def samplers_of(into: Path) -> list[psutil.Process]:
    """The processes that write into a file."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(into) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def watching(tmp_path: Path, **more: Any) -> AbstractContextManager[None]:
    exchange, into = tmp_path / "launch" / "exchange", tmp_path / "launch" / "telemetry.jsonl"
    exchange.mkdir(parents=True)
    return start.sampling(exchange, into=into, gpu=None, is_nvidia=False, quiet_seconds=0.0, **more)


def test_a_process_of_the_launch_is_found_and_its_memory_is_summed(tmp_path: Path) -> None:
    into = tmp_path / "launch" / "telemetry.jsonl"
    with watching(tmp_path):
        # Like a local launch: a shell with the folder on its command line, and a child with some memory.
        code = "import sys; held = bytearray(64 << 20); sys.stdin.read()"
        line = 'exec 3<&0; "$0" -c "$1" <&3 & wait'
        argv = ("sh", "-c", line, sys.executable, code, str(tmp_path / "launch" / "exchange"))
        guest = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
        assert guest.stdin

        def is_seen() -> bool:
            return any((line.fields("values").number("tree_resident_bytes") or 0.0) > 64 << 20 for line in read_lines(into))

        assert comes(is_seen)
        guest.stdin.close()
        guest.wait(timeout=SECONDS)
    found = read_telemetry(into)
    assert found is not None
    assert max(value or 0 for value in found.series["tree_resident_bytes"]) < 256 << 20
    assert found.cost_seconds
    assert samplers_of(into) == []


def test_it_ends_when_its_harness_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from harness.telemetry.start import sampling; folder = pathlib.Path(sys.argv[1])\n"
        "with sampling(folder, into=folder / 'telemetry.jsonl', gpu=None, is_nvidia=False, quiet_seconds=0):\n"
        "    time.sleep(600)"
    )
    into = tmp_path / "telemetry.jsonl"
    harness = subprocess.Popen((sys.executable, "-c", code, str(tmp_path)))
    assert comes(lambda: len(read_lines(into)) > 1)
    assert len(samplers_of(into)) == 1
    harness.kill()
    harness.wait(timeout=SECONDS)
    assert comes(lambda: samplers_of(into) == [])


def test_one_that_is_deaf_is_killed_and_what_it_wrote_is_kept(tmp_path: Path) -> None:
    """Stopped by a signal, it does not come to its end when asked."""
    into = tmp_path / "launch" / "telemetry.jsonl"
    with watching(tmp_path, end_seconds=0.2):
        assert comes(lambda: len(read_lines(into)) > 1)
        (sampler,) = samplers_of(into)
        os.kill(sampler.pid, signal.SIGSTOP)
    assert read_telemetry(into) is not None
    assert comes(lambda: samplers_of(into) == [])


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    into = tmp_path / "launch" / "telemetry.jsonl"

    def interrupted() -> None:
        with watching(tmp_path):
            assert comes(lambda: len(read_lines(into)) > 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert samplers_of(into) == []


class Unkillable(subprocess.Popen[bytes]):
    """Sleeps in the kernel, as a read of a sick GPU's file may: no signal reaches it. No process, since none can be made so."""

    def __init__(self) -> None:
        self.stdin = io.BytesIO()
        self.was_killed = False

    def __del__(self) -> None:
        """Nothing to see to."""

    def wait(self, timeout: float | None = None) -> int:
        assert timeout is not None, "whoever waits for it waits for ever"
        raise subprocess.TimeoutExpired("sampler", timeout)

    def kill(self) -> None:
        self.was_killed = True


def test_one_that_cannot_be_killed_is_waited_for_no_longer() -> None:
    sampler = Unkillable()
    assert not start.end_sampler(sampler, 0.2)
    assert sampler.was_killed


class FakeClock:
    """A clock that moves when one waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("meter", "rests"), [("socket_power_watts", True), ("cpu_package_joules", True), ("gpu_joules_1", True), ("a_bytes", False)]
)
def test_the_idle_host_is_waited_for_where_its_power_can_be_read(tmp_path: Path, meter: str, rests: bool) -> None:
    into = tmp_path / "telemetry.jsonl"
    into.write_text(f'{{"hertz": 2.0}}\n{{"at": 1.0, "values": {{"{meter}": 5.0}}}}\n')
    clock = FakeClock()
    start.rest(into, 0.5, clock=clock, wait=clock.wait)
    assert clock.now == (0.5 if rests else 0.0)


def test_a_sampler_that_says_nothing_is_not_waited_for_long(tmp_path: Path) -> None:
    clock = FakeClock()
    start.rest(tmp_path / "nothing", 600.0, clock=clock, wait=clock.wait)
    assert start.FIRST_SAMPLE_SECONDS <= clock.now < 2 * start.FIRST_SAMPLE_SECONDS


def test_a_file_that_hangs_holds_up_neither_its_neighbours_nor_the_end(tmp_path: Path) -> None:
    """A made-up Strix Halo, one of whose files is a pipe that nobody writes to."""
    strixbench_itself(tmp_path)
    device = a_strix_halo(tmp_path)
    (device / "mem_info_gtt_used").unlink()
    os.mkfifo(device / "mem_info_gtt_used")
    into = tmp_path / "telemetry.jsonl"
    asked = {"gpu": None, "is_nvidia": False, "quiet_seconds": 0.0, "root": tmp_path, "end_seconds": SECONDS}
    with start.sampling(tmp_path, into=into, **asked):
        assert comes(lambda: len(read_lines(into)) > 2)
    assert samplers_of(into) == []
    assert list(read_lines(into)[-1]) == ["cost_seconds"], "it came to its own end"
    found = read_telemetry(into)
    assert found is not None
    assert found.unavailable["gtt_used_bytes"].endswith("mem_info_gtt_used did not answer within 1 s")
    assert set(found.series["socket_power_watts"]) == {84.5}


def test_a_folder_that_is_gone_costs_the_samples_alone(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "telemetry.jsonl"
    with start.sampling(tmp_path, into=nowhere, gpu=None, is_nvidia=False, quiet_seconds=0.0):
        pass
    assert read_telemetry(nowhere) is None


def why_nothing_was_sampled(tmp_path: Path) -> str:
    found = read_telemetry(tmp_path / "launch" / "telemetry.jsonl")
    assert found is not None
    assert found.series == {}
    return found.unavailable["sampler"]


def test_one_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with watching(tmp_path):
        pass
    assert why_nothing_was_sampled(tmp_path) == "it could not be started: No such file or directory"


def test_one_that_dies_at_once_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with watching(tmp_path):
        assert comes(lambda: samplers_of(tmp_path / "launch" / "telemetry.jsonl") == [])
    assert why_nothing_was_sampled(tmp_path) == "it ended without a word"


def test_one_that_is_killed_in_a_launch_is_told_and_its_samples_are_kept(tmp_path: Path) -> None:
    into = tmp_path / "launch" / "telemetry.jsonl"
    with watching(tmp_path):
        assert comes(lambda: len(read_lines(into)) > 1)
        (killed,) = samplers_of(into)
        killed.kill()
        # A process whose first thread is gone is called a zombie, and cannot be reaped before its other threads are gone too.
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
    found = read_telemetry(into)
    assert found is not None
    assert found.times
    assert found.unavailable["sampler"].startswith("it was killed by signal 9, its last sample ")


def test_one_that_lives_to_the_end_is_said_to_miss_nothing(tmp_path: Path) -> None:
    into = tmp_path / "launch" / "telemetry.jsonl"
    with watching(tmp_path):
        assert comes(lambda: len(read_lines(into)) > 1)
    found = read_telemetry(into)
    assert found is not None
    assert "sampler" not in found.unavailable


def test_one_that_fails_says_why(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.jsonl"
    order = io.StringIO('{"hertz": 2.0, "exchange": "/x", "since_ticks": 0, "gpu": null, "is_nvidia": false, "root": "/"}\n')
    sampler.main(path, order)  # is_thorough is missing
    found = read_telemetry(path)
    assert found is not None
    assert found.unavailable["sampler"] == "it failed: KeyError: 'is_thorough'"
