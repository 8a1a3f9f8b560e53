"""Trees of files that look like hosts. All are made up after the kernel's and the distributions' documentation and
after bug reports: none is a copy of a machine, and no check was tried on such hardware."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness.doctor.facts import HostFacts, User
from harness.doctor.read import read_facts
from harness.engines.about import EngineFacts
from harness.engines.base import Storage

ALICE = User(1000, "alice", (1000, 39, 105))
STRANGER = User(1001, "bob", (1001,))

ROOTLESS_PODMAN = EngineFacts(
    name="podman",
    version="5.6.2",
    rootless=True,
    runtime="crun",
    cgroup_version="2",
    controllers=("cpu", "io", "memory", "pids"),
)
DOCKER = EngineFacts(name="docker", version="28.3.3", rootless=False, runtime="runc", cgroup_version="2")

_GPU = "sys/bus/pci/devices/0000:c6:00.0"

COMMON = {
    "etc/subuid": "alice:100000:65536\n",
    "etc/subgid": "alice:100000:65536\n",
    "dev/net/tun": "",
    "sys/fs/cgroup/cgroup.controllers": "cpu io memory pids\n",
    "proc/meminfo": "MemTotal:       131072000 kB\nMemFree:         1000000 kB\n",
}

STRIX_HALO = {
    f"{_GPU}/vendor": "0x1002\n",
    f"{_GPU}/device": "0x1586\n",
    f"{_GPU}/class": "0x038000\n",
    f"{_GPU}/iommu_group/type": "DMA-FQ\n",
    f"{_GPU}/mem_info_vram_total": "536870912\n",
    f"{_GPU}/mem_info_gtt_total": "67108864000\n",
    f"{_GPU}/power_dpm_force_performance_level": "auto\n",
    "sys/class/iommu/ivhd0/name": "",
    "sys/class/kfd/kfd/topology/nodes/0/properties": "cpu_cores_count 32\ngfx_target_version 0\n",
    "sys/class/kfd/kfd/topology/nodes/1/properties": "simd_count 80\ngfx_target_version 110501\n",
    "sys/module/amdgpu/parameters/cwsr_enable": "1\n",
    "dev/kfd": "",
    "dev/dri/renderD128": "",
}

FEDORA = {
    **COMMON,
    **STRIX_HALO,
    "etc/os-release": 'NAME="Fedora Linux"\nVERSION_ID=43\nID=fedora\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\n',
    "etc/group": "root:x:0:\nvideo:x:39:alice\nrender:x:105:alice\nalice:x:1000:\n",
    "proc/sys/kernel/osrelease": "6.18.5-200.fc43.x86_64\n",
    "proc/cmdline": "BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=UUID=0 ro rhgb quiet\n",
    "sys/fs/selinux/enforce": "1",
    "sys/fs/selinux/booleans/container_use_devices": "0 0",
    "sys/fs/selinux/booleans/container_use_dri_devices": "0 0",
    "etc/tuned/active_profile": "balanced\n",
}

UBUNTU = {
    **COMMON,
    **STRIX_HALO,
    "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
    "etc/group": "root:x:0:\nvideo:x:44:alice\nrender:x:992:alice\nalice:x:1000:\n",
    "proc/sys/kernel/osrelease": "6.14.0-1018-oem\n",
    "proc/version_signature": "Ubuntu 6.14.0-1018.18-oem 6.14.11\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz-6.14.0-1018-oem root=UUID=0 ro amd_iommu=off\n",
    "var/lib/dpkg/status": "Package: bash\nStatus: install ok installed\nVersion: 5.2.21-2ubuntu4\n\n"
    "Package: linux-firmware\nStatus: install ok installed\nVersion: 20240318.git3b128b60-0ubuntu2.19\n\n",
}

NVIDIA = {
    **COMMON,
    "etc/os-release": "ID=debian\nVERSION_ID=12\n",
    "etc/group": "root:x:0:\nvideo:x:44:alice\nrender:x:105:\n",
    "proc/sys/kernel/osrelease": "6.1.0-37-amd64\n",
    "proc/cmdline": "root=UUID=0 ro\n",
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
    "sys/bus/pci/devices/0000:01:00.0/device": "0x2684\n",
    "sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
    "dev/nvidia0": "",
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
    "GCC version:  gcc version 12.2.0\n",
}

NO_GPU = {
    **COMMON,
    "etc/os-release": "ID=debian\nVERSION_ID=12\n",
    "proc/sys/kernel/osrelease": "6.18.44-fc-v657\n",
    "proc/cmdline": "console=ttyS0 quiet\n",
}


FINGERPRINT = {
    **FEDORA,
    f"{_GPU}/vbios_version": "113-STRXLGEN-001\n",
    f"{_GPU}/fw_version/mes_fw_version": "0x00000080\n",
    f"{_GPU}/fw_version/rlc_fw_version": "0x11530506\n",
    f"{_GPU}/fw_version/uvd_fw_version": "0x00000000\n",
    f"{_GPU}/serial_number": "S3R1ALNUMBER\n",
    "sys/module/amdgpu/srcversion": "0123456789ABCDEF\n",
    "sys/module/amdgpu/parameters/gttsize": "-1\n",
    "sys/module/ttm/parameters/pages_limit": "25165824\n",
    "sys/class/kfd/kfd/topology/nodes/1/properties": "simd_count 80\ngfx_target_version 110501\nnum_sdma_engines 1\n"
    "cwsr_size 27185152\nctl_stack_size 28672\nunique_id 12345678901234567890\n",
    "sys/class/dmi/id/sys_vendor": "A Maker\n",
    "sys/class/dmi/id/product_name": "Box 395\n",
    "sys/class/dmi/id/product_serial": "S3R1ALNUMBER\n",
    "sys/class/dmi/id/bios_version": "3.04\n",
    "sys/class/dmi/id/bios_date": "11/19/2025\n",
    "sys/firmware/acpi/platform_profile": "performance\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver": "amd-pstate-epp\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Mon Jan 12 10:00:00 UTC 2026\n",
    "proc/sys/kernel/random/boot_id": "0a1b2c3d-0000-4000-8000-000000000000\n",
    "proc/sys/kernel/hostname": "somebodys-box\n",
    "proc/cmdline": "BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=UUID=5ec3e7 ro quiet amd_iommu=on ttm.pages_limit=25165824\n",
    "var/lib/pacman/local/linux-firmware-20260110-1/desc": "",
}
"""All that the fingerprint reads, and numbers that it must not."""


OWNER = User(1000, "jdoe", (1000, 39, 105, 4242))

OWNED = {
    **FINGERPRINT,
    "etc/subuid": "jdoe:100000:65536\n",
    "etc/group": "root:x:0:\nvideo:x:39:jdoe\nrender:x:105:jdoe\njdoe:x:1000:\nacme-staff:x:4242:jdoe\n",
    "etc/cdi/jdoes-own.yaml": "",
    "proc/sys/kernel/osrelease": "6.18.5-200.jdoe.fc43.x86_64\n",
    "proc/sys/kernel/hostname": "jdoes-box.lan.example.net\n",
    "proc/cmdline": "BOOT_IMAGE=(hd0,gpt2)/vmlinuz root=UUID=5ec3e700-aaaa-4bbb-8ccc-0123456789ab ro quiet "
    "init=/nix/store/0123-nixos-system-jdoes-box/init ip=192.168.7.23::192.168.7.1:255.255.255.0:jdoes-box:eth0 "
    "rd.luks.uuid=luks-5ec3e700-aaaa-4bbb-8ccc-0123456789ab ifname=eth0:52:54:00:12:34:56 amd_iommu=on -- password=tops3cret\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "sys/class/dmi/id/product_uuid": "5ec3e700-aaaa-4bbb-8ccc-0123456789ab\n",
    "sys/class/dmi/id/product_name": "Box 395 of jdoe\n",
    "sys/class/net/eth0/address": "52:54:00:12:34:56\n",
}
"""A host that is full of what must not be told, where a host has such things and where it could have them."""

OWNED_ENGINES = (
    EngineFacts(
        name="podman",
        error="`podman info` failed: dial tcp 192.168.7.23:2375: jdoe@jdoes-box: open /mnt/My Disk/podman.sock: no such file",
    ),
    EngineFacts(
        name="docker",
        version="28.3.3",
        rootless=True,
        runtime="runc",
        cgroup_version="2",
        storage=Storage(folder="/home/jdoe/.local/share/docker"),
        controllers=("cpu", "/user.slice/user-1000.slice/jdoe"),
    ),
)

PRIVATE_WORDS = (
    *("jdoe", "acme", "lan.example", "192.168", "5ec3e7", "52:54:00", "S3R1AL", "0123456789abcdef", "12345678901234567890"),
    *("0a1b2c3d", "tops3cret", "nix/store", "/home", "/mnt", "My Disk", "Disk/", "hf_", "user-1000"),
)
"""None of which a text for a public place may hold."""


def a_tree(root: Path, files: Mapping[str, str]) -> Path:
    """The files below a folder, and the links that the kernel would make between them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for gpu in (root / "sys/bus/pci/devices").glob("*"):
        driver = {"0x1002": "amdgpu", "0x10de": "nvidia"}[(gpu / "vendor").read_text().strip()]
        (root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)
        (gpu / "driver").symlink_to(root / f"sys/bus/pci/drivers/{driver}")
        if driver == "amdgpu":
            (root / "sys/class/drm/card1").mkdir(parents=True)
            (root / "sys/class/drm/card1/device").symlink_to(gpu)
    return root


def facts_of(
    root: Path,
    *,
    user: User = ALICE,
    engines: tuple[EngineFacts, ...] = (ROOTLESS_PODMAN,),
    packages: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> HostFacts:
    """What is read of a tree; ``packages`` stand for what rpm would have answered."""
    (root / "bin").mkdir(exist_ok=True)
    for program in ("newuidmap", "crun"):
        (root / "bin" / program).write_text("#!/bin/false\n")
        (root / "bin" / program).chmod(0o755)
    (root / "run").mkdir(exist_ok=True)
    facts = read_facts(
        engines=engines,
        images=(),
        gated=("a/gated", "b/gated"),
        embedded=(root / "embedded.bin",),
        environment={"PATH": str(root / "bin"), "XDG_RUNTIME_DIR": str(root / "run"), **(environment or {})},
        user=user,
        root=root,
    )
    return facts if packages is None else msgspec.structs.replace(facts, packages=dict(packages))
