"""Checks of the kernel, the GPU's driver and its firmware. Pure; what is known of versions is in ``known.py``."""

from __future__ import annotations

import re

import msgspec

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Subject
from harness.doctor.known import KernelRow, judge_kernel, judge_mes, judge_package, known_hosts, parse_kernel
from harness.doctor.remedies import newer_kernel, other_firmware, outside
from harness.machine.firmware_packages import FIRMWARE

KERNEL = Subject("kernel and firmware")

_OLD_ROCM = "images with ROCm 6.3 to 7.1 may fault; rocm62 with HSA_OVERRIDE_GFX_VERSION=11.0.0 should work"
_OLD_ROCM_WHY = "they reserve a smaller save area than this kernel demands; read from their sources, not measured here. Fedora's own 6.4 was reported to work"
_OLD_ROCM_SOURCE = "https://github.com/ROCm/legacy-rocm-build/issues/5853"
_CWSR_SOURCE = "https://github.com/ROCm/TheRock/issues/2991"


def check_kernel(facts: HostFacts) -> tuple[Finding, ...]:
    """Known good or bad for gfx1151."""
    if facts.kernel is None:
        return (KERNEL.says("kernel", "unknown", "the kernel's version cannot be read"),)
    kernel = parse_kernel(facts.kernel, facts.ubuntu_signature.text)
    if not facts.has_strix_halo:
        why = "the table of kernels is for Strix Halo, and there is none here"
        return (KERNEL.says("kernel", "ok", facts.kernel, why=why),)
    if kernel is None:
        return (KERNEL.says("kernel", "unknown", f"{facts.kernel} is no version"),)
    rows = [row for row in (judge_kernel(kernel, "save area"), judge_kernel(kernel, "memory")) if row is not None]
    exports = any(node.target == "gfx1151" and node.tells_cwsr_size for node in facts.kfd_nodes)
    found = []
    for row in rows:
        if row.topic == "save area" and exports and row.status != "ok":
            text = f"{facts.kernel}: the driver tells the size of its save area, as ROCm 7.2 and later want"
            found.append(KERNEL.says("kernel", "ok", text, source=_CWSR_SOURCE))
        else:
            found.append(_of_row(facts, row))
    if exports or any(row.topic == "save area" and row.status == "ok" for row in rows):
        found.append(KERNEL.says("older ROCm", "note", _OLD_ROCM, why=_OLD_ROCM_WHY, source=_OLD_ROCM_SOURCE))
    return tuple(found)


def _of_row(facts: HostFacts, row: KernelRow) -> Finding:
    return KERNEL.says(
        "kernel",
        row.status,
        f"{facts.kernel}: {row.says}",
        why=row.why,
        fix=newer_kernel(facts) if row.wants_newer else row.fix,
        source=row.source,
    )


def check_firmware(facts: HostFacts) -> tuple[Finding, ...]:
    """The scheduler firmware (MES): what is loaded counts; what is installed is what the next initramfs will load."""
    if not facts.has_strix_halo:
        return ()
    loaded = _loaded(facts)
    if facts.enclosure.container:
        text = f"firmware is {facts.enclosure.host}'s to install: what this container has of it is never loaded"
        return (loaded, KERNEL.says("installed firmware", "note", text))
    installed = _installed(facts)
    if loaded.status == "ok" and installed.status == "problem":
        why = "another one is loaded now; the next initramfs will carry this one"
        return (loaded, msgspec.structs.replace(installed, status="warning", why=why))
    return (loaded, installed)


def _loaded(facts: HostFacts) -> Finding:
    version = _mes_version(facts)
    if version is None:
        refused = next((card.mes.refused for card in facts.cards if card.mes.refused), None) or facts.debug_firmware.refused
        return KERNEL.says(
            "loaded firmware",
            "unknown",
            "the version of the MES firmware that is loaded" + (f" cannot be read: {refused}" if refused else ""),
            why="MES 0x83 hangs gfx1151, 0x80 is good; needs root where the driver does not show it to all",
            # In root's shell: the folder is closed to this user's, which could not expand the star.
            fix=outside(facts, "sudo sh -c 'grep -w MES /sys/kernel/debug/dri/*/amdgpu_firmware_info'"),
            source="https://github.com/ROCm/legacy-rocm-build/issues/5724",
        )
    row = judge_mes(version)
    if row is None:
        text = f"MES 0x{version:02x} is loaded: nothing is known of it"
        why = "known are " + ", ".join(f"0x{known.mes:02x} ({known.status})" for known in known_hosts().firmware)
        return KERNEL.says("loaded firmware", "note", text, why=why)
    bad = row.status == "problem"
    return KERNEL.says(
        "loaded firmware",
        row.status,
        f"MES 0x{version:02x} is loaded: {row.says}",
        why="the initramfs carries it: install another, then build the initramfs of the kernel that boots" if bad else "",
        fix=other_firmware(facts) if bad else "",
        source=row.source,
    )


def _mes_version(facts: HostFacts) -> int | None:
    """The version of MES in the driver's own file, else in the debug table."""
    for card in facts.cards:
        if (version := mes_version(card.mes.text or "")) is not None:
            return version
    match = re.search(r"^MES feature version: \d+, firmware version: (0x[0-9a-fA-F]+)", facts.debug_firmware.text or "", re.M)
    return mes_version(match[1]) if match else None


def mes_version(text: str) -> int | None:
    """The version in what the driver says of its MES, ``0x00000083``: the low 12 bits, as the driver itself takes it
    (AMDGPU_MES_VERSION_MASK). ``None``: none is loaded, or it is no number."""
    match = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", text.strip())
    return int(match[1], 16) & 0xFFF or None if match else None


def _installed(facts: HostFacts) -> Finding:
    packages = facts.packages
    if not packages:
        return KERNEL.says(
            "installed firmware",
            "unknown",
            "no package with the GPU's firmware was found in a package database",
            why="what is installed is what the next initramfs loads",
            fix="rpm -q amd-gpu-firmware linux-firmware  # or: dpkg -l linux-firmware firmware-amd-graphics",
        )
    if "amdgpu-dkms-firmware" in packages:
        return KERNEL.says(
            "installed firmware",
            "warning",
            f"amdgpu-dkms-firmware {packages['amdgpu-dkms-firmware']} is installed beside the distribution's own",
            why="it was found to bring MES 0x83 back",
            fix="sudo apt autoremove --purge amdgpu-dkms-firmware",
            source="https://github.com/ROCm/legacy-rocm-build/issues/5991",
        )
    name = next(name for name in (*FIRMWARE, *packages) if name in packages)
    own = next((name for name in ("ubuntu", "debian") if name in facts.distribution), "")
    text, row = f"{name} {packages[name]} is installed", judge_package(packages[name], own)
    if row is None and own:
        why = "its date says nothing: single files are renewed under it. What is loaded counts"
        return KERNEL.says("installed firmware", "note", text, why=why)
    if row is None:
        why = "known are 20251111 and 20260110 or later (good) and 20251125 (hangs). What is loaded counts"
        return KERNEL.says("installed firmware", "note", f"{text}: nothing is known of it", why=why)
    bad = row.status == "problem"
    return KERNEL.says(
        "installed firmware",
        row.status,
        f"{text}: {row.says}",
        why="installed is not loaded: the initramfs carries its own until it is built again" if bad else "",
        fix=other_firmware(facts) if bad else "",
        source=row.source,
    )


def check_module(facts: HostFacts) -> tuple[Finding, ...]:
    """The driver's origin."""
    if not facts.amd:
        return ()
    found = []
    if facts.amdgpu_version.text is not None:
        found.append(
            KERNEL.says(
                "amdgpu",
                "warning" if facts.has_strix_halo else "note",
                f"amdgpu {facts.amdgpu_version.text.strip()} is not the kernel's own (DKMS)",
                why="AMD advises the kernel's own driver for Strix Halo",
                fix=outside(facts, "sudo amdgpu-install --uninstall  # then boot again"),
                source="https://github.com/ROCm/legacy-rocm-build/issues/5890",
            )
        )
    elif facts.amdgpu_is_loaded:
        found.append(KERNEL.says("amdgpu", "ok", "amdgpu is the kernel's own"))
    return tuple(found)
