"""Whether this system runs inside a container, whose kernel, firmware and device nodes belong to another system.

``root`` is where ``/proc`` and ``/run`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.machine.files import read_file, whole_number

OVERFLOW_GROUP = 65534
"""The kernel's default of /proc/sys/kernel/overflowgid."""


class Enclosure(msgspec.Struct, frozen=True, kw_only=True):
    """The container that this process runs in, if any."""

    container: str = ""
    """``lxc``, ``docker``, ``podman`` ...; empty: no sign of one."""
    is_on_proxmox: bool = False
    """Whether the kernel is Proxmox VE's: that of this system, or of the host around it."""
    unmapped_group: int | None = None
    """The number shown for a file's group that this user namespace does not map; ``None``: it maps every group."""

    @property
    def host(self) -> str:
        """How advice calls the system outside."""
        return "the Proxmox host" if self.is_on_proxmox else "the host"


def find_enclosure(root: Path = Path("/")) -> Enclosure:
    """The enclosure of this process."""
    kernel = read_file(root / "proc/sys/kernel/osrelease").text or ""
    return Enclosure(
        container=_container(root),
        is_on_proxmox=kernel.strip().endswith("-pve"),
        unmapped_group=_unmapped_group(root),
    )


def how_to_map(enclosure: Enclosure, nodes: Sequence[str], group: int | None) -> str:
    """What the container's configuration needs so that its processes may open these nodes of the host.

    ``group`` is the number of ``render`` in here; ``None``: there is no such group. For Proxmox: pct.conf(5); for LXC:
    lxc.container.conf(5).
    """
    number = "NUMBER" if group is None else str(group)
    hint = "" if group is not None else " (NUMBER: that of a group in here that the engine's user is in)"
    if enclosure.container != "lxc":
        return (
            f"start the outer container with the groups that own {_and(nodes)}, by their numbers or `--group-add keep-groups`"
        )
    if enclosure.is_on_proxmox:
        lines = _and([f"`dev{at}: {node},gid={number}`" for at, node in enumerate(nodes)])
        return f"in /etc/pve/lxc/ID.conf put {lines} in place of their lxc.mount.entry, then `pct reboot ID`{hint}"
    mounts = [f"`lxc.mount.entry = {node} {node.removeprefix('/')} none bind,optional,create=file`" for node in nodes]
    return (
        f"in the container's configuration put {_and(mounts)}, and map the host's group that owns them: "
        f"`lxc.idmap = g {number} HOST_NUMBER 1` between the ranges before and after it, with `root:HOST_NUMBER:1` in "
        f"/etc/subgid{hint}"
    )


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _container(root: Path) -> str:
    """The container's kind, by the signs of https://systemd.io/CONTAINER_INTERFACE/ in its order, then by those that need no systemd."""
    told = (read_file(root / "run/systemd/container").text or "").split()
    if told:
        return told[0]
    variable = re.search(r"(?:^|\0)container=([\w.-]{1,40})", read_file(root / "proc/1/environ").text or "")
    if variable:
        return variable[1]
    for name, file in (("docker", ".dockerenv"), ("podman", "run/.containerenv")):
        if (root / file).exists():
            return name
    group = re.search(r"/(lxc|docker|libpod)[./-]", read_file(root / "proc/1/cgroup").text or "")
    if group:
        return {"libpod": "podman"}.get(group[1], group[1])
    # A host of containers mounts lxcfs below /var/lib; in a container it lies over files of /proc.
    mounts = read_file(root / "proc/self/mountinfo").text or ""
    return "lxc" if re.search(r"(?m)^(?:\S+ ){4}/proc/\w+ .* - fuse\.lxcfs ", mounts) else ""


def _unmapped_group(root: Path) -> int | None:
    """See `Enclosure.unmapped_group`. The first namespace's map is ``0 0 4294967295`` (user_namespaces(7))."""
    rows = (read_file(root / "proc/self/gid_map").text or "").split()
    if not rows or rows == ["0", "0", "4294967295"]:
        return None
    told = whole_number((read_file(root / "proc/sys/kernel/overflowgid").text or "").strip())
    return OVERFLOW_GROUP if told is None else told
