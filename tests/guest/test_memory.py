"""The guest's memory meters, on made-up trees of ``/proc`` and ``/sys``, and on this very process."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks import memory
from benchmarks.wire import MEMORY_METERS
from harness import places

from .stubs import Ended, Stubs, make_request, run_guest

KIB = 1024


class Tree:
    """A made-up ``/proc`` and ``/sys`` in which this process is at home."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/self/status", "Name:\tpython\nVmHWM:\t 1000 kB\nVmRSS:\t 900 kB\n")
        self.write("proc/self/cgroup", "0::/\n")
        self.process(os.getpid(), parent=os.getppid(), peak=1000)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def process(self, number: int, *, parent: int, peak: int, name: str = "python") -> None:
        """Add a process with a peak in KiB."""
        self.write(f"proc/{number}/stat", f"{number} ({name}) S {parent} 1 1 0 -1 4194304 0\n")
        self.write(f"proc/{number}/status", f"VmHWM:\t {peak} kB\n")

    def cgroup(self, folder: str = "", *, old: bool = False, processes: tuple[int, ...] | None = None) -> None:
        """Add a cgroup that holds 300 bytes and has held 500."""
        below = f"sys/fs/cgroup/{folder}"
        peak, current = ("memory.max_usage_in_bytes", "memory.usage_in_bytes") if old else ("memory.peak", "memory.current")
        self.write(f"{below}/{peak}", "500\n")
        self.write(f"{below}/{current}", "300\n")
        members = (os.getppid(), os.getpid()) if processes is None else processes
        self.write(f"{below}/cgroup.procs", "".join(f"{number}\n" for number in members))

    def read(self, device: str = "cpu") -> dict[str, Any]:
        return memory.read_meters(device, self.root)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_each_meter_is_read_or_said_to_be_unavailable_and_never_both(tree: Tree) -> None:
    found = tree.read()
    assert set(found["memory"]) == set(found["memory_sources"])
    assert set(found["memory"]) | set(found["memory_unavailable"]) == set(MEMORY_METERS)
    assert not set(found["memory"]) & set(found["memory_unavailable"])


def test_the_tree_is_this_process_and_all_below_it(tree: Tree) -> None:
    mine = os.getpid()
    tree.process(900_001, parent=mine, peak=20)
    tree.process(900_002, parent=900_001, peak=3, name=") S 1 (x")
    tree.process(900_003, parent=1, peak=50_000)
    found = tree.read()["memory"]
    assert (found["resident_peak_bytes"], found["tree_resident_peak_bytes"]) == (1000 * KIB, 1023 * KIB)


def test_a_child_that_ends_while_it_is_looked_at_is_left_out(tree: Tree) -> None:
    tree.process(900_001, parent=os.getpid(), peak=20)
    (tree.root / "proc/900001/status").unlink()
    tree.write("proc/900002/stat", "")
    assert tree.read()["memory"]["tree_resident_peak_bytes"] == 1000 * KIB


@pytest.mark.parametrize(
    ("line", "folder", "old", "source"),
    [
        ("0::/", "", False, "memory.peak (cgroup v2)"),
        ("0::/user.slice/x", "user.slice/x", False, "memory.peak (cgroup v2)"),
        ("0::/the/host's/path", "", False, "memory.peak (cgroup v2)"),
        ("4:memory:/docker/1\n0::/", "memory/docker/1", True, "memory.max_usage_in_bytes (cgroup v1)"),
        ("4:cpu,memory:/the/host's/path", "memory", True, "memory.max_usage_in_bytes (cgroup v1)"),
    ],
)
def test_the_cgroup_is_found_in_both_versions_with_and_without_its_namespace(
    tree: Tree, line: str, folder: str, old: bool, source: str
) -> None:
    tree.write("proc/self/cgroup", f"{line}\n")
    tree.cgroup(folder, old=old)
    found = tree.read()
    assert (found["memory"]["cgroup_peak_bytes"], found["memory"]["cgroup_current_bytes"]) == (500, 300)
    assert found["memory_sources"]["cgroup_peak_bytes"] == source


def test_a_cgroup_that_others_are_in_as_well_is_none_of_ours(tree: Tree) -> None:
    tree.cgroup(processes=(os.getpid(), os.getppid(), 1_000_001, 1_000_002))
    found = tree.read()
    assert found["memory_unavailable"]["cgroup_peak_bytes"].startswith("the cgroup is shared with other processes")
    assert "cgroup_current_bytes" not in found["memory"]


def test_a_kernel_without_memory_peak_has_the_other_meter(tree: Tree) -> None:
    tree.cgroup()
    (tree.root / "sys/fs/cgroup/memory.peak").unlink()
    found = tree.read()
    assert found["memory"]["cgroup_current_bytes"] == 300
    assert found["memory_unavailable"]["cgroup_peak_bytes"].startswith("cgroup v2 has no memory.peak here: kernels before 5.19")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("sys/fs/cgroup/memory.peak", "garbage"),
        ("sys/fs/cgroup/memory.peak", ""),
        ("sys/fs/cgroup/cgroup.procs", "one\n"),
        ("proc/self/cgroup", "nothing of the kind"),
        ("proc/self/cgroup", ""),
    ],
)
def test_what_cannot_be_understood_is_unavailable_and_no_zero(tree: Tree, path: str, text: str) -> None:
    tree.cgroup()
    tree.write(path, text)
    found = tree.read()
    assert "cgroup_peak_bytes" not in found["memory"]
    assert found["memory_unavailable"]["cgroup_peak_bytes"]


def test_without_any_of_it_all_is_unavailable(tmp_path: Path) -> None:
    found = memory.read_meters("cpu", tmp_path)
    assert found["memory"] == {}
    assert set(found["memory_unavailable"]) == set(MEMORY_METERS)


def test_torch_has_no_meters_on_a_cpu_and_two_on_a_gpu(tree: Tree, tmp_path: Path) -> None:
    assert tree.read()["memory_unavailable"]["torch_reserved_peak_bytes"] == "torch has no such meter on a CPU"
    own = tmp_path / "run"
    own.mkdir()
    ended = run_guest(own, Stubs(hip="0.0-stub", gpu=True), make_request(own, device="cuda"))
    assert ended.end("warm")["memory"]["torch_allocated_peak_bytes"] == 1
    assert ended.end("cold")["memory"]["torch_reserved_peak_bytes"] == 1


def test_a_real_child_s_memory_is_in_the_tree_s_peak() -> None:
    before = memory.read_meters("cpu")["memory"]
    child = subprocess.Popen(
        (sys.executable, "-c", "held = bytearray(b'x') * (64 << 20); print('held', flush=True); input()"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        after = memory.read_meters("cpu")["memory"]
    finally:
        child.communicate("\n", timeout=30)
    grown = int(str(after["tree_resident_peak_bytes"])) - int(str(before["tree_resident_peak_bytes"]))
    assert 64 << 20 <= grown <= 128 << 20


def test_the_guest_journals_its_meters_after_the_passes(whole: Ended) -> None:
    for stage in ("cold", "warm"):
        end = whole.end(stage)
        assert end["memory"]["resident_peak_bytes"] > 1 << 20
        assert set(end["memory"]) | set(end["memory_unavailable"]) == set(MEMORY_METERS)


def test_a_cgroup_in_the_host_s_whole_tree_is_not_taken_for_a_container_s_own(tree: Tree) -> None:
    """As in a rootless container with cgroups of version 1, which does not see who else is in its cgroup."""
    tree.write("proc/self/cgroup", "4:memory:/\n")
    tree.cgroup("memory", old=True)
    assert tree.read()["memory"]["cgroup_peak_bytes"] == 500
    tree.write("sys/fs/cgroup/memory/cgroup.sane_behavior", "0\n")
    found = tree.read()
    assert "whole tree of cgroups" in found["memory_unavailable"]["cgroup_peak_bytes"]
    assert "cgroup_peak_bytes" not in found["memory"]


def test_peak_memory_is_vmhwm_in_bytes(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  999 kB\nVmHWM:\t   123 kB\nVmRSS:\t    45 kB\n")
    assert memory.peak_resident_bytes(str(status)) == 123 * 1024


@pytest.mark.parametrize("text", ["", "Name:\tpython\nVmRSS:\t 45 kB\n"])
def test_peak_memory_that_the_kernel_does_not_tell_is_none_and_not_zero(tmp_path: Path, text: str) -> None:
    status = tmp_path / "status"
    status.write_text(text)
    assert memory.peak_resident_bytes(str(status)) is None
    assert memory.peak_resident_bytes(str(tmp_path / "missing")) is None


PEAK = "import resource; from benchmarks import memory; print(memory.peak_resident_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"


def test_peak_memory_is_not_inherited_from_what_ran_before_exec() -> None:
    mebibyte = 1 << 20
    code = (
        f"import os, sys; hog = bytearray({200 * mebibyte}); os.execv(sys.executable, [sys.executable, '-S', '-c', {PEAK!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=places.ROOT, stdout=subprocess.PIPE, check=True)
    peak, inherited = map(int, done.stdout.split())
    assert inherited > 200 * mebibyte  # or this test shows nothing
    assert mebibyte < peak < 100 * mebibyte


class FakeTorch(types.ModuleType):
    """A torch whose GPU has two peaks; neither is a measurement."""

    def __init__(self) -> None:
        super().__init__("torch")
        self.cuda = types.SimpleNamespace(max_memory_allocated=lambda: 1, max_memory_reserved=lambda: 2)


def test_a_gpus_peaks_are_torchs_allocated_and_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", FakeTorch())
    assert memory.torch_peaks("cuda") == {"peak_allocated_bytes": 1, "peak_reserved_bytes": 2}


def test_a_cpu_has_no_meter_of_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # an import fails
    assert memory.torch_peaks("cpu") == {"peak_allocated_bytes": None, "peak_reserved_bytes": None}
