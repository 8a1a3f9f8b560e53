"""The meters of memory that a process inside an image can read, each under a name that carries its unit.

None is believed here: `benchmarks.calibrate` moves a known number of bytes, and the host says which meters followed.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path

from benchmarks.memory import why_shared
from benchmarks.memory_files import Cgroup, field_bytes, find_cgroup, top_cgroup

Read = Callable[[], int]


class Meters:
    """What can be read here, found once; see ``sources`` and ``unavailable``."""

    def __init__(self, device: str, root: Path = Path("/")) -> None:
        self._reads: dict[str, Read] = {}
        self.sources: dict[str, str] = {}
        """Meter -> the file or call that it is"""
        self.unavailable: dict[str, str] = {}
        """Meter -> why it could not be read"""
        status = root / "proc/self/status"
        self._offer("vm_rss_bytes", "/proc/self/status VmRSS", lambda: field_bytes(status, "VmRSS"))
        self._offer("vm_hwm_bytes", "/proc/self/status VmHWM", lambda: field_bytes(status, "VmHWM"))
        cgroup = _cgroup(root)
        for meter, path in (("cgroup_current_bytes", cgroup.current), ("cgroup_peak_bytes", cgroup.peak)):
            # Not the whole path: the folders of a user's session or a cloud's machine are nobody else's business.
            self._offer(meter, f"{path.name} (cgroup v{cgroup.version})", _own_reader(path, root))
        for meter, (source, read) in _torch_reads().items():
            if device == "cpu":
                self.unavailable[meter] = "torch counts no memory of a CPU"
            else:
                self._offer(meter, source, read)

    def read(self) -> dict[str, int]:
        """A value a meter; one that cannot be read just now is left out."""
        found = {}
        for meter, read in self._reads.items():
            try:
                found[meter] = read()
            except (OSError, ValueError, RuntimeError) as error:
                self.unavailable[meter] = _reason(error)
        return found

    def _offer(self, meter: str, source: str, read: Read) -> None:
        """Take a meter where it can be read now."""
        try:
            read()
        except (OSError, ValueError, RuntimeError, AttributeError) as error:
            self.unavailable[meter] = f"{source}: {_reason(error)}"
        else:
            self._reads[meter], self.sources[meter] = read, source


def room_bytes(device: str, root: Path = Path("/")) -> tuple[int, str]:
    """How much could be allocated on the device, and which meter says so: the least of those that bound it."""
    bounds: list[tuple[int, str]] = []
    shares_memory = True
    if device != "cpu":
        import torch

        bounds.append((int(torch.cuda.mem_get_info()[0]), "torch.cuda.mem_get_info"))
        # A GPU with memory of its own is not bound by the host's; torch before 2.3 does not tell which it is.
        shares_memory = bool(getattr(torch.cuda.get_device_properties(0), "is_integrated", False))
    if shares_memory:
        bounds += _host_bounds(root)
    return min(bounds, default=(0, "nothing that can be read"))


def _host_bounds(root: Path) -> list[tuple[int, str]]:
    """What bounds this process in the host's memory; what cannot be read bounds nothing."""
    bounds = []
    with contextlib.suppress(OSError, ValueError):
        bounds.append((field_bytes(root / "proc/meminfo", "MemAvailable"), "MemAvailable"))
    cgroup = _cgroup(root)
    with contextlib.suppress(OSError, ValueError):  # "max": there is none
        left = int(cgroup.limit.read_text()) - int(cgroup.current.read_text())
        bounds.append((max(0, left), "the cgroup's limit"))
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            bounds.append((max(0, most - field_bytes(root / "proc/self/status", "VmSize")), "the limit of address space"))
    return bounds


def _torch_reads() -> dict[str, tuple[str, Read]]:
    """torch's own meters, which exist on a GPU. A free that is above the total, as ROCm tells it of an APU, is left as it is."""

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
    """This process's own, also one that it shares: that bounds it all the same. The top where none is known, so that its meters
    say which file is missing."""
    try:
        return find_cgroup(root) or top_cgroup(root)
    except OSError:
        return top_cgroup(root)


def _own_reader(path: Path, root: Path) -> Read:
    """A cgroup's meter, while nobody else is in the cgroup: what moves with others is believed of no pass either."""

    def read() -> int:
        value = int(path.read_text())
        shared = why_shared(path.parent, root)
        if shared:
            raise ValueError(shared)
        return value

    return read


def _reason(error: Exception) -> str:
    """Why, in a line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:200] or type(error).__name__
