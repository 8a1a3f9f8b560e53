"""This machine, as far as results depend on it. Read from files that need no privilege; no host or user name.

``root`` is where ``/proc``, ``/sys`` and ``/etc`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from harness.records import HostRecord


def describe_host(root: Path = Path("/")) -> HostRecord:
    """The fingerprint; what cannot be read is ``None``."""
    return HostRecord(
        kernel=platform.release(),
        distribution=_field(root / "etc/os-release", "PRETTY_NAME", "="),
        processor=_field(root / "proc/cpuinfo", "model name", ":"),
        processors=os.cpu_count(),
        memory_bytes=memory_bytes(root / "proc/meminfo"),
        gpus=_gpus(root),
    )


def _gpus(root: Path) -> tuple[str, ...]:
    """``vendor:device`` of each GPU's render node, with its gfx target where the KFD names one."""
    names = []
    for node in sorted((root / "sys/class/drm").glob("renderD*")):
        try:
            vendor = (node / "device/vendor").read_text().strip()
            device = (node / "device/device").read_text().strip()
        except OSError:
            continue
        names.append(f"{vendor}:{device}")
    targets = [_gfx_target(node) for node in sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties"))]
    return (*names, *(target for target in targets if target is not None))


def _gfx_target(properties: Path) -> str | None:
    """The target that a KFD node names; ``None`` for a processor's node, which has 0."""
    return gfx_name(_field(properties, "gfx_target_version", " ") or "")


def gfx_name(version: str) -> str | None:
    """``gfx1151`` of ``110501``; ``None`` for a processor's node."""
    if not _is_number(version) or int(version) == 0:
        return None
    return gfx_target(int(version))


def gfx_target(version: int) -> str:
    """``gfx1151`` of ``gfx_target_version 110501``: major, minor and stepping are two decimal digits each, the last two
    printed in hexadecimal (drivers/gpu/drm/amd/amdkfd/kfd_device.c)."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def memory_bytes(meminfo: Path) -> int | None:
    """The machine's memory; ``None`` where the file does not say."""
    total = _field(meminfo, "MemTotal", ":")
    words = (total or "").split()
    return int(words[0]) * 1024 if words and _is_number(words[0]) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _field(path: Path, key: str, separator: str) -> str | None:
    """The value of the first line ``key separator value``; ``None`` where there is none to read."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip().strip('"')
    return None
