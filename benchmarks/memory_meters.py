"""The meters of memory that a process inside an image can read, each under a name that carries its unit.

None is believed here: `benchmarks.calibrate` moves a known number of bytes, and the host says which meters followed.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable
from pathlib import Path

Read = Callable[[], int]

_CGROUP_FILES = (
    # cgroup v2 (https://docs.kernel.org/admin-guide/cgroup-v2.html): `peak` came with Linux 5.19
    ("", "sys/fs/cgroup", {"cgroup_current_bytes": "memory.current", "cgroup_peak_bytes": "memory.peak"}, "memory.max"),
    # cgroup v1 (https://docs.kernel.org/admin-guide/cgroup-v1/memory.html)
    (
        "memory",
        "sys/fs/cgroup/memory",
        {"cgroup_current_bytes": "memory.usage_in_bytes", "cgroup_peak_bytes": "memory.max_usage_in_bytes"},
        "memory.limit_in_bytes",
    ),
)
"""Controller in /proc/self/cgroup, where its tree is mounted, its meters, its limit."""


class Meters:
    """What can be read here, found once; see ``sources`` and ``unavailable``."""

    def __init__(self, device: str, root: Path = Path("/")) -> None:
        self._reads: dict[str, Read] = {}
        self.sources: dict[str, str] = {}
        """Meter -> the file or call that it is"""
        self.unavailable: dict[str, str] = {}
        """Meter -> why it could not be read"""
        status = root / "proc/self/status"
        self._offer("vm_rss_bytes", "/proc/self/status VmRSS", lambda: kibibytes(status, "VmRSS"))
        self._offer("vm_hwm_bytes", "/proc/self/status VmHWM", lambda: kibibytes(status, "VmHWM"))
        folder, files, _ = cgroup_files(root)
        for meter, name in files.items():
            self._offer(meter, f"/{(folder / name).relative_to(root)}", _reader(folder / name))
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


def kibibytes(path: Path, field: str) -> int:
    """A field of /proc/self/status or /proc/meminfo, in bytes. Raises OSError, and ValueError where it is not there."""
    for line in path.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {field} in it")


def cgroup_files(root: Path = Path("/")) -> tuple[Path, dict[str, str], str]:
    """The folder of this process's memory cgroup, the names of its meters in there, and that of its limit.

    /proc/self/cgroup names the group by a path that a container may not see: there its own group is the mounted tree's root.
    """
    groups = _own_groups(root)
    for controller, mounted, files, limit in _CGROUP_FILES:
        if controller in groups:
            for folder in (root / mounted / groups[controller].lstrip("/"), root / mounted):
                if (folder / files["cgroup_current_bytes"]).is_file():
                    return folder, dict(files), limit
    _, mounted, files, limit = _CGROUP_FILES[0]
    return root / mounted, dict(files), limit


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
        bounds.append((kibibytes(root / "proc/meminfo", "MemAvailable"), "MemAvailable"))
    folder, files, limit = cgroup_files(root)
    with contextlib.suppress(OSError, ValueError):  # "max": there is none
        left = int((folder / limit).read_text()) - int((folder / files["cgroup_current_bytes"]).read_text())
        bounds.append((max(0, left), "the cgroup's limit"))
    with contextlib.suppress(OSError, ValueError):
        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        if most != resource.RLIM_INFINITY:
            bounds.append((max(0, most - kibibytes(root / "proc/self/status", "VmSize")), "the limit of address space"))
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


def _own_groups(root: Path) -> dict[str, str]:
    """Controller -> path, of /proc/self/cgroup; the empty controller is cgroup v2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    parts = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    return {controller: path for _, controllers, path in parts for controller in controllers.split(",")}


def _reader(path: Path) -> Read:
    return lambda: int(path.read_text())


def _reason(error: Exception) -> str:
    """Why, in a line."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:200] or type(error).__name__
