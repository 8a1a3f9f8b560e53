"""Installed versions of packages, above all of those that carry the GPU's firmware. dpkg and pacman are read from their text
files; rpm's database is not text, so rpm is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.errors import HostError
from harness.tools import read_output

FIRMWARE = (
    "amd-gpu-firmware",  # Fedora
    "linux-firmware-amdgpu",  # Arch
    "linux-firmware-amd-graphics",  # Ubuntu, since it split the package in 24.04 and 26.04
    "kernel-firmware-amdgpu",  # openSUSE
    "firmware-amd-graphics",  # Debian
    "pve-firmware",  # Proxmox VE
    "linux-firmware",  # Ubuntu before, older Fedora, Arch before
    "amdgpu-dkms-firmware",  # AMD's driver from outside the kernel
)
"""The most specific first; AMD's own, which is installed beside a distribution's, last."""

RPM_FOLDERS = ("usr/lib/sysimage/rpm", "var/lib/rpm")
RPM_TIMEOUT_SECONDS = 3.0
"""It answers in some milliseconds; one that waits for a locked database is not waited for."""

_MOST_DATABASE_BYTES = 64 << 20

Ask = Callable[[tuple[str, ...]], str]
"""What a program prints. Raises `HostError`."""


def ask_rpm(query: tuple[str, ...]) -> str:
    return read_output(query, timeout_seconds=RPM_TIMEOUT_SECONDS)


def installed_versions(root: Path, names: tuple[str, ...] = FIRMWARE, *, ask: Ask = ask_rpm) -> dict[str, str] | None:
    """Name -> version by dpkg, pacman or rpm, the first that knows one; ``None`` where none of them is here, or the one that is
    does not answer. Fedora may have a dpkg beside its rpm."""
    found: dict[str, str] | None = None
    try:
        if (root / "var/lib/dpkg/status").is_file():
            with (root / "var/lib/dpkg/status").open("rb") as stream:
                found = dpkg_versions(stream.read(_MOST_DATABASE_BYTES).decode(errors="replace"), names)
        if not found and (root / "var/lib/pacman/local").is_dir():
            found = pacman_versions((path.name for path in (root / "var/lib/pacman/local").iterdir()), names)
        folder = next((root / folder for folder in RPM_FOLDERS if (root / folder).is_dir()), None)
        return found if found or folder is None else rpm_versions(folder, names, ask=ask)
    except (OSError, HostError):
        return found


def dpkg_versions(status: str, names: Iterable[str] = FIRMWARE) -> dict[str, str]:
    """The versions in dpkg's status file; a removed package that left its settings does not count."""
    found: dict[str, str] = {}
    for name in names:
        # Not by an expression over the whole file, which has megabytes.
        _, is_there, rest = f"\n{status}".partition(f"\nPackage: {name}\n")
        fields = rest[: rest.find("\n\n") + 1 or None] if is_there else ""
        if re.search(r"^Status: \S+ \S+ installed$", fields, re.MULTILINE):
            version = re.search(r"^Version: (\S+)$", fields, re.MULTILINE)
            found |= {name: version[1]} if version else {}
    return found


def pacman_versions(folders: Iterable[str], names: Iterable[str] = FIRMWARE) -> dict[str, str]:
    """The versions in the names of pacman's folders, ``name-version-release``."""
    parts = [folder.rsplit("-", 2) for folder in folders]
    return {part[0]: f"{part[1]}-{part[2]}" for part in parts if len(part) == 3 and part[0] in names}


def rpm_versions(folder: Path, names: tuple[str, ...], *, ask: Ask) -> dict[str, str]:
    """The versions that rpm tells from the database in a folder. Raises `HostError`.

    A package that is not installed is a sentence on stdout and counts into the exit status, as tried with rpm 4.18.
    """
    answer = ask(("rpm", "--dbpath", str(folder), "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n", *names))
    rows = (re.fullmatch(r"(\S+) ([A-Za-z0-9._+~^-]{1,200})", line) for line in answer.splitlines())
    return {row[1]: row[2] for row in rows if row and row[1] in names}
