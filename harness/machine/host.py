"""This machine, as far as results depend on it. No privilege is needed; no host or user name, no serial is read.

``root`` is where ``/proc``, ``/sys``, ``/etc`` and package databases are looked for: tests give a tree of their own. A file
that hangs costs no more than `PATIENCE_SECONDS` in all, and what cannot be read is unknown.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from harness.machine.files import Tree, whole_number
from harness.machine.gpus import AMD_VENDOR
from harness.machine.installed_packages import installed_versions
from harness.records.host import CardRecord, ComputeNodeRecord, HostRecord, gfx_target

PATIENCE_SECONDS = 2.0
"""The limit for all files together; a host that answers is read in some 20 ms."""

NVIDIA = "0x10de"

_DISPLAY_CLASS = "0x03"
"""The class of VGA and 3D controllers on PCI (https://admin.pci-ids.ucw.cz/read/PD/03)."""

_MODULES = ("amdgpu", "ttm", "amdttm")
_GROUPS = "sys/kernel/iommu_groups"
_IOMMU = {"DMA": "translated", "DMA-FQ": "translated", "identity": "passthrough", "blocked": "blocked"}
"""Documentation/ABI/testing/sysfs-kernel-iommu_groups"""


REMOVED = "[removed]"
"""Stands for a value of the kernel's command line that is not recorded."""

_KEPT = re.compile(
    r"(?:(?:amdgpu|ttm|amdttm|amdkfd|iommu|amd_iommu|intel_iommu|amd_pstate|intel_pstate|nvidia|processor|intel_idle|cpuidle"
    r"|cpufreq|pcie_aspm|transparent_hugepage|numa_balancing|rcupdate|rcutree|zswap|workqueue|drm)(?:\..*)?"
    r"|mitigations|nosmt|smt|maxcpus|nr_cpus|isolcpus|nohz|nohz_full|rcu_nocbs|idle|mem|memmap|hugepages|hugepagesz"
    r"|default_hugepagesz|hugetlb_free_vmalloc|swiotlb|pci|pcie_ports|preempt|threadirqs|clocksource|tsc|nowatchdog"
    r"|nmi_watchdog|nomodeset|cma|memhp_default_state|init_on_alloc|init_on_free|page_poison|slab_nomerge|lockdown"
    r"|selinux|enforcing|apparmor|security|lsm|psi|audit|quiet|splash|rhgb|ro|rw|debug|nokaslr|nopti|noibrs|noxsave|noapic"
    r"|acpi_osi|mem_sleep_default|rtc_cmos\..*|gpu_sched\..*|video|fbcon)"
)
"""The words of the kernel's command line that bear on speed and memory."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
"""A value may have blanks between double quotes (Documentation/admin-guide/kernel-parameters.rst)."""

_SETTING = re.compile(r"(?:amdgpu|ttm|amdttm)\..+|(?:amd_|intel_)?iommu(?:\..+)?")


def describe_host(root: Path = Path("/")) -> HostRecord:
    """The fingerprint; what cannot be read is ``None``."""
    tree = Tree(root, patience_seconds=PATIENCE_SECONDS)
    cards = _cards(tree)
    return HostRecord(
        kernel=tree.text("proc/sys/kernel/osrelease") or platform.release(),
        distribution=_field(tree, "etc/os-release", "PRETTY_NAME", "="),
        processor=_field(tree, "proc/cpuinfo", "model name", ":"),
        processors=os.cpu_count(),
        memory_bytes=memory_bytes(tree.text("proc/meminfo")),
        gpus=_gpus(tree),
        kernel_build=tree.text("proc/sys/kernel/version"),
        command_line=keep_words(tree.text("proc/cmdline") or ""),
        amdgpu=tree.text("sys/module/amdgpu/version"),
        amdgpu_source=tree.text("sys/module/amdgpu/srcversion"),
        parameters=_parameters(tree),
        cards=cards,
        compute_nodes=tuple(compute_nodes(tree)),
        firmware_packages=_firmware_packages(root) if cards else (),
        product=_joined(tree, "sys/class/dmi/id/sys_vendor", "sys/class/dmi/id/product_name"),
        bios=_joined(tree, "sys/class/dmi/id/bios_version", "sys/class/dmi/id/bios_date"),
        iommu=_iommu(tree, cards),
        platform_profile=tree.text("sys/firmware/acpi/platform_profile"),
        tuned_profile=tree.text("etc/tuned/active_profile"),
        governor=_joined(
            tree,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        ),
        selinux={"1": "enforcing", "0": "permissive"}.get(tree.text("sys/fs/selinux/enforce") or ""),
        boot=_boot(tree.text("proc/sys/kernel/random/boot_id")),
    )


def keep_words(text: str) -> tuple[str, ...]:
    """The words of ``/proc/cmdline`` that may be recorded, in order: without what names a machine or its owner.

    Words that bear on speed and memory are kept whole. Any other ``name=value`` keeps its name alone: values are UUIDs of disks,
    addresses, and host names (NixOS has one in ``init=``). Unknown bare words are dropped, and so is all after ``--``, which is
    for the first process and not for the kernel.
    """
    kept = []
    for word in _WORD.findall(text):
        if word == "--":
            break
        name, equals, _ = word.partition("=")
        # The kernel takes - and _ for the same sign in a name.
        if _KEPT.fullmatch(name.replace("-", "_")):
            kept.append(word)
        elif equals and _NAME.fullmatch(name):
            kept.append(f"{name}={REMOVED}")
    return tuple(kept)


def settings_of(words: tuple[str, ...]) -> dict[str, str]:
    """The settings of the IOMMU and of the GPU's modules; the last of each counts, and a bare word is empty."""
    pairs = (word.partition("=") for word in words)
    named = ((name.replace("-", "_"), value.strip('"')) for name, _, value in pairs)
    return {name: value for name, value in named if _SETTING.fullmatch(name)}


def memory_bytes(meminfo: str | None) -> int | None:
    """The machine's memory by the text of ``/proc/meminfo``; ``None`` where it does not tell."""
    words = (_value(meminfo, "MemTotal", ":") or "").split()
    kibibytes = whole_number(words[0]) if words else None
    return kibibytes * 1024 if kibibytes is not None else None


def _gpus(tree: Tree) -> tuple[str, ...]:
    """``vendor:device`` of each GPU's render node, then the gfx targets that the KFD names. NVIDIA's driver makes a render node
    only for a GPU that drives a display as well (an H200 had none): such a GPU is found on the PCI bus."""
    names = []
    for node in tree.names("sys/class/drm") or ():
        if node.startswith("renderD"):
            names += _pci_name(tree, f"sys/class/drm/{node}/device")
    if not any(name.startswith(NVIDIA) for name in names):
        for address in tree.names("sys/bus/pci/devices") or ():
            folder = f"sys/bus/pci/devices/{address}"
            if tree.text(f"{folder}/vendor") == NVIDIA and (tree.text(f"{folder}/class") or "").startswith(_DISPLAY_CLASS):
                names += _pci_name(tree, folder)
    return (*names, *(node.target for node in compute_nodes(tree)))


def _pci_name(tree: Tree, folder: str) -> list[str]:
    """``vendor:device`` of a PCI folder; empty where it does not say."""
    vendor, device = (tree.text(f"{folder}/{name}") for name in ("vendor", "device"))
    return [f"{vendor}:{device}"] if vendor and device else []


def _cards(tree: Tree) -> tuple[CardRecord, ...]:
    """AMD's GPUs: ``card1`` is one, ``card1-HDMI-A-1`` a connector of it."""
    names = (name for name in tree.names("sys/class/drm") or () if name.startswith("card") and name[4:].isdecimal())
    folders = (f"sys/class/drm/{name}/device" for name in names)
    return tuple(_card(tree, folder) for folder in folders if tree.text(f"{folder}/vendor") == AMD_VENDOR)


def _card(tree: Tree, folder: str) -> CardRecord:
    return CardRecord(
        device=tree.text(f"{folder}/device") or "unknown",
        vram_bytes=tree.number(f"{folder}/mem_info_vram_total"),
        gtt_bytes=tree.number(f"{folder}/mem_info_gtt_total"),
        vbios=tree.text(f"{folder}/vbios_version"),
        firmware=tuple(_firmware(tree, folder)),
        performance_level=tree.text(f"{folder}/power_dpm_force_performance_level"),
        iommu=tree.text(f"{folder}/iommu_group/type"),
    )


def _firmware(tree: Tree, folder: str) -> Iterator[str]:
    """The loaded versions, ``mes=0x80`` and so on; 0 is a processor that this GPU lacks.

    Readable by all: https://lore.kernel.org/amd-gfx/20230728160029.863681-1-Ori.Messinger@amd.com/
    """
    for name in tree.names(f"{folder}/fw_version") or ():
        version = tree.text(f"{folder}/fw_version/{name}") if name.endswith("_fw_version") else None
        if version is not None and version.strip("0x"):
            yield f"{name.removesuffix('_fw_version')}={version}"


def compute_nodes(tree: Tree) -> Iterator[ComputeNodeRecord]:
    """The KFD's GPUs; a processor's node has 0 as target."""
    for number in tree.names("sys/class/kfd/kfd/topology/nodes") or ():
        text = tree.text(f"sys/class/kfd/kfd/topology/nodes/{number}/properties")
        version = whole_number(_value(text, "gfx_target_version", " "))
        if version:
            yield ComputeNodeRecord(
                target=gfx_target(version),
                simd_count=whole_number(_value(text, "simd_count", " ")),
                cwsr_bytes=whole_number(_value(text, "cwsr_size", " ")),
                ctl_stack_bytes=whole_number(_value(text, "ctl_stack_size", " ")),
                sdma_engines=whole_number(_value(text, "num_sdma_engines", " ")),
            )


def _parameters(tree: Tree) -> tuple[str, ...]:
    """The parameters of the GPU's modules; those that only root may read are left out."""
    folders = {module: f"sys/module/{module}/parameters" for module in _MODULES}
    named = ((module, folder, name) for module, folder in folders.items() for name in tree.names(folder) or ())
    read = ((f"{module}.{name}", tree.text(f"{folder}/{name}")) for module, folder, name in named)
    return tuple(f"{name}={value}" for name, value in read if value is not None)


def _firmware_packages(root: Path) -> tuple[str, ...]:
    return tuple(f"{name}={version}" for name, version in sorted((installed_versions(root) or {}).items()))


def _iommu(tree: Tree, cards: tuple[CardRecord, ...]) -> str | None:
    """How the IOMMU treats the GPU's memory accesses, or any device's where there is no GPU. This is read from what runs, not from
    the command line: the kernel does not know ``amd_iommu=pt``, which leaves accesses translated."""
    units = tree.names("sys/class/iommu")
    if units is None:
        return None
    if not units:
        return "off"
    types = {card.iommu for card in cards if card.iommu}
    types = types or {told for group in tree.names(_GROUPS) or () if (told := tree.text(f"{_GROUPS}/{group}/type"))}
    return " and ".join(sorted({_IOMMU.get(each, each) for each in types})) or None


def _joined(tree: Tree, *names: str) -> str | None:
    return " ".join(text for name in names if (text := tree.text(name))) or None


def _boot(boot_id: str | None) -> str | None:
    """Eight digits that tell one boot from another, and do not tell which machine it was."""
    return None if boot_id is None else hashlib.sha256(boot_id.encode()).hexdigest()[:8]


def _field(tree: Tree, name: str, key: str, separator: str) -> str | None:
    """The value of a file's first line ``key separator value``; ``None`` where there is none to read."""
    return _value(tree.text(name), key, separator)


def _value(text: str | None, key: str, separator: str) -> str | None:
    for line in (text or "").splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip().strip('"')
    return None
