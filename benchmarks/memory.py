"""The memory that the passes of this process, its children and its container used: meters by name, or why one cannot be read.

No meter stands in for another. On a GPU with unified memory the first five may all miss what the GPU's runtime allocates, and the
container's meters also count the files that the kernel caches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from benchmarks import meter
from benchmarks.memory_files import field_bytes, find_cgroup
from benchmarks.wire import MEMORY_METERS

SOURCES = {
    "resident_peak_bytes": "VmHWM of the guest's process",
    "tree_resident_peak_bytes": "VmHWM of the guest's process and of its children that live, summed; pages that they share count twice",
    "torch_allocated_peak_bytes": "torch.cuda.max_memory_allocated",
    "torch_reserved_peak_bytes": "torch.cuda.max_memory_reserved",
}


class Unavailable(Exception):  # noqa: N818 - it states a fact
    """A meter cannot be read here, and this is why."""


def read_meters(device: str, root: Path = Path("/")) -> dict[str, dict[str, object]]:
    """``memory`` (meter -> bytes), ``memory_sources`` (meter -> what was read) and ``memory_unavailable`` (meter -> why). Each of
    `MEMORY_METERS` is in the first two or in the last. ``root`` is where ``/proc`` and ``/sys`` are looked for."""
    torch = meter.torch_peaks(device)
    ask: dict[str, Callable[[], tuple[int | None, str]]] = {
        "resident_peak_bytes": lambda: (field_bytes(root / "proc/self/status", "VmHWM"), SOURCES["resident_peak_bytes"]),
        "tree_resident_peak_bytes": lambda: (_tree_peak(root), SOURCES["tree_resident_peak_bytes"]),
        "cgroup_peak_bytes": lambda: _cgroup_bytes(root, peak=True),
        "cgroup_current_bytes": lambda: _cgroup_bytes(root, peak=False),
        "torch_allocated_peak_bytes": lambda: (torch["peak_allocated_bytes"], SOURCES["torch_allocated_peak_bytes"]),
        "torch_reserved_peak_bytes": lambda: (torch["peak_reserved_bytes"], SOURCES["torch_reserved_peak_bytes"]),
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
