"""The processes of one launch, found from the host, and what they hold in memory.

They are found by the launch's exchange folder, whose name no other launch has: a process of this host (``local``) has it on
its command line, and a process in a container has it among its mounts. So no engine need be asked, and rootless and rootful
look alike. A child of a process of the launch belongs to the launch, also when its parent ends first. Only processes that began
after the sampler are looked at, each a few times, so that a host with a thousand others costs nothing.

It needs the standard library alone, as `harness.telemetry.sensors` does.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from harness.telemetry.meters import EVERY, every_of
from harness.telemetry.sensors import Files, Readings

LOOKS = 6
"""How often a new process is looked at before it counts as somebody else's: a container's first process has neither its mounts
nor its command line at once."""

MOST_DIGITS = 20
"""A number of 64 bits has no more."""

_OF_VERSION_1 = "memory.usage_in_bytes"

_NONE_SEEN = "no process of the launch has been seen"


class LaunchProcesses:
    """Finds and measures them, sample by sample. ``since_ticks``: a moment before the launch's start, in clock ticks after boot.
    ``is_thorough``: fdinfo and the KFD are read at each sample."""

    meters = ("tree_resident_bytes", "cgroup_memory_bytes", "fdinfo_gpu_bytes", "kfd_vram_bytes")

    def __init__(self, exchange: str, since_ticks: int, root: Path = Path("/"), *, is_thorough: bool = False) -> None:
        self._exchange = exchange.encode()
        # A mount is named from the root of its file system, wherever that is mounted.
        self._mounted = "/" + "/".join(exchange.strip("/").split("/")[-2:]) + " "
        self._since = since_ticks
        self._proc = root / "proc"
        self._root = root
        self._looks: dict[int, int] = {}
        self._members: dict[int, None] = {}
        self._sessions: set[int] = set()
        self._namespaces: set[str] = set()
        self._own_namespace = self._namespace("self", Files())
        self._is_thorough = is_thorough
        self._rate = "" if is_thorough else f", at every {EVERY}th sample"
        self._sample = -1
        self._why_no_cgroup = ""
        self._page = os.sysconf("SC_PAGE_SIZE")

    def read(self, files: Files, found: Readings) -> None:
        self._sample += 1
        members = self.find(files)
        for meter, read in (
            ("tree_resident_bytes", self._read_resident),
            ("cgroup_memory_bytes", self._read_cgroup),
            ("fdinfo_gpu_bytes", self._read_fdinfo),
            ("kfd_vram_bytes", self._read_kfd),
        ):
            if self._sample % every_of(meter, self._is_thorough) == 0:
                found.attempt((meter,), partial(read, files, found, members))

    def _read_resident(self, files: Files, found: Readings, members: tuple[int, ...]) -> None:
        found_words = [(files.text(self._proc / str(pid) / "statm") or "").split() for pid in members]
        resident = [int(words[1]) for words in found_words if len(words) > 1 and _is_number(words[1])]
        if resident:
            source = f"{self._proc}/PID/statm, summed over the launch's processes"
            found.take("tree_resident_bytes", [(source, float(sum(resident) * self._page))])
        else:
            found.failures["tree_resident_bytes"] = _NONE_SEEN

    def find(self, files: Files) -> tuple[int, ...]:
        """The launch's processes that are there now."""
        names = files.names(self._proc)
        now = {int(name) for name in names if _is_number(name)} if isinstance(names, list) else set()
        self._looks = {pid: looks for pid, looks in self._looks.items() if pid in now}
        self._members = {pid: None for pid in self._members if pid in now}
        for pid in sorted(now - self._members.keys()):
            left = self._looks.get(pid, LOOKS)
            if left > 0:
                self._looks[pid] = self._look(pid, files, left)
        return tuple(self._members)

    def _look(self, pid: int, files: Files, left: int) -> int:
        """Note the process where it is one of the launch; returns how often it is to be looked at from now on."""
        of_pid = self._proc / str(pid)
        stat = _fields(files.text(of_pid / "stat"))
        if stat is None:
            return left - 1
        parent, session, started = stat
        if started < self._since:
            return 0
        namespace = self._namespace(str(pid), files)
        if (
            parent in self._members
            or session in self._sessions
            or (namespace is not None and namespace in self._namespaces)
            or self._exchange in (files.text(of_pid / "cmdline") or "").encode()
            # It has mounts of its own, and the exchange folder is one of them.
            or (namespace not in (None, self._own_namespace) and self._mounted in (files.text(of_pid / "mountinfo") or ""))
        ):
            self._members[pid] = None
            if session == pid:
                self._sessions.add(session)
            if namespace not in (None, self._own_namespace):
                self._namespaces.add(str(namespace))
            return 0
        return left - 1

    def _namespace(self, pid: str, files: Files) -> str | None:
        """The namespace of a process's mounts; ``None``: this user may not know."""
        return files.link(self._proc / pid / "ns/mnt")

    def _read_cgroup(self, files: Files, found: Readings, members: tuple[int, ...]) -> None:
        meter = "cgroup_memory_bytes"
        path = _memory_file(self._root, files.text(self._proc / str(members[0]) / "cgroup")) if members else None
        if path is None:
            # Nothing can be read of processes that have ended: what was found before still holds.
            unseen = "the launch's processes are in no memory cgroup that can be seen" if members else _NONE_SEEN
            found.failures[meter] = self._why_no_cgroup or unseen
        elif path == _memory_file(self._root, files.text(self._proc / "self/cgroup")):
            self._why_no_cgroup = "the launch has no cgroup of its own: it shares strixbench's"
            found.failures[meter] = self._why_no_cgroup
        else:
            # Not the whole path: it may name a user's session or a cloud's machine.
            name = f"{path.name} (cgroup v{1 if path.name == _OF_VERSION_1 else 2})"
            found.take(meter, [(name, files.number(path, name=name))])

    def _read_fdinfo(self, files: Files, found: Readings, members: tuple[int, ...]) -> None:
        """What the launch's handles of GPUs hold in VRAM and GTT. A handle counts once, however many processes share it."""
        meter = "fdinfo_gpu_bytes"
        clients: dict[tuple[str, str], float] = {}
        refused = ""
        for pid in members:
            folder = self._proc / str(pid) / "fd"
            names = files.call(str(folder), partial(_handles, folder))
            if names is None or isinstance(names, str):
                refused = names or f"strixbench may not look into {self._proc}/PID/fd of the launch's processes; root may"
                continue
            for name in names:
                if not (files.link(folder / name) or "").startswith("/dev/dri/"):
                    continue
                handle = parse_fdinfo(files.text(self._proc / str(pid) / "fdinfo" / name) or "")
                if handle is not None:
                    clients[handle[0]] = handle[1]
        if clients:
            left_out = ", without processes that could not be looked into" if refused else ""
            found.take(meter, [(f"{self._proc}/PID/fdinfo{self._rate}{left_out}", sum(clients.values()))])
        elif refused:
            found.failures[meter] = refused
        else:
            found.failures[meter] = "no process of the launch holds a GPU open that says how much memory it has"

    def _read_kfd(self, files: Files, found: Readings, members: tuple[int, ...]) -> None:
        meter, folder = "kfd_vram_bytes", self._root / "sys/class/kfd/kfd/proc"
        held = [
            number
            for pid in members
            for path in _vram_files(folder / str(pid), files)
            if isinstance(number := files.number(path), float)
        ]
        if held:
            found.take(meter, [(f"{folder}/PID/vram_*{self._rate}", sum(held))])
        else:
            names = files.names(folder)
            found.failures[meter] = names if isinstance(names, str) else f"{folder} knows no process of the launch"


def parse_fdinfo(text: str) -> tuple[tuple[str, str], float] | None:
    """Device and client of a GPU's handle, and the bytes that it has in VRAM and GTT; ``None``: it is some other file's.

    Newer kernels say ``drm-resident-``, older ones ``drm-memory-``, and some say both of the same memory
    (https://docs.kernel.org/gpu/drm-usage-stats.html).
    """
    keys = {}
    for line in text.splitlines():
        key, separator, value = line.partition(":")
        if separator and key.startswith("drm-"):
            keys[key] = value.strip()
    if "drm-client-id" not in keys:
        return None
    total, known = 0.0, False
    for region in ("vram", "gtt"):
        size = _size(keys.get(f"drm-resident-{region}")) or _size(keys.get(f"drm-memory-{region}"))
        total += size or 0.0
        known = known or f"drm-resident-{region}" in keys or f"drm-memory-{region}" in keys
    return ((keys.get("drm-pdev", ""), keys["drm-client-id"]), total) if known else None


def _size(text: str | None) -> float | None:
    """``12 KiB`` in bytes."""
    words = (text or "").split()
    if not words or not _is_number(words[0]):
        return None
    return float(words[0]) * {"KiB": 1024, "MiB": 1 << 20, "GiB": 1 << 30}.get(words[1] if len(words) > 1 else "", 1)


def _is_number(text: str) -> bool:
    """Whether it is a number as the kernel writes it: `str.isdigit` is true of ``²``, too, and `int` refuses thousands of digits."""
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def _handles(folder: Path) -> list[str] | None:
    """The names of a process's file descriptors; ``None``: this user may not know them."""
    try:
        return os.listdir(folder)
    except PermissionError:
        return None
    except OSError:  # it has ended
        return []


def _vram_files(folder: Path, files: Files) -> list[Path]:
    names = files.names(folder)
    return [folder / name for name in sorted(names) if name.startswith("vram_")] if isinstance(names, list) else []


def _fields(stat: str | None) -> tuple[int, int, int] | None:
    """Parent, session, and start in clock ticks after boot, from /proc/PID/stat (proc_pid_stat(5))."""
    words = (stat or "").rpartition(")")[2].split()
    try:
        return int(words[1]), int(words[3]), int(words[19])
    except (IndexError, ValueError):
        return None


def _memory_file(root: Path, cgroup: str | None) -> Path | None:
    """The file that says what a process's cgroup uses: version 1's where that has the memory controller, else version 2's."""
    unified = None
    for line in (cgroup or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        inside = path.strip("/")
        if "memory" in controllers.split(","):
            return root / "sys/fs/cgroup/memory" / inside / _OF_VERSION_1
        if number == "0" and not controllers and inside:
            unified = root / "sys/fs/cgroup" / inside / "memory.current"
    return unified
