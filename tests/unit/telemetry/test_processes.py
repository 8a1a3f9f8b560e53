from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from harness.telemetry.meters import EVERY
from harness.telemetry.processes import LOOKS, LaunchProcesses, parse_fdinfo
from harness.telemetry.sensors import Files, Readings
from tests.unit.real_hosts import KFD_PROCESS
from tests.unit.sensor_trees import PAGE_BYTES, a_process, strixbench_itself, write_tree

EXCHANGE = "/home/alice/results/launches/20261121T204530-1f0a/exchange"
MOUNT = f"700 690 0:40 {EXCHANGE.removeprefix('/home')} /exchange rw,relatime - btrfs /dev/sda rw\n"
BORN = 500


@pytest.fixture(autouse=True)
def _here(tmp_path: Path) -> None:
    strixbench_itself(tmp_path)


def launch(root: Path) -> LaunchProcesses:
    return LaunchProcesses(EXCHANGE, BORN, root)


def read(processes: LaunchProcesses) -> Readings:
    found = Readings()
    processes.read(Files(), found)
    return found


def test_a_process_of_this_host_is_known_by_its_command_line_and_its_children_by_it(tmp_path: Path) -> None:
    a_process(tmp_path, 200, session=200, command=f"python -m benchmarks {EXCHANGE}", pages=1000)
    a_process(tmp_path, 201, parent=200, session=200, pages=50)
    a_process(tmp_path, 202, command="python -m benchmarks /another/exchange", pages=7)
    assert launch(tmp_path).find(Files()) == (200, 201)
    assert read(launch(tmp_path)).values["tree_resident_bytes"] == 1050 * PAGE_BYTES


def test_a_process_that_leaves_its_parent_still_belongs_to_the_launch(tmp_path: Path) -> None:
    a_process(tmp_path, 200, session=200, command=f"sh {EXCHANGE}")
    a_process(tmp_path, 300, parent=1, session=200)
    assert launch(tmp_path).find(Files()) == (200, 300)


def test_a_process_in_a_container_is_known_by_its_mounts_wherever_their_file_system_is_mounted(tmp_path: Path) -> None:
    a_process(tmp_path, 200, namespace="mnt:[9]", mounts=MOUNT, command="python3 -m benchmarks /exchange")
    a_process(tmp_path, 201, parent=999, namespace="mnt:[9]")
    a_process(tmp_path, 202, namespace="mnt:[8]", mounts=MOUNT.replace("1f0a", "2b2b"))
    assert launch(tmp_path).find(Files()) == (200, 201)


def test_what_ran_before_the_launch_is_not_of_it_whatever_it_is_called(tmp_path: Path) -> None:
    a_process(tmp_path, 60, started=BORN - 1, command=f"less {EXCHANGE}/log")
    assert launch(tmp_path).find(Files()) == ()


def test_a_process_that_becomes_the_launch_s_a_moment_later_is_found_then(tmp_path: Path) -> None:
    processes = launch(tmp_path)
    a_process(tmp_path, 200, command="runc init")
    assert processes.find(Files()) == ()
    a_process(tmp_path, 200, namespace="mnt:[9]", mounts=MOUNT)
    assert processes.find(Files()) == (200,)


def test_a_stranger_is_looked_at_a_few_times_and_never_again(tmp_path: Path) -> None:
    processes = launch(tmp_path)
    a_process(tmp_path, 200, command="firefox")
    for _ in range(LOOKS):
        assert processes.find(Files()) == ()
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}")
    assert processes.find(Files()) == ()


def test_before_the_launch_has_a_process_there_is_no_number(tmp_path: Path) -> None:
    found = read(launch(tmp_path))
    assert found.values == {}
    assert found.failures["tree_resident_bytes"] == "no process of the launch has been seen"


def handle(client: int, *, vram: int, gtt: int, pdev: str = "0000:c5:00.0") -> tuple[str, str]:
    text = f"pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t{client}\ndrm-pdev:\t{pdev}\n"
    return "/dev/dri/renderD128", text + f"drm-memory-vram:\t{vram} KiB\ndrm-memory-gtt: \t{gtt} KiB\ndrm-memory-cpu: \t4 KiB\n"


def test_a_handle_that_several_have_open_is_counted_once(tmp_path: Path) -> None:
    handles = {3: handle(7, vram=100, gtt=2000), 4: handle(7, vram=100, gtt=2000), 5: handle(8, vram=1, gtt=0)}
    a_process(tmp_path, 200, session=200, command=f"sh {EXCHANGE}", handles={**handles, 6: ("/tmp/file", "pos: 0\n")})
    a_process(tmp_path, 201, parent=200, handles={3: handle(7, vram=100, gtt=2000)})
    a_process(tmp_path, 202, handles={3: handle(99, vram=5, gtt=5)})
    assert read(launch(tmp_path)).values["fdinfo_gpu_bytes"] == 2101 * 1024


def refuse(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Let the system refuse to list folders. Root, as whom tests may run, is refused nothing."""

    def listed(path: Path) -> list[str]:
        if path in folders:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    real = os.listdir
    monkeypatch.setattr(os, "listdir", listed)


def test_handles_that_may_not_be_looked_at_are_not_said_to_be_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}", handles={3: handle(7, vram=1, gtt=0)})
    refuse(monkeypatch, tmp_path / "proc/200/fd")
    assert read(launch(tmp_path)).failures["fdinfo_gpu_bytes"] == (
        f"strixbench may not look into {tmp_path}/proc/PID/fd of the launch's processes; root may"
    )


def test_a_sum_that_leaves_out_what_may_not_be_looked_at_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_process(tmp_path, 200, session=200, command=f"sh {EXCHANGE}", handles={3: handle(7, vram=1, gtt=0)})
    a_process(tmp_path, 201, parent=200, handles={3: handle(8, vram=1, gtt=0)})
    refuse(monkeypatch, tmp_path / "proc/201/fd")
    found = read(launch(tmp_path))
    assert found.values["fdinfo_gpu_bytes"] == 1024
    assert found.sources["fdinfo_gpu_bytes"].endswith("without processes that could not be looked into")


def test_of_a_kernel_that_says_both_what_is_resident_counts() -> None:
    text = (
        "drm-client-id: 7\ndrm-pdev: 0000:c5:00.0\ndrm-total-vram: 90 MiB\n"
        "drm-resident-vram: 3 MiB\ndrm-memory-vram: 3 MiB\ndrm-resident-gtt: 1 GiB\n"
    )
    assert parse_fdinfo(text) == (("0000:c5:00.0", "7"), (3 << 20) + (1 << 30))


@pytest.mark.parametrize("text", ["", "pos: 0\n", "drm-driver: amdgpu\n", "drm-client-id: 7\n", "\xff\x00:::\n"])
def test_what_is_no_handle_of_a_gpu_with_memory_is_left_out(text: str) -> None:
    assert parse_fdinfo(text) is None


def test_a_size_that_is_no_number_is_none() -> None:
    text = "drm-client-id: 7\ndrm-pdev: p\ndrm-memory-vram: {} KiB\ndrm-memory-gtt: 2 KiB\n"
    for size in ("²", "٣", "1" * 5000, "-1", ""):
        assert parse_fdinfo(text.format(size)) == (("p", "7"), 2048.0)


@pytest.mark.parametrize("pages", ["²", "٣", "1" * 5000])
def test_pages_that_are_no_number_cost_that_meter_alone(tmp_path: Path, pages: str) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}", handles={3: handle(7, vram=1, gtt=0)})
    (tmp_path / "proc/200/statm").write_text(f"5000 {pages} 10 1 0 50 0\n")
    found = read(launch(tmp_path))
    assert "tree_resident_bytes" in found.failures
    assert found.values["fdinfo_gpu_bytes"] == 1024


@pytest.mark.parametrize(
    ("name", "meter"), [("proc/200/fd", "fdinfo_gpu_bytes"), ("sys/class/kfd/kfd/proc/200", "kfd_vram_bytes")]
)
def test_a_folder_is_looked_into_as_a_file_that_may_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, meter: str
) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}", handles={3: handle(7, vram=1, gtt=0)})
    write_tree(tmp_path, {"sys/class/kfd/kfd/proc/200/vram_43210": "1000\n"})
    files, processes = Files(), launch(tmp_path)
    waited_for = []

    def listed(path: Path) -> list[str]:
        if path == tmp_path / name:
            waited_for.append(files.give_up(1.0))
        return real(path)

    real = os.listdir
    monkeypatch.setattr(os, "listdir", listed)
    processes.read(files, Readings())
    assert waited_for == [True], "it is known what is waited for"


def test_the_kfd_s_memory_is_that_of_the_launch_s_processes(tmp_path: Path) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}")
    write_tree(tmp_path, {"sys/class/kfd/kfd/proc/200/vram_43210": "1000\n", "sys/class/kfd/kfd/proc/200/pasid": "32770\n"})
    write_tree(tmp_path, {"sys/class/kfd/kfd/proc/999/vram_43210": "5\n"})
    assert read(launch(tmp_path)).values["kfd_vram_bytes"] == 1000.0


def test_the_kfd_s_account_of_a_real_process_is_read(tmp_path: Path) -> None:
    a_process(tmp_path, 160210, command=f"sh {EXCHANGE}")
    write_tree(tmp_path, KFD_PROCESS)
    assert read(launch(tmp_path)).values["kfd_vram_bytes"] == 3883843584.0


def test_what_is_slow_to_read_is_read_at_every_fourth_sample(tmp_path: Path) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}", handles={3: handle(7, vram=1, gtt=0)})
    processes = launch(tmp_path)
    assert ["fdinfo_gpu_bytes" in read(processes).values for _ in range(EVERY + 1)] == [True, *[False] * (EVERY - 1), True]
    thorough = LaunchProcesses(EXCHANGE, BORN, tmp_path, is_thorough=True)
    assert ["fdinfo_gpu_bytes" in (found := read(thorough)).values for _ in range(EVERY + 1)] == [True] * (EVERY + 1)
    assert found.sources["fdinfo_gpu_bytes"] == f"{tmp_path}/proc/PID/fdinfo"


@pytest.mark.parametrize(
    ("cgroup", "path", "name"),
    [
        (
            "0::/user.slice/user@1000.service/libpod-1.scope\n",
            "sys/fs/cgroup/user.slice/user@1000.service/libpod-1.scope/memory.current",
            "memory.current (cgroup v2)",
        ),
        (
            "4:memory:/docker/1\n0::/\n",
            "sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes",
            "memory.usage_in_bytes (cgroup v1)",
        ),
    ],
)
def test_a_launch_s_cgroup_says_what_it_uses_in_either_version_and_not_whose_it_is(
    tmp_path: Path, cgroup: str, path: str, name: str
) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}", cgroup=cgroup)
    assert read(launch(tmp_path)).failures["cgroup_memory_bytes"] == f"{name}: No such file or directory"
    write_tree(tmp_path, {path: "max\n"})
    assert read(launch(tmp_path)).failures["cgroup_memory_bytes"] == f"{name} holds no number"
    write_tree(tmp_path, {path: "123456789\n"})
    found = read(launch(tmp_path))
    assert found.values["cgroup_memory_bytes"] == 123456789.0
    assert found.sources["cgroup_memory_bytes"] == name


def test_a_cgroup_that_is_strixbench_s_own_says_nothing_of_the_launch(tmp_path: Path) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}")
    write_tree(tmp_path, {"sys/fs/cgroup/user.slice/memory.current": "1\n"})
    assert "shares strixbench's" in read(launch(tmp_path)).failures["cgroup_memory_bytes"]


def test_why_there_was_no_cgroup_is_still_told_once_the_launch_has_ended(tmp_path: Path) -> None:
    a_process(tmp_path, 200, command=f"sh {EXCHANGE}")
    write_tree(tmp_path, {"sys/fs/cgroup/user.slice/memory.current": "1\n"})
    processes = launch(tmp_path)
    told = read(processes).failures["cgroup_memory_bytes"]
    (tmp_path / "proc/200/cgroup").unlink()  # it is about to end
    assert read(processes).failures["cgroup_memory_bytes"] == told
    shutil.rmtree(tmp_path / "proc/200")
    assert read(processes).failures["cgroup_memory_bytes"] == told
