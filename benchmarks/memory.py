"""What this process, its children and its container use of memory: meters by name, or why one cannot be read.

No meter stands for another: on a GPU with unified memory none of the first five need see what the GPU's runtime allocates,
and the container's count what the kernel keeps of files besides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from benchmarks import meter
from benchmarks.wire import MEMORY_METERS

SOURCES = {
    "resident_peak_bytes": "VmHWM of the guest's process",
    "tree_resident_peak_bytes": "VmHWM of the guest's process and of its children that live, summed; pages that they share count twice",
    "torch_allocated_peak_bytes": "torch.cuda.max_memory_allocated",
    "torch_reserved_peak_bytes": "torch.cuda.max_memory_reserved",
}


class Unavailable(Exception):  # noqa: N818 - it says what is so
    """A meter cannot be read here, and this is why."""


def read_meters(device: str, root: Path = Path("/")) -> dict[str, dict[str, object]]:
    """``memory`` (meter -> bytes), ``memory_sources`` (meter -> what was read) and ``memory_unavailable`` (meter -> why), of
    `MEMORY_METERS`: each is in the first two or in the last. ``root`` is where ``/proc`` and ``/sys`` are looked for."""
    torch = meter.torch_peaks(device)
    ask: dict[str, Callable[[], tuple[int | None, str]]] = {
        "resident_peak_bytes": lambda: (_field(root / "proc/self/status", "VmHWM"), SOURCES["resident_peak_bytes"]),
        "tree_resident_peak_bytes": lambda: (_tree_peak(root), SOURCES["tree_resident_peak_bytes"]),
        "cgroup_peak_bytes": lambda: _cgroup(root, "memory.peak", "memory.max_usage_in_bytes"),
        "cgroup_current_bytes": lambda: _cgroup(root, "memory.current", "memory.usage_in_bytes"),
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
                found["memory_unavailable"][name] = (
                    "torch has no such meter on a CPU" if "torch" in name else "the kernel does not say"
                )
            else:
                found["memory"][name], found["memory_sources"][name] = value, source
    return found


def descendants(root: Path = Path("/"), of: int | None = None) -> list[int]:
    """The living children of a process, of this one by default, and theirs."""
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


def _tree_peak(root: Path) -> int | None:
    """Sum of the peaks of this process and of those below it."""
    own = _field(root / "proc/self/status", "VmHWM")
    if own is None:
        return None
    below = (_field_if_alive(root / f"proc/{process}/status", "VmHWM") for process in descendants(root))
    return own + sum(value or 0 for value in below)


def _cgroup(root: Path, modern: str, old: str) -> tuple[int, str]:
    """A file of this process's cgroup, of version 2 or 1, and what it is called. Raises `Unavailable` where the cgroup is
    not this container's alone: its memory would be that of others too."""
    folder, version = _cgroup_folder(root)
    name = modern if version == 2 else old
    others = _others(folder, root)
    if others:
        raise Unavailable(f"the cgroup is shared with {others} other process(es): it is no container's of its own")
    if not (folder / name).exists():
        raise Unavailable(
            f"cgroup v{version} has no {name} here" + (": kernels before 5.19 have none" if name == "memory.peak" else "")
        )
    return int((folder / name).read_text()), f"{name} (cgroup v{version})"


def _cgroup_folder(root: Path) -> tuple[Path, int]:
    """Where this process's memory is accounted, and the version. Raises `Unavailable`."""
    mounts = root / "sys/fs/cgroup"
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        # Without a cgroup namespace the path is the host's, and the mount shows this container's folder as its top.
        tops = [mounts / "memory"] if "memory" in controllers.split(",") else [mounts] if not controllers else []
        for folder in (place for top in tops for place in (top / path.lstrip("/"), top)):
            if (folder / "memory.current").exists():
                return folder, 2
            if (folder / "memory.usage_in_bytes").exists():
                return folder, 1
    raise Unavailable("no cgroup that accounts memory is mounted here")


def _others(folder: Path, root: Path) -> int:
    """Processes of a cgroup that are neither this one, its children, nor the shell that started it."""
    own = {os.getpid(), os.getppid(), *descendants(root)}
    return sum(int(process) not in own for process in (folder / "cgroup.procs").read_text().split())


def _field_if_alive(path: Path, name: str) -> int | None:
    """``None`` where the process has just ended."""
    try:
        return _field(path, name)
    except OSError:
        return None


def _field(path: Path, name: str) -> int | None:
    """Bytes of a line such as ``VmHWM:  123 kB``; ``None`` where there is no such line."""
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None
