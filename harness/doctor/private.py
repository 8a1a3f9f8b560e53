"""What is taken out of a text for a public place: names of people and machines, paths, addresses, serial numbers. Pure.

The report takes in few free texts (what an engine answered, what a check found); this is the net below them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import msgspec

REMOVED = "[removed]"
REMOVED_PATH = "[path]"

COMMON_NAMES = frozenset(
    (
        *("root", "user", "admin", "test", "host", "localhost", "local", "linux", "server", "desktop", "podman", "docker"),
        *("amd", "amdgpu", "nvidia", "gpu", "strix", "halo", "strixbench", "framework", "fedora", "ubuntu", "debian", "arch"),
        *("archlinux", "opensuse", "proxmox", "pve", "bazzite", "cachyos", "nixos", "video", "render", "kernel", "engine"),
    )
)
"""Names that many users and machines have. They identify nobody, and are words of the report itself."""

_KNOWN_PATHS = ("/dev", "/proc", "/sys", "/etc", "/usr", "/lib", "/boot", "/opt/rocm", "/var/run", "/run/podman", "/var/lib")
"""Folders that every machine has. What is below /run/user, /home, /mnt or anywhere else is private."""

_PATH = re.compile(r"(?<![\w:/.~\]])(?:~(?=[A-Za-z/])|/(?=[\w.~@-]))[\w.@+~=,%:/-]*[\w/]")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+")

_PATTERNS = (
    # UUIDs, with or without their dashes, and other long hexadecimal numbers: ids of disks, machines, containers, images.
    re.compile(r"(?i)\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"),
    re.compile(r"(?i)\b(?:0x)?(?=[0-9a-f]*[0-9])[0-9a-f]{16,}\b"),
    re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:])"),  # MAC
    # IPv4. A version with four numbers has the sign of a version after it, or a name and a dash before it.
    re.compile(r"(?<![\w.+-])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w+-]|\.\w)"),
    re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}(?:[0-9a-f]{1,4}|:)(?![\w:])"),  # IPv6; a PCI address has two colons
    re.compile(r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,5})?::[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,5}(?![\w:])"),
    re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),  # a mail address, or a login
    re.compile(r"\b(?:hf|ghp|gho|ghs|sk|glpat|github_pat)[_-][A-Za-z0-9_-]{8,}"),  # tokens
)


class Private(msgspec.Struct, frozen=True):
    """What is private on this host, besides what is private everywhere."""

    names: tuple[str, ...] = ()
    """The names of the machine and of its user."""
    familiar: tuple[str, ...] = ()
    """Words of the hardware and the system: ``MAX`` taken out of a processor's name would tell that the user is called Max."""
    paths: tuple[str, ...] = ()
    """Folders that may have blanks in their names, so that no pattern finds their ends."""

    def without(self, text: str) -> str:
        """The text without what is private, on one line and without characters that command a terminal."""
        text = "".join(sign if sign.isprintable() else " " for sign in text).replace("`", "'")
        for folder in sorted(_with_blanks(self.paths), key=len, reverse=True):
            text = re.sub(rf"{re.escape(folder)}(?:/[^\s:;]*)?", REMOVED_PATH, text)
        text = _ADDRESS.sub(lambda found: _address(found[0]), text)
        text = _PATH.sub(lambda found: found[0] if _is_known(found[0]) else REMOVED_PATH, text)
        for pattern in _PATTERNS:
            text = pattern.sub(REMOVED, text)
        familiar = {word.lower() for told in self.familiar for word in re.findall(r"\w+", told)}
        for name in sorted(_telling(self.names), key=len, reverse=True):
            if name.lower() not in familiar:
                text = re.sub(rf"(?i)(?<![^\W_]){re.escape(name)}(?![^\W_])", REMOVED, text)
        return " ".join(text.split())


def _with_blanks(paths: Iterable[str]) -> set[str]:
    """Those of the folders and of their parents whose end no pattern finds."""
    folders = {str(folder) for path in paths for folder in (PurePosixPath(path), *PurePosixPath(path).parents)}
    return {folder for folder in folders if " " in folder}


def _telling(names: Iterable[str]) -> set[str]:
    """The names that could identify somebody, and the first part of a full host name."""
    parts = {part for name in names for part in (name, name.partition(".")[0])}
    return {part for part in parts if len(part) > 1 and part.lower() not in COMMON_NAMES}


def _is_known(path: str) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in _KNOWN_PATHS)


def _address(text: str) -> str:
    """The address if it is that of a public page: any other may be somebody's machine."""
    return text if re.match(r"https://(?:github\.com|huggingface\.co)/", text) else REMOVED
