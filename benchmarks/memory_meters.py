"""The memory meters that a process inside an image can read, each under a name that carries its unit.

None of them is trusted here: `benchmarks.workloads.calibrate` moves a known number of bytes, and the host says which meters
followed.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path

from benchmarks.memory import Cgroup, field_bytes, find_cgroup, top_cgroup, why_shared

Read = Callable[[], int]


class Meters:
    """The meters that can be read here, found once; see ``sources`` and ``unavailable``."""

    def __init__(self, device: str, root: Path = Path("/")) -> None:
        self._reads: dict[str, Read] = {}
        self.sources: dict[str, str] = {}
        """Meter -> the file or call that is read"""
        self.unavailable: dict[str, str] = {}
        """Meter -> why it could not be read"""
        status = root / "proc/self/status"
        self._offer("vm_rss_bytes", "/proc/self/status VmRSS", lambda: field_bytes(status, "VmRSS"))
        self._offer("vm_hwm_bytes", "/proc/self/status VmHWM", lambda: field_bytes(status, "VmHWM"))
        cgroup = _cgroup(root)
        for meter, path in (("cgroup_current_bytes", cgroup.current), ("cgroup_peak_bytes", cgroup.peak)):
            # Not the whole path: the folders of a user's session or a cloud's machine are private.
            self._offer(meter, f"{path.name} (cgroup v{cgroup.version})", _own_reader(path, root))
        for meter, (source, read) in _torch_reads().items():
            if device == "cpu":
                self.unavailable[meter] = "torch counts no memory of a CPU"
            else:
                self._offer(meter, source, read)

    def read(self) -> dict[str, int]:
        """The value of each meter; one that cannot be read just now is left out."""
        found = {}
        for meter, read in self._reads.items():
            try:
                found[meter] = read()
            except (OSError, ValueError, RuntimeError) as error:
                self.unavailable[meter] = _reason(error)
        return found

    def _offer(self, meter: str, source: str, read: Read) -> None:
        """Add a meter if it can be read now, or the reason why not."""
        try:
            read()
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            self.unavailable[meter] = f"{source}: {_reason(error)}"
        else:
            self._reads[meter], self.sources[meter] = read, source


def room_bytes(device: str, root: Path = Path("/")) -> tuple[int, str]:
    """How much could be allocated on the device, and which meter says so: the smallest of its bounds."""
    bounds: list[tuple[int, str]] = []
    shares_memory = True
    if device != "cpu":
        import torch

        bounds.append((int(torch.cuda.mem_get_info()[0]), "torch.cuda.mem_get_info"))
        # A GPU with memory of its own is not bound by the host's; torch before 2.3 does not tell which kind it is.
        shares_memory = bool(getattr(torch.cuda.get_device_properties(0), "is_integrated", False))
    if shares_memory:
        bounds += _host_bounds(root)
    return min(bounds, default=(0, "nothing that can be read"))


def _host_bounds(root: Path) -> list[tuple[int, str]]:
    """The bounds on this process in the host's memory; a bound that cannot be read is left out."""
    bounds = []
    with contextlib.suppress(OSError, ValueError):
        bounds.append((field_bytes(root / "proc/meminfo", "MemAvailable"), "MemAvailable"))
    cgroup = _cgroup(root)
    with contextlib.suppress(OSError, ValueError):  # "max" means that there is none
        left = int(cgroup.limit.read_text()) - int(cgroup.current.read_text())
        bounds.append((max(0, left), "the cgroup's limit"))
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            bounds.append((max(0, most - field_bytes(root / "proc/self/status", "VmSize")), "the limit of address space"))
    return bounds


def _torch_reads() -> dict[str, tuple[str, Read]]:
    """torch's own meters, which exist on a GPU. A free value above the total, as ROCm reports for an APU, is left as it is."""

    def cuda(name: str) -> Read:
        def read() -> int:
            import torch

            found = getattr(torch.cuda, name)()
            return int(found[0] if isinstance(found, tuple) else found)

        return read

    calls = {
        "torch_allocated_bytes": "memory_allocated",
        "torch_reserved_bytes": "memory_reserved",
        "torch_peak_reserved_bytes": "max_memory_reserved",
        "device_free_bytes": "mem_get_info",
    }
    return {meter: (f"torch.cuda.{name}", cuda(name)) for meter, name in calls.items()}


def _cgroup(root: Path) -> Cgroup:
    """This process's cgroup, even if it is shared, since it bounds this process all the same. Where none is known it is the top,
    so that its meters say which file is missing."""
    try:
        return find_cgroup(root) or top_cgroup(root)
    except OSError:
        return top_cgroup(root)


def _own_reader(path: Path, root: Path) -> Read:
    """A reader of a cgroup's meter. It raises while anybody else is in the cgroup, as `benchmarks.memory` does for the passes."""

    def read() -> int:
        value = int(path.read_text())
        shared = why_shared(path.parent, root)
        if shared:
            raise ValueError(shared)
        return value

    return read


def _reason(error: Exception) -> str:
    """Why, in one line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:200] or type(error).__name__
