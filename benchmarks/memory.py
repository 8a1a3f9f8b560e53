"""The memory that the passes of this process, its children and its container used: meters by name, or why one cannot be read.

No meter stands in for another. On a GPU with unified memory the first five may all miss what the GPU's runtime allocates, and the
container's meters also count the files that the kernel caches. ``root`` is where ``/proc`` and ``/sys`` are looked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.wire import MEMORY_METERS

_OF_TREE = "VmHWM of the guest's process and of its children that live, summed; pages that they share count twice"


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


class Unavailable(Exception):  # noqa: N818 - it states a fact
    """A meter cannot be read here, and this is why."""


def read_meters(device: str, root: Path = Path("/")) -> dict[str, dict[str, object]]:
    """``memory`` (meter -> bytes), ``memory_sources`` (meter -> what was read) and ``memory_unavailable`` (meter -> why). Each of
    `MEMORY_METERS` is in the first two or in the last."""
    torch = torch_peaks(device)
    ask: dict[str, Callable[[], tuple[int | None, str]]] = {
        "resident_peak_bytes": lambda: (field_bytes(root / "proc/self/status", "VmHWM"), "VmHWM of the guest's process"),
        "tree_resident_peak_bytes": lambda: (_tree_peak(root), _OF_TREE),
        "cgroup_peak_bytes": lambda: _cgroup_bytes(root, peak=True),
        "cgroup_current_bytes": lambda: _cgroup_bytes(root, peak=False),
        "torch_allocated_peak_bytes": lambda: (torch["peak_allocated_bytes"], "torch.cuda.max_memory_allocated"),
        "torch_reserved_peak_bytes": lambda: (torch["peak_reserved_bytes"], "torch.cuda.max_memory_reserved"),
    }
    found: dict[str, dict[str, object]] = {"memory": {}, "memory_sources": {}, "memory_unavailable": {}}
    for name in MEMORY_METERS:
        try:
            value, source = ask[name]()
        except Unavailable as unavailable:
            found["memory_unavailable"][name] = str(unavailable)
        except (OSError, ValueError) as error:
            found["memory_unavailable"][name] = f"{type(error).__name__}: {error}"
        else:
            if value is None:
                found["memory_unavailable"][name] = "torch has no such meter on a CPU"
            else:
                found["memory"][name], found["memory_sources"][name] = value, source
    return found


def peak_resident_bytes(status: str = "/proc/self/status") -> int | None:
    """This process's peak resident memory in bytes; ``None`` where the kernel does not say.

    It is read from ``VmHWM``, since ``ru_maxrss`` is inherited over exec and may be the parent's
    (getrusage(2); proc_pid_status(5)).
    """
    try:
        return field_bytes(Path(status), "VmHWM")
    except (OSError, ValueError):
        return None


def torch_peaks(device: str) -> dict[str, int | None]:
    """Peak bytes that torch's allocator handed out and reserved on the device; ``None`` on a CPU, which has no such meter."""
    if device == "cpu":
        return {"peak_allocated_bytes": None, "peak_reserved_bytes": None}
    import torch

    return {
        "peak_allocated_bytes": int(torch.cuda.max_memory_allocated()),
        "peak_reserved_bytes": int(torch.cuda.max_memory_reserved()),
    }


def descendants(root: Path = Path("/"), of: int | None = None) -> list[int]:
    """The living children of a process (of this one by default), and their children in turn."""
    children: dict[int, list[int]] = {}
    for stat in (root / "proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold anything, also parentheses (proc_pid_stat(5)).
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found, waiting = [], [os.getpid() if of is None else of]
    while waiting:
        below = children.pop(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _tree_peak(root: Path) -> int:
    """The sum of the peaks of this process and of those below it."""
    own = field_bytes(root / "proc/self/status", "VmHWM")
    return own + sum(_peak_if_alive(root / f"proc/{process}/status") for process in descendants(root))


def _peak_if_alive(status: Path) -> int:
    """A process's peak; 0 where it has just ended."""
    try:
        return field_bytes(status, "VmHWM")
    except (OSError, ValueError):
        return 0


def _cgroup_bytes(root: Path, *, peak: bool) -> tuple[int, str]:
    """A meter of this process's cgroup, and its name. Raises `Unavailable` where the cgroup is not this container's alone: its
    memory would include that of others."""
    cgroup = find_cgroup(root)
    if cgroup is None:
        raise Unavailable("no cgroup that accounts memory is mounted here")
    path, version = cgroup.peak if peak else cgroup.current, f"cgroup v{cgroup.version}"
    shared = why_shared(cgroup.folder, root)
    if shared:
        raise Unavailable(shared)
    if not path.exists():
        since = ": kernels before 5.19 have none" if path.name == "memory.peak" else ""
        raise Unavailable(f"{version} has no {path.name} here{since}")
    return int(path.read_text()), f"{path.name} ({version})"


def why_shared(folder: Path, root: Path = Path("/")) -> str:
    """Why a cgroup's memory is not this process's alone: processes in it are neither this one, its children, nor the shell that
    started it. Empty: it is its own. Raises OSError and ValueError."""
    own = {os.getpid(), os.getppid(), *descendants(root)}
    if any(int(process) not in own for process in (folder / "cgroup.procs").read_text().split()):
        return "the cgroup is shared with other processes: it is no container's of its own"
    # Only version 1's root has this file (kernel/cgroup/cgroup-v1.c). Where it is seen, the whole host's tree is mounted, as in a
    # rootless container without a cgroup of its own, which does not see the processes beside it.
    whole = (root / "sys/fs/cgroup/memory/cgroup.sane_behavior").exists()
    return "the host's whole tree of cgroups is mounted here: who else is in this one cannot be seen" if whole else ""


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
