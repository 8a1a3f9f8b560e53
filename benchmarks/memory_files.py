"""Where the kernel reports memory: the fields of ``/proc/.../status``, and the files of a cgroup in either version.

``root`` is where ``/proc`` and ``/sys`` are looked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Cgroup(NamedTuple):
    """Where the memory of a process is accounted: a folder, and the version that names its files."""

    folder: Path
    version: int

    @property
    def current(self) -> Path:
        return self.folder / ("memory.current" if self.version == 2 else "memory.usage_in_bytes")

    @property
    def peak(self) -> Path:
        """The file of the peak; version 2 has it since Linux 5.19."""
        return self.folder / ("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")

    @property
    def limit(self) -> Path:
        return self.folder / ("memory.max" if self.version == 2 else "memory.limit_in_bytes")


def field_bytes(path: Path, field: str) -> int:
    """A field of /proc/self/status or /proc/meminfo, in bytes. Raises OSError, and ValueError where the field is missing."""
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"the kernel tells no {field}")


def top_cgroup(root: Path) -> Cgroup:
    """The top of version 2's tree, which a container sees as its own cgroup."""
    return Cgroup(root / "sys/fs/cgroup", 2)


def find_cgroup(root: Path) -> Cgroup | None:
    """This process's own cgroup; ``None`` where no cgroup that accounts memory is mounted. Raises OSError.

    /proc/self/cgroup names it by a path that a container may not see; there its own is the top of the mounted tree
    (https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/memory.html).
    """
    parts = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines() if line.count(":") >= 2]
    paths = {controller: path.lstrip("/") for _, controllers, path in parts for controller in controllers.split(",")}
    v2, v1 = top_cgroup(root), Cgroup(root / "sys/fs/cgroup/memory", 1)
    for controller, top in (("", v2), ("memory", v1)):
        if controller in paths:
            for found in (top._replace(folder=top.folder / paths[controller]), top):
                if found.current.is_file():
                    return found
    return None
