"""The trees here are made up after the kernel's documentation: they are no machine's."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec
import pytest

from harness.host import describe_host


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def a_kfd_node(root: Path, number: int, version: str) -> None:
    properties = f"cpu_cores_count 0\nsimd_count 80\ngfx_target_version {version}\nvendor_id 4098\n"
    tree(root, {f"sys/class/kfd/kfd/topology/nodes/{number}/properties": properties})


def a_strix_halo(root: Path) -> Path:
    a_kfd_node(root, 0, "0")
    a_kfd_node(root, 1, "110501")
    return tree(
        root,
        {
            "etc/os-release": 'NAME="Fedora Linux"\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\nID=fedora\n',
            "etc/hostname": "somebodys-box\n",
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD RYZEN AI MAX+ 395 w/ Radeon 8060S\nflags\t\t: fpu vme\n",
            "proc/meminfo": "MemTotal:       131072000 kB\nMemFree:         1000000 kB\n",
            "sys/class/drm/renderD128/device/vendor": "0x1002\n",
            "sys/class/drm/renderD128/device/device": "0x1586\n",
            "sys/class/drm/card0/device/vendor": "0x1002\n",
        },
    )


def test_a_strix_halo_is_described_by_what_results_depend_on(tmp_path: Path) -> None:
    host = describe_host(a_strix_halo(tmp_path))
    assert host.distribution == "Fedora Linux 43 (Server Edition)"
    assert host.processor == "AMD RYZEN AI MAX+ 395 w/ Radeon 8060S"
    assert host.memory_bytes == 131_072_000 * 1024
    assert host.gpus == ("0x1002:0x1586", "gfx1151")
    assert host.kernel == platform.release()
    assert host.processors == os.cpu_count()


def test_what_cannot_be_read_is_unknown_and_no_error(tmp_path: Path) -> None:
    host = describe_host(tmp_path)
    assert (host.distribution, host.processor, host.memory_bytes, host.gpus) == (None, None, None, ())


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("110501", "gfx1151"),
        ("110500", "gfx1150"),
        ("110000", "gfx1100"),
        ("100300", "gfx1030"),
        ("120001", "gfx1201"),
        ("90010", "gfx90a"),
        ("90402", "gfx942"),
        ("90500", "gfx950"),
    ],
)
def test_a_gfx_target_is_named_as_the_compiler_names_it(tmp_path: Path, version: str, name: str) -> None:
    a_kfd_node(tmp_path, 1, version)
    assert describe_host(tmp_path).gpus == (name,)


@pytest.mark.parametrize("version", ["0", "", "unknown", "-1"])
def test_a_node_that_is_no_gpu_is_left_out(tmp_path: Path, version: str) -> None:
    a_kfd_node(tmp_path, 0, version)
    assert describe_host(tmp_path).gpus == ()


def test_a_render_node_that_cannot_be_read_does_not_hide_another(tmp_path: Path) -> None:
    (a_strix_halo(tmp_path) / "sys/class/drm/renderD129").mkdir()
    assert describe_host(tmp_path).gpus == ("0x1002:0x1586", "gfx1151")


def test_no_host_name_is_recorded(tmp_path: Path) -> None:
    assert b"somebodys-box" not in msgspec.json.encode(describe_host(a_strix_halo(tmp_path)))


def test_this_machine_can_be_described() -> None:
    host = describe_host()
    assert host.memory_bytes is not None
    assert host.memory_bytes > 1 << 28
    assert hash(host) == hash(describe_host())
