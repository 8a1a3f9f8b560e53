"""Installed versions of the packages that carry the GPU's firmware."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from harness.engines.about import rpm_versions

FIRMWARE = ("amd-gpu-firmware", "linux-firmware", "linux-firmware-amdgpu", "firmware-amd-graphics", "amdgpu-dkms-firmware")
"""Fedora; Ubuntu, Arch and older Fedora; Arch; Debian; AMD's driver from outside the kernel."""

_MOST_DATABASE_BYTES = 64 << 20


def read_packages(root: Path) -> dict[str, str] | None:
    """Name -> version, of dpkg, pacman or rpm; ``None`` where there is none of them or it cannot be read."""
    try:
        if (root / "var/lib/dpkg/status").is_file():
            with (root / "var/lib/dpkg/status").open("rb") as stream:
                return dpkg_versions(stream.read(_MOST_DATABASE_BYTES).decode(errors="replace"))
        if (root / "var/lib/pacman/local").is_dir():
            return pacman_versions(path.name for path in (root / "var/lib/pacman/local").iterdir())
    except OSError:
        return None
    databases = ("usr/lib/sysimage/rpm", "var/lib/rpm")
    return rpm_versions(FIRMWARE) if any(os.path.isdir(root / folder) for folder in databases) else None


def dpkg_versions(status: str) -> dict[str, str]:
    """Of dpkg's status file; what was removed and left its settings does not count."""
    found: dict[str, str] = {}
    for name in FIRMWARE:
        match = re.search(rf"^Package: {re.escape(name)}\n((?:[^\n]+\n)*)", status, re.MULTILINE)
        if match and re.search(r"^Status: \S+ \S+ installed$", match[1], re.MULTILINE):
            version = re.search(r"^Version: (\S+)$", match[1], re.MULTILINE)
            found |= {name: version[1]} if version else {}
    return found


def pacman_versions(folders: Iterable[str]) -> dict[str, str]:
    """Of the folders' names, ``name-version-release``."""
    parts = [folder.rsplit("-", 2) for folder in folders]
    return {part[0]: f"{part[1]}-{part[2]}" for part in parts if len(part) == 3 and part[0] in FIRMWARE}
