"""The guest's memory meters on made-up trees of /proc and cgroups, and with a named fake of torch."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks.memory import find_cgroup
from benchmarks.memory_meters import Meters, room_bytes
from benchmarks.workloads.calibrate import GRAIN_BYTES, MOST_SIZES, SPARE_BYTES, read_options, refuse_what_does_not_fit

GIB = 1 << 30


class FakeTorch(types.ModuleType):
    """torch with a GPU whose numbers are made up; those of an APU, whose free memory is above its total."""

    def __init__(self, *, free: int = 120 * GIB, integrated: bool = True) -> None:
        super().__init__("torch")
        self.cuda = types.SimpleNamespace(
            memory_allocated=lambda: 11,
            memory_reserved=lambda: 12,
            max_memory_reserved=lambda: 13,
            mem_get_info=lambda: (free, 62 * GIB),
            get_device_properties=lambda number: types.SimpleNamespace(is_integrated=integrated),
        )


def a_host(root: Path, *, cgroup: str = "0::/", available: int = 8 * GIB, **files: str) -> Path:
    """A tree of /proc; ``files`` are more files: path -> text."""
    texts = {
        "proc/self/status": "Name:\tpython\nVmSize:\t  500 kB\nVmHWM:\t  200 kB\nVmRSS:\t  100 kB\n",
        "proc/self/cgroup": f"{cgroup}\n",
        "proc/meminfo": f"MemTotal:       99999999 kB\nMemAvailable:   {available // 1024} kB\n",
        **files,
    }
    groups = {f"{Path(name).parent}/cgroup.procs" for name in files if "cgroup/" in name}
    texts = {**dict.fromkeys(groups, f"{os.getpid()}\n{os.getppid()}\n"), **texts}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_process_s_own_meters_are_in_bytes(tmp_path: Path) -> None:
    meters = Meters("cpu", a_host(tmp_path))
    assert meters.read() == {"vm_rss_bytes": 102_400, "vm_hwm_bytes": 204_800}
    assert meters.sources["vm_hwm_bytes"] == "/proc/self/status VmHWM"
    assert meters.unavailable["torch_reserved_bytes"] == "torch counts no memory of a CPU"
    assert "memory.current (cgroup v2): No such file" in meters.unavailable["cgroup_current_bytes"]


def test_a_container_s_own_group_of_cgroup_v2_is_the_root_that_it_sees(tmp_path: Path) -> None:
    host = a_host(tmp_path, **{"sys/fs/cgroup/memory.current": "7\n", "sys/fs/cgroup/memory.peak": "9\n"})
    found = Meters("cpu", host).read()
    assert (found["cgroup_current_bytes"], found["cgroup_peak_bytes"]) == (7, 9)


def test_a_process_s_own_group_is_the_one_that_proc_names(tmp_path: Path) -> None:
    host = a_host(tmp_path, cgroup="0::/user.slice", **{"sys/fs/cgroup/user.slice/memory.current": "7"})
    meters = Meters("cpu", host)
    assert meters.read()["cgroup_current_bytes"] == 7
    assert meters.sources["cgroup_current_bytes"] == "memory.current (cgroup v2)", "no name of a session"
    assert "memory.peak" in meters.unavailable["cgroup_peak_bytes"], "it came with Linux 5.19"


def test_a_group_of_cgroup_v1_whose_path_the_container_does_not_see_is_the_mounted_root(tmp_path: Path) -> None:
    host = a_host(
        tmp_path,
        cgroup="5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/",
        **{"sys/fs/cgroup/memory/memory.usage_in_bytes": "7", "sys/fs/cgroup/memory/memory.max_usage_in_bytes": "9"},
    )
    assert find_cgroup(host) == (tmp_path / "sys/fs/cgroup/memory", 1)
    found = Meters("cpu", host).read()
    assert (found["cgroup_current_bytes"], found["cgroup_peak_bytes"]) == (7, 9)


@pytest.mark.parametrize("text", ["", "nonsense", "::", "0::/../../../etc"])
def test_a_cgroup_that_is_none_is_unavailable(tmp_path: Path, text: str) -> None:
    meters = Meters("cpu", a_host(tmp_path, cgroup=text))
    assert set(meters.read()) == {"vm_rss_bytes", "vm_hwm_bytes"}
    assert "cgroup_current_bytes" in meters.unavailable


def test_a_group_that_others_are_in_is_unavailable_as_it_is_to_the_passes(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.current": "7", "sys/fs/cgroup/memory.peak": "9"}
    host = a_host(tmp_path, **files, **{"sys/fs/cgroup/cgroup.procs": f"{os.getpid()}\n1000001\n1000002\n"})
    meters = Meters("cpu", host)
    assert set(meters.read()) == {"vm_rss_bytes", "vm_hwm_bytes"}
    assert "the cgroup is shared with other processes" in meters.unavailable["cgroup_current_bytes"]
    assert "the cgroup is shared with other processes" in meters.unavailable["cgroup_peak_bytes"]


def test_a_group_that_others_join_later_is_left_out_from_then_on(tmp_path: Path) -> None:
    host = a_host(tmp_path, **{"sys/fs/cgroup/memory.current": "7"})
    meters = Meters("cpu", host)
    assert meters.read()["cgroup_current_bytes"] == 7
    (host / "sys/fs/cgroup/cgroup.procs").write_text(f"{os.getpid()}\n1000001\n")
    assert "cgroup_current_bytes" not in meters.read()
    assert "shared with other processes" in meters.unavailable["cgroup_current_bytes"]


def test_a_meter_that_breaks_later_is_left_out_and_says_why(tmp_path: Path) -> None:
    host = a_host(tmp_path, **{"sys/fs/cgroup/memory.current": "7"})
    meters = Meters("cpu", host)
    (host / "sys/fs/cgroup/memory.current").write_text("max")
    assert "cgroup_current_bytes" not in meters.read()
    assert "invalid literal" in meters.unavailable["cgroup_current_bytes"]


def test_torch_s_meters_are_read_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", FakeTorch())
    found = Meters("cuda", a_host(tmp_path)).read()
    torch = {name: found[name] for name in found if name.startswith(("torch", "device"))}
    assert torch == {
        "torch_allocated_bytes": 11,
        "torch_reserved_bytes": 12,
        "torch_peak_reserved_bytes": 13,
        "device_free_bytes": 120 * GIB,
    }


# Room


def test_the_least_of_what_bounds_it_is_the_room(tmp_path: Path) -> None:
    limit = {"sys/fs/cgroup/memory.current": str(GIB), "sys/fs/cgroup/memory.max": str(3 * GIB)}
    assert room_bytes("cpu", a_host(tmp_path, **limit)) == (2 * GIB, "the cgroup's limit")
    assert room_bytes("cpu", a_host(tmp_path, available=GIB, **limit)) == (GIB, "MemAvailable")
    assert room_bytes("cpu", a_host(tmp_path, **{**limit, "sys/fs/cgroup/memory.max": "max"})) == (8 * GIB, "MemAvailable")


def test_a_gpu_that_shares_the_host_s_memory_is_bound_by_it_and_another_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = a_host(tmp_path, available=4 * GIB)
    monkeypatch.setitem(sys.modules, "torch", FakeTorch(free=120 * GIB, integrated=True))
    assert room_bytes("cuda", host) == (4 * GIB, "MemAvailable")
    monkeypatch.setitem(sys.modules, "torch", FakeTorch(free=20 * GIB, integrated=False))
    assert room_bytes("cuda", host) == (20 * GIB, "torch.cuda.mem_get_info")


def test_where_nothing_can_be_read_there_is_no_room(tmp_path: Path) -> None:
    assert room_bytes("cpu", tmp_path) == (0, "nothing that can be read")


def test_a_size_that_does_not_fit_is_refused_in_a_sentence() -> None:
    refuse_what_does_not_fit(2 * GIB - SPARE_BYTES, 2 * GIB, "MemAvailable")
    with pytest.raises(MemoryError, match=r"2\.00 GiB, with 0\.25 GiB to spare, do not fit: MemAvailable leaves 2\.00 GiB"):
        refuse_what_does_not_fit(2 * GIB, 2 * GIB, "MemAvailable")


# Options


def test_sizes_go_up_for_a_peak_shows_no_smaller_one_after_a_larger() -> None:
    assert read_options({"sizes_bytes": [3, 1, 2], "hold_seconds": 1}) == ([1, 2, 3], 1.0)
    assert (1 << 29) % GRAIN_BYTES == 0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sizes_bytes": [], "hold_seconds": 1},
        {"sizes_bytes": "12", "hold_seconds": 1},
        {"sizes_bytes": [0], "hold_seconds": 1},
        {"sizes_bytes": [True], "hold_seconds": 1},
        {"sizes_bytes": [1.5], "hold_seconds": 1},
        {"sizes_bytes": [1] * (MOST_SIZES + 1), "hold_seconds": 1},
        {"sizes_bytes": [1], "hold_seconds": 0},
        {"sizes_bytes": [1], "hold_seconds": 3600},
        {"sizes_bytes": [1], "hold_seconds": None},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        read_options(options)
