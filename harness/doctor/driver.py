"""Checks of the kernel, the GPU's driver and its firmware. Pure; what is known about versions is in ``known.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding
from harness.doctor.known import judge_kernel, judge_mes, judge_package, known_hosts, parse_kernel
from harness.doctor.remedies import newer_kernel, other_firmware, outside
from harness.machine.installed_packages import FIRMWARE

KERNEL = "kernel and firmware"


def check_kernel(facts: HostFacts) -> Iterator[Finding]:
    """What is known about this kernel with gfx1151."""
    if facts.kernel is None:
        yield Finding(KERNEL, "kernel", "unknown", "the kernel's version cannot be read")
        return
    if not facts.has_strix_halo:
        why = "the table of kernels is for Strix Halo, and there is none here"
        yield Finding(KERNEL, "kernel", "ok", facts.kernel, why=why)
        return
    kernel = parse_kernel(facts.kernel, facts.ubuntu_signature.text)
    if kernel is None:
        yield Finding(KERNEL, "kernel", "unknown", f"{facts.kernel} is not a version")
        return
    exports = any(node.target == "gfx1151" and node.cwsr_bytes for node in facts.kfd_nodes)
    has_save_area = exports
    for row in filter(None, (judge_kernel(kernel, "save area"), judge_kernel(kernel, "memory"))):
        has_save_area = has_save_area or (row.topic == "save area" and row.status == "ok")
        if row.topic == "save area" and exports and row.status != "ok":
            text = f"{facts.kernel}: the driver tells the size of its save area, as ROCm 7.2 and later want"
            yield Finding(KERNEL, "kernel", "ok", text, source="https://github.com/ROCm/TheRock/issues/2991")
        else:
            fix = newer_kernel(facts) if row.wants_newer else row.fix
            yield Finding(KERNEL, "kernel", row.status, f"{facts.kernel}: {row.says}", why=row.why, fix=fix, source=row.source)
    if has_save_area:
        yield Finding(
            KERNEL,
            "older ROCm",
            "note",
            "images with ROCm 6.3 to 7.1 may fault; rocm62 with HSA_OVERRIDE_GFX_VERSION=11.0.0 should work",
            why="they reserve a smaller save area than this kernel demands; read from their sources, not measured here. "
            "Fedora's own 6.4 was reported to work",
            source="https://github.com/ROCm/legacy-rocm-build/issues/5853",
        )


def check_firmware(facts: HostFacts) -> Iterator[Finding]:
    """The scheduler firmware (MES): what is loaded counts; what is installed is what the next initramfs will load."""
    if not facts.has_strix_halo:
        return
    loaded = _loaded(facts)
    yield loaded
    if facts.enclosure.container:
        text = f"firmware is installed on {facts.enclosure.host}: what this container has of it is never loaded"
        yield Finding(KERNEL, "installed firmware", "note", text)
        return
    installed = _installed(facts)
    if loaded.status == "ok" and installed.status == "problem":
        why = "another one is loaded now; the next initramfs will carry this one"
        installed = msgspec.structs.replace(installed, status="warning", why=why)
    yield installed


def _loaded(facts: HostFacts) -> Finding:
    version = _mes_version(facts)
    if version is None:
        refused = next((card.mes.refused for card in facts.cards if card.mes.refused), None) or facts.debug_firmware.refused
        return Finding(
            KERNEL,
            "loaded firmware",
            "unknown",
            f"the version of the loaded MES firmware {f'cannot be read: {refused}' if refused else 'is not shown'}",
            why="MES 0x83 hangs gfx1151, 0x80 is good; where the driver does not show it to everyone, only root can read it",
            # In root's shell: the folder is closed to this user's shell, which could not expand the star.
            fix=outside(facts, "sudo sh -c 'grep -w MES /sys/kernel/debug/dri/*/amdgpu_firmware_info'"),
            source="https://github.com/ROCm/legacy-rocm-build/issues/5724",
        )
    row = judge_mes(version)
    if row is None:
        text = f"MES 0x{version:02x} is loaded: nothing is known about it"
        why = "known are " + ", ".join(f"0x{known.mes:02x} ({known.status})" for known in known_hosts().firmware)
        return Finding(KERNEL, "loaded firmware", "note", text, why=why)
    bad = row.status == "problem"
    return Finding(
        KERNEL,
        "loaded firmware",
        row.status,
        f"MES 0x{version:02x} is loaded: {row.says}",
        why="the initramfs carries it: install another, then rebuild the initramfs of the kernel that boots" if bad else "",
        fix=other_firmware(facts) if bad else "",
        source=row.source,
    )


def _mes_version(facts: HostFacts) -> int | None:
    """The version by the driver's own file, or else by the debug table."""
    texts = (*(card.mes.text for card in facts.cards), debug_firmware(facts).get("mes"))
    return next(filter(None, (mes_version(text or "") for text in texts)), None)


def debug_firmware(facts: HostFacts) -> dict[str, str]:
    """The versions in the firmware table that only root may read, by lower-case name; those that this GPU lacks are left out."""
    pattern = r"(?m)^([A-Z][\w ]{1,20}?) feature version: .{1,40}, firmware version: (0x[0-9a-fA-F]{1,8})"
    rows = re.findall(pattern, facts.debug_firmware.text or "")
    return {name.lower().replace(" ", "_"): version for name, version in rows if version.strip("0x")}


def mes_version(text: str) -> int | None:
    """The version in what the driver says about its MES, ``0x00000083``: the low 12 bits, as the driver itself takes it
    (AMDGPU_MES_VERSION_MASK). ``None``: none is loaded, or it is no number."""
    match = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", text.strip())
    return int(match[1], 16) & 0xFFF or None if match else None


def _installed(facts: HostFacts) -> Finding:
    packages = facts.packages
    if not packages:
        return Finding(
            KERNEL,
            "installed firmware",
            "unknown",
            "no package with the GPU's firmware was found in a package database",
            why="what is installed is what the next initramfs loads",
            fix="rpm -q amd-gpu-firmware linux-firmware  # or: dpkg -l linux-firmware firmware-amd-graphics",
        )
    if "amdgpu-dkms-firmware" in packages:
        return Finding(
            KERNEL,
            "installed firmware",
            "warning",
            f"amdgpu-dkms-firmware {packages['amdgpu-dkms-firmware']} is installed next to the distribution's own",
            why="it was found to bring MES 0x83 back",
            fix="sudo apt autoremove --purge amdgpu-dkms-firmware",
            source="https://github.com/ROCm/legacy-rocm-build/issues/5991",
        )
    name = next(name for name in (*FIRMWARE, *packages) if name in packages)
    own = next((name for name in ("ubuntu", "debian") if name in facts.distribution), "")
    text, row = f"{name} {packages[name]} is installed", judge_package(packages[name], own)
    if row is None and own:
        why = "its date says nothing, since single files are renewed under it: what is loaded counts"
        return Finding(KERNEL, "installed firmware", "note", text, why=why)
    if row is None:
        why = "known are 20251111 and 20260110 or later (good) and 20251125 (hangs): what is loaded counts"
        return Finding(KERNEL, "installed firmware", "note", f"{text}: nothing is known about it", why=why)
    bad = row.status == "problem"
    return Finding(
        KERNEL,
        "installed firmware",
        row.status,
        f"{text}: {row.says}",
        why="installed is not loaded: the initramfs keeps its own copy until it is rebuilt" if bad else "",
        fix=other_firmware(facts) if bad else "",
        source=row.source,
    )


def check_module(facts: HostFacts) -> Iterator[Finding]:
    """Where the driver comes from."""
    if not facts.amd:
        return
    if facts.amdgpu_version.text is not None:
        yield Finding(
            KERNEL,
            "amdgpu",
            "warning" if facts.has_strix_halo else "note",
            f"amdgpu {facts.amdgpu_version.text.strip()} is not the kernel's own (DKMS)",
            why="AMD advises the kernel's own driver for Strix Halo",
            fix=outside(facts, "sudo amdgpu-install --uninstall  # then reboot"),
            source="https://github.com/ROCm/legacy-rocm-build/issues/5890",
        )
    elif facts.amdgpu_is_loaded:
        yield Finding(KERNEL, "amdgpu", "ok", "amdgpu is the kernel's own")
