"""Checks of the kernel, the GPU's driver and its firmware. Pure; what is known of versions is in ``known.py``."""

from __future__ import annotations

import re

import msgspec

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Subject
from harness.doctor.known import KernelRow, judge_kernel, judge_mes, judge_package, parse_kernel

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
        fix=_newer_kernel(facts) if row.wants_newer else row.fix,
        source=row.source,
    )


def _newer_kernel(facts: HostFacts) -> str:
    if "fedora" in facts.distribution:
        return "sudo dnf upgrade -y --refresh kernel  # then boot again"
    if "ubuntu" in facts.distribution:
        return "sudo apt update && sudo apt install -y linux-oem-24.04c  # on 24.04; then boot again"
    return "# install a kernel of 6.18.4 or later, and boot it"


def check_firmware(facts: HostFacts) -> tuple[Finding, ...]:
    """The scheduler firmware (MES): what is loaded counts; what is installed is what the next initramfs will load."""
    if not facts.has_strix_halo:
        return ()
    loaded, installed = _loaded(facts), _installed(facts)
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
            fix="sudo sh -c 'grep -w MES /sys/kernel/debug/dri/*/amdgpu_firmware_info'",
            source="https://github.com/ROCm/legacy-rocm-build/issues/5724",
        )
    row = judge_mes(version)
    if row is None:
        text, why = f"MES 0x{version:02x} is loaded: nothing is known of it", "known are 0x80 (good) and 0x83 (hangs)"
        return KERNEL.says("loaded firmware", "note", text, why=why)
    bad = row.status == "problem"
    return KERNEL.says(
        "loaded firmware",
        row.status,
        f"MES 0x{version:02x} is loaded: {row.says}",
        why="the initramfs carries it: install another, then build the initramfs of the kernel that boots" if bad else "",
        fix=_downgrade(facts) if bad else "",
        source=row.source,
    )


def _mes_version(facts: HostFacts) -> int | None:
    """Of the driver's own file, else of the debug table."""
    for card in facts.cards:
        match = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{1,8})", (card.mes.text or "").strip())
        if match and int(match[1], 16):
            return int(match[1], 16) & 0xFFF
    match = re.search(r"^MES feature version: \d+, firmware version: 0x([0-9a-fA-F]+)", facts.debug_firmware.text or "", re.M)
    return int(match[1], 16) & 0xFFF if match else None


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
    name = next(name for name in ("amd-gpu-firmware", "linux-firmware-amdgpu", *packages) if name in packages)
    text, row = f"{name} {packages[name]} is installed", judge_package(packages[name])
    if {"debian", "ubuntu"} & set(facts.distribution):
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
        fix=_downgrade(facts) if bad else "",
        source=row.source,
    )


def _downgrade(facts: HostFacts) -> str:
    if "fedora" in facts.distribution:
        return (
            "sudo dnf upgrade amd-gpu-firmware && sudo dracut --force --kver $(uname -r)  # 20260110 or later, then boot again"
        )
    if {"debian", "ubuntu"} & set(facts.distribution):
        return "sudo apt update && sudo apt install -y linux-firmware && sudo update-initramfs -u -k $(uname -r)  # then boot again"
    return "# install linux-firmware 20260110 or later, build the initramfs again, and boot it"


def check_module(facts: HostFacts) -> tuple[Finding, ...]:
    """The driver's origin and its parameters."""
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
                fix="sudo amdgpu-install --uninstall  # then boot again",
                source="https://github.com/ROCm/legacy-rocm-build/issues/5890",
            )
        )
    elif facts.amdgpu_is_loaded:
        found.append(KERNEL.says("amdgpu", "ok", "amdgpu is the kernel's own"))
    words = (facts.command_line.text or "").split()
    if any(word.startswith("amdgpu.gttsize=") for word in words):
        found.append(
            KERNEL.says(
                "gttsize",
                "warning",
                "amdgpu.gttsize is on the kernel's command line",
                why="it is deprecated; ttm.pages_limit alone sets the size",
                fix=remove_argument(facts, next(word for word in words if word.startswith("amdgpu.gttsize="))),
                source="https://github.com/ROCm/legacy-rocm-build/issues/5595",
            )
        )
    cwsr = (facts.parameters["amdgpu.cwsr_enable"].text or "").strip() if "amdgpu.cwsr_enable" in facts.parameters else ""
    if cwsr == "0":
        found.append(
            KERNEL.says(
                "cwsr_enable",
                "note",
                "amdgpu.cwsr_enable=0",
                why="a work-around for a kernel and a ROCm that disagree; it does not help against MES 0x83",
                source="https://github.com/ROCm/legacy-rocm-build/issues/5724",
            )
        )
    return tuple(found)


def remove_argument(facts: HostFacts, word: str) -> str:
    """How this distribution takes a word from the kernel's command line."""
    safe = word if re.fullmatch(r"[A-Za-z0-9_.=,:-]+", word) else word.partition("=")[0]
    if "fedora" in facts.distribution:
        return f"sudo grubby --update-kernel=ALL --remove-args={safe}"
    return f"sudoedit /etc/default/grub && sudo update-grub  # remove {safe}"


def add_argument(facts: HostFacts, word: str) -> str:
    """How this distribution adds a word to the kernel's command line."""
    if "fedora" in facts.distribution:
        return f"sudo grubby --update-kernel=ALL --args={word}"
    return f"sudoedit /etc/default/grub && sudo update-grub  # add {word} to GRUB_CMDLINE_LINUX_DEFAULT"
