"""The trees here are made up after the kernel's documentation: they are no machine's."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec
import pytest

from harness.analysis.host_differences import fingerprint
from harness.machine.host import describe_host
from harness.records.host import CardRecord, ComputeNodeRecord
from tests.unit.fixture_hosts import FINGERPRINT, NO_GPU, a_tree
from tests.unit.real_hosts import TWO_GIB_CARVE_OUT


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


def test_the_compute_driver_s_nodes_of_a_real_box_are_read(tmp_path: Path) -> None:
    host = describe_host(a_tree(tmp_path, TWO_GIB_CARVE_OUT))
    assert host.compute_nodes == (ComputeNodeRecord(target="gfx1151", simd_count=80),)
    assert [(card.vram_bytes, card.gtt_bytes) for card in host.cards] == [(2 << 30, 112 << 30)]
    assert host.memory_bytes == 127098456 * 1024
    assert host.parameters == ("ttm.pages_limit=29360128",)


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
    assert fingerprint(host) == fingerprint(describe_host())


def test_all_that_results_depend_on_is_read_of_a_strix_halo(tmp_path: Path) -> None:
    host = describe_host(a_tree(tmp_path, FINGERPRINT))
    assert host.kernel == "6.18.5-200.fc43.x86_64"
    assert host.kernel_build == "#1 SMP PREEMPT_DYNAMIC Mon Jan 12 10:00:00 UTC 2026"
    assert host.command_line == (
        "BOOT_IMAGE=[removed]",
        "root=[removed]",
        "ro",
        "quiet",
        "amd_iommu=on",
        "ttm.pages_limit=25165824",
    )
    assert (host.amdgpu, host.amdgpu_source) == (None, "0123456789ABCDEF")
    assert host.parameters == ("amdgpu.cwsr_enable=1", "amdgpu.gttsize=-1", "ttm.pages_limit=25165824")
    assert host.cards == (
        CardRecord(
            device="0x1586",
            vram_bytes=536870912,
            gtt_bytes=67108864000,
            vbios="113-STRXLGEN-001",
            firmware=("mes=0x00000080", "rlc=0x11530506"),
            performance_level="auto",
            iommu="DMA-FQ",
        ),
    )
    assert host.compute_nodes == (
        ComputeNodeRecord(target="gfx1151", simd_count=80, cwsr_bytes=27185152, ctl_stack_bytes=28672, sdma_engines=1),
    )
    assert host.firmware_packages == ("linux-firmware=20260110-1",)
    assert (host.product, host.bios) == ("A Maker Box 395", "3.04 11/19/2025")
    assert (host.iommu, host.selinux) == ("translated", "enforcing")
    assert (host.platform_profile, host.tuned_profile, host.governor) == (
        "performance",
        "balanced",
        "amd-pstate-epp powersave",
    )


def test_no_serial_number_no_host_name_and_no_disk_is_recorded(tmp_path: Path) -> None:
    recorded = msgspec.json.encode(describe_host(a_tree(tmp_path, FINGERPRINT))).decode()
    for private in ("S3R1AL", "somebodys-box", "5ec3e7", "12345678901234567890", "0a1b2c3d"):
        assert private not in recorded


@pytest.mark.parametrize(
    ("units", "types", "mode"),
    [
        (("ivhd0",), ("DMA-FQ",), "translated"),
        (("ivhd0",), ("identity",), "passthrough"),
        (("dmar0",), ("DMA", "identity"), "passthrough and translated"),
        ((), (), "off"),
        (None, (), None),
        (("ivhd0",), (), None),
        (("ivhd0",), ("new-type",), "new-type"),
    ],
)
def test_the_iommu_is_told_as_it_runs(
    tmp_path: Path, units: tuple[str, ...] | None, types: tuple[str, ...], mode: str | None
) -> None:
    if units is not None:
        (tmp_path / "sys/class/iommu").mkdir(parents=True)
    files = {f"sys/class/iommu/{unit}/name": "" for unit in units or ()}
    groups = {f"sys/kernel/iommu_groups/{number}/type": f"{each}\n" for number, each in enumerate(types)}
    assert describe_host(tree(tmp_path, {**files, **groups})).iommu == mode


def test_a_pipe_or_a_folder_or_nonsense_in_the_place_of_any_file_is_unknown_and_no_error(tmp_path: Path) -> None:
    whole = describe_host(a_tree(tmp_path / "whole", FINGERPRINT))
    for number, spoil in enumerate((os.mkfifo, Path.mkdir, lambda path: path.write_bytes(b"\xff\0" * 50))):
        root = a_tree(tmp_path / str(number), FINGERPRINT)
        for name in FINGERPRINT:
            if not name.endswith(("/vendor", "/desc")):
                (root / name).unlink(missing_ok=True)
                spoil(root / name)
        host = describe_host(root)
        assert msgspec.json.decode(msgspec.json.encode(host), type=type(host)) == host
        assert (host.memory_bytes, host.compute_nodes, host.selinux) == (None, (), None)
        assert host != whole


def test_a_record_of_before_the_fingerprint_is_read(tmp_path: Path) -> None:
    old = b'{"kernel": "6.12", "processors": 2, "gpus": ["0x1002:0x1586"]}'
    host = msgspec.json.decode(old, type=type(describe_host(tmp_path)))
    assert (host.kernel, host.cards, host.command_line, host.iommu) == ("6.12", (), (), None)


def test_a_host_without_a_gpu_has_no_card_and_its_packages_are_not_looked_for(tmp_path: Path) -> None:
    dpkg = {"var/lib/dpkg/status": "Package: linux-firmware\nStatus: install ok installed\nVersion: 1\n\n"}
    host = describe_host(a_tree(tmp_path, {**NO_GPU, **dpkg}))
    assert (host.cards, host.compute_nodes, host.firmware_packages) == ((), (), ())


def test_an_nvidia_gpu_without_a_render_node_is_found_on_the_pci_bus(tmp_path: Path) -> None:
    """As on a machine with an H200: /dev/nvidia0, and nothing in /sys/class/drm."""
    audio = {"vendor": "0x10de\n", "device": "0x22bd\n", "class": "0x040300\n"}
    gpu = {"vendor": "0x10de\n", "device": "0x2335\n", "class": "0x030200\n"}
    files = {f"sys/bus/pci/devices/0000:00:06.0/{name}": text for name, text in gpu.items()}
    files |= {f"sys/bus/pci/devices/0000:00:06.1/{name}": text for name, text in audio.items()}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert describe_host(tmp_path).gpus == ("0x10de:0x2335",)
