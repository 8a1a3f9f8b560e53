"""Installed versions of the packages that carry the GPU's firmware, read from the databases' files: nothing is started."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

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
"""The most particular first; AMD's own, which comes beside a distribution's, last."""

RPM_FOLDERS = ("usr/lib/sysimage/rpm", "var/lib/rpm")

_MOST_DATABASE_BYTES = 64 << 20
_MOST_HEADER_ENTRIES = 10_000

_RPM_TAGS = {1000: "name", 1001: "version", 1002: "release"}
"""https://github.com/rpm-software-management/rpm/blob/master/include/rpm/rpmtag.h"""


def packages_in_files(root: Path) -> dict[str, str] | None:
    """Name -> version, of dpkg, pacman or rpm's SQLite database; ``None`` where none of them is here and can be read."""
    if (found := packages_in_texts(root)) is not None:
        return found
    databases = (root / folder / "rpmdb.sqlite" for folder in RPM_FOLDERS)
    return next((rpm_database_versions(path) for path in databases if path.is_file()), None)


def packages_in_texts(root: Path) -> dict[str, str] | None:
    """Name -> version, of dpkg or pacman; ``None`` where neither is here and can be read."""
    try:
        if (root / "var/lib/dpkg/status").is_file():
            with (root / "var/lib/dpkg/status").open("rb") as stream:
                return dpkg_versions(stream.read(_MOST_DATABASE_BYTES).decode(errors="replace"))
        if (root / "var/lib/pacman/local").is_dir():
            return pacman_versions(path.name for path in (root / "var/lib/pacman/local").iterdir())
    except OSError:
        pass
    return None


def dpkg_versions(status: str) -> dict[str, str]:
    """Of dpkg's status file; what was removed and left its settings does not count."""
    found: dict[str, str] = {}
    for name in FIRMWARE:
        # Not by an expression over the whole file, which has megabytes.
        _, is_there, rest = f"\n{status}".partition(f"\nPackage: {name}\n")
        fields = rest[: rest.find("\n\n") + 1 or None] if is_there else ""
        if re.search(r"^Status: \S+ \S+ installed$", fields, re.MULTILINE):
            version = re.search(r"^Version: (\S+)$", fields, re.MULTILINE)
            found |= {name: version[1]} if version else {}
    return found


def pacman_versions(folders: Iterable[str]) -> dict[str, str]:
    """Of the folders' names, ``name-version-release``."""
    parts = [folder.rsplit("-", 2) for folder in folders]
    return {part[0]: f"{part[1]}-{part[2]}" for part in parts if len(part) == 3 and part[0] in FIRMWARE}


def rpm_database_versions(database: Path) -> dict[str, str] | None:
    """Of rpm's SQLite database, as Fedora has it; ``None`` where it is not one that we understand.

    A table ``Name`` leads to rows of ``Packages``, whose blob is a package's header
    (https://rpm.org/docs/latest/manual/format_header.html). Tried on a database that rpm 4.18 wrote.
    """
    import sqlite3  # 4 ms of each `--dry-run`, on hosts that have no such database, too

    marks = ", ".join("?" for _ in FIRMWARE)
    query = f"SELECT blob FROM Packages WHERE hnum IN (SELECT hnum FROM Name WHERE key IN ({marks}))"  # noqa: S608 - ours
    try:
        # Immutable: without it SQLite wants to write its shared memory beside the file, which is root's.
        connection = sqlite3.connect(f"file:{quote(str(database))}?mode=ro&immutable=1", uri=True, timeout=0.5)
        try:
            headers = [header_texts(blob) for (blob,) in connection.execute(query, FIRMWARE) if isinstance(blob, bytes)]
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    whole = [header for header in headers if len(header) == len(_RPM_TAGS)]
    return {header["name"]: f"{header['version']}-{header['release']}" for header in whole}


def header_texts(blob: bytes) -> dict[str, str]:
    """Name, version and release of an rpm header: two counts, an index of (tag, type, offset, count), then the data."""
    if len(blob) < 8:
        return {}
    entries, data_bytes = struct.unpack_from(">II", blob)
    data_begins = 8 + 16 * entries
    if entries > _MOST_HEADER_ENTRIES or len(blob) < data_begins + data_bytes:
        return {}
    found = {}
    for tag, kind, offset, _count in struct.iter_unpack(">IIII", blob[8:data_begins]):
        if tag in _RPM_TAGS and kind == 6 and offset < data_bytes:  # 6: a text that ends in a zero
            text = blob[data_begins + offset :].partition(b"\0")[0]
            found[_RPM_TAGS[tag]] = text.decode(errors="replace")
    return found
