"""Kernels and firmware that are known good or bad, from ``known_hosts.toml``. Pure but for reading that file."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import msgspec

from harness.doctor.finding import Status


class Kernel(msgspec.Struct, frozen=True):
    """A running kernel's version."""

    upstream: tuple[int, int, int]
    """Patch level -1 for a release candidate."""
    abi: int | None = None
    """Ubuntu's upload number: 1018 of 6.14.0-1018-oem."""
    flavour: str | None = None
    """One of `UBUNTU_FLAVOURS`; ``None``: another distribution's kernel."""
    guessed: bool = False
    """Whether the upstream patch level is not known: Ubuntu's releases all say 0."""


UBUNTU_FLAVOURS = (
    *("generic", "lowlatency", "oem", "realtime"),
    *("aws", "azure", "gcp", "gke", "gkeop", "ibm", "intel", "kvm", "nvidia", "oracle", "raspi", "xilinx"),
)
"""Ubuntu's names for its kernels, before ``-64k``, ``-fde`` and the like. Others write ``6.17.2-1-pve`` (Proxmox),
``6.17.9-2-cachyos``, ``6.17.8-1-default`` (openSUSE) or ``6.1.0-37-amd64`` (Debian 12) in much the same way."""


class KernelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """What is known about some kernels."""

    id: str
    topic: str
    since: str = "0.0"
    before: str | None = None
    flavour: str | None = None
    from_abi: int = 0
    before_abi: int = 1 << 30
    guessed: bool = False
    status: Status
    says: str
    why: str = ""
    fix: str = ""
    wants_newer: bool = False
    """Whether a newer kernel is what helps."""
    source: str


class FirmwareRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known about a loaded scheduler firmware."""

    mes: int
    status: Status
    says: str
    source: str


class PackageRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """What is known about linux-firmware of some dates, ``yyyymmdd``."""

    since: int
    before: int = 99999999
    distribution: str = ""
    """Whose date it is; empty: upstream's."""
    status: Status
    says: str
    source: str


class KnownHosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    kernel: tuple[KernelRow, ...]
    firmware: tuple[FirmwareRow, ...]
    package: tuple[PackageRow, ...]


@cache
def known_hosts() -> KnownHosts:
    """The shipped table."""
    text = (Path(__file__).parent / "known_hosts.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), KnownHosts)


def parse_kernel(release: str, ubuntu_signature: str | None = None) -> Kernel | None:
    """The version in a name like ``6.18.5-200.fc43.x86_64`` or ``6.17.0-14-generic``; ``None`` where there is none.

    Ubuntu gives every kernel the patch level 0; the upstream version is the last word of /proc/version_signature. The name decides
    whether it is Ubuntu's, not the distribution: in a container the kernel is the host's.
    """
    match = re.match(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", release)
    if match is None:
        return None
    major, minor, patch = int(match[1]), int(match[2]), int(match[3] or 0)
    if re.search(r"-rc\d", release):
        return Kernel((major, minor, -1))
    # Ubuntu's builds of upstream kernels have a number that begins with 0, 6.17.8-061708-generic: these say what they are.
    ubuntu = re.fullmatch(r"\d+\.\d+\.0-([1-9]\d{0,5})-([a-z]+)((?:-[a-z0-9]+)*)", release)
    if ubuntu is None or ubuntu[2] not in UBUNTU_FLAVOURS:
        return Kernel((major, minor, patch))
    abi, flavour = int(ubuntu[1]), ubuntu[2] + ubuntu[3]
    signed = re.search(r"\s(\d{1,4})\.(\d{1,4})\.(\d{1,4})\s*$", ubuntu_signature or "")
    if signed is not None:
        return Kernel((int(signed[1]), int(signed[2]), int(signed[3])), abi, flavour)
    return Kernel((major, minor, patch), abi, flavour, guessed=True)


def judge_kernel(kernel: Kernel, topic: str) -> KernelRow | None:
    """The first row of a topic that fits."""
    return next((row for row in known_hosts().kernel if row.topic == topic and _fits(row, kernel)), None)


def _fits(row: KernelRow, kernel: Kernel) -> bool:
    if row.guessed and not kernel.guessed:
        return False
    if row.flavour is not None and (row.flavour != kernel.flavour or not row.from_abi <= (kernel.abi or 0) < row.before_abi):
        return False
    return _bound(row.since) <= kernel.upstream and (row.before is None or kernel.upstream < _bound(row.before))


def _bound(version: str) -> tuple[int, int, int]:
    """The first kernel of a version: release candidates of 6.18 come before 6.18.0, and yet the rows of 6.18 hold for them."""
    parts = [int(part) for part in version.split(".")]
    return (parts[0], parts[1], parts[2] if len(parts) > 2 else -1)


def judge_mes(version: int) -> FirmwareRow | None:
    """What is known about a loaded firmware."""
    return next((row for row in known_hosts().firmware if row.mes == version), None)


def judge_package(version: str, distribution: str = "") -> PackageRow | None:
    """What is known about a package's version, by the date at its beginning. ``distribution``: one that gives dates of its own."""
    match = re.match(r"(?:\d+:)?(20\d{6})(?!\d)", version)
    if match is None:
        return None
    rows = (row for row in known_hosts().package if row.distribution == distribution)
    return next((row for row in rows if row.since <= int(match[1]) < row.before), None)
