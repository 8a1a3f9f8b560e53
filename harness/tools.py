"""Processes, files and folders: starts, ends, reads, writes and removes them for all rooms."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from typing import BinaryIO

from harness.errors import HostError
from harness.secrets import without_tokens

OWNER_LABEL = "io.strixbench.owner"


def owner() -> str:
    """A text that identifies this process, ``pid:start time:boot and pid namespace``. It tells the leftovers of a dead harness from
    the containers of a living one."""
    return f"{os.getpid()}:{_started(os.getpid())}:{_place()}"


def owner_is_gone(text: str) -> bool:
    """Whether the process of an `owner` has ended. A process of another pid namespace cannot be judged and counts as alive."""
    import psutil

    try:
        pid, started, place = text.split(":", 2)
        if place != _place():
            # After another boot of this machine no earlier process is left.
            return place.split(":")[0] != _place().split(":")[0]
        return not psutil.pid_exists(int(pid)) or _started(int(pid)) != started
    except PermissionError:  # a /proc that hides other users' processes
        return False
    except (ValueError, FileNotFoundError, ProcessLookupError):
        return True


def _started(pid: int) -> str:
    """Clock ticks from boot to a process's start: unique on one boot together with the pid (proc_pid_stat(5))."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")  # a process names itself as it likes
    return stat.rsplit(")", 1)[1].split()[19]


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of ours that appears whole or not at all, and is on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_synced(path, data, part=path.with_name(f".{path.name}.{os.getpid()}.part"))


def replace_synced(path: Path, data: bytes, *, part: Path) -> None:
    """Put a file in another's place, whole and synced; a link there is replaced, not followed. It is written as ``part`` first, which
    lies in a folder of ours on the same file system. Raises `OSError`, and then leaves ``path`` as it was."""
    try:
        with part.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system that syncs no folders
            os.fsync(folder)
    finally:
        os.close(folder)


def read_plain(path: Path, most_bytes: int, *, offset: int | None = 0) -> bytes:
    """Up to ``most_bytes`` of a plain file, from an offset on or, where that is ``None``, the last ones. Nothing of a link, a pipe, a
    device or a folder, nor of what cannot be read; it never waits."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would otherwise wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        stream.seek(max(0, status.st_size - most_bytes) if offset is None else offset)
        return stream.read(most_bytes)


def open_own_file(path: Path) -> BinaryIO:
    """A file of ours, to read and to write, made where there is none. Raises `OSError`, also for a link, a second name of a file, and
    anything else that is no plain file: what we write would go into a file of somebody else."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise _not_ours(path) from error
        raise
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise _not_ours(path)
    return os.fdopen(descriptor, "r+b")


def _not_ours(path: Path) -> OSError:
    return OSError(errno.ELOOP, f"`{path.name}` there is a link or no plain file, and is not written to: remove it", str(path))


def tail_of(path: Path, characters: int = 8_000) -> str:
    """The end of a log that we wrote; empty where there is no log."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 4 * characters))
            return stream.read().decode(errors="replace")[-characters:]
    except OSError:
        return ""


KILLED_SECONDS = 30.0
"""The longest wait for the death of a process that was killed."""

OWNER_VARIABLE = OWNER_LABEL.replace(".", "_").upper()


def run_process(argv: tuple[str, ...], *, stdout: int, timeout_seconds: float) -> int:
    """Run a program of ours to its end, its stdout and stderr into a file descriptor; returns its exit status.

    Raises `HostError` where it does not end in time.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**without_tokens(), OWNER_VARIABLE: owner()},  # a killed harness's pip is swept like its guests
    )
    try:
        return process.wait(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise HostError(f"`{argv[0]}` did not end within {timeout_seconds:.0f} s and was killed") from None
    finally:
        kill_session(process)


def read_output(argv: tuple[str, ...], *, timeout_seconds: float, most_bytes: int = 64 << 10) -> str:
    """The beginning of what a program of ours prints, stdout and stderr; its exit status is not looked at.

    Raises `HostError` where it is not installed or does not end in time.
    """
    import tempfile

    if shutil.which(argv[0]) is None:
        raise HostError(f"`{argv[0]}` is not installed")
    with tempfile.TemporaryFile() as stream:
        run_process(argv, stdout=stream.fileno(), timeout_seconds=timeout_seconds)
        stream.seek(0)
        return stream.read(most_bytes).decode(errors="replace")


def remove_tree(folder: Path) -> None:
    """Remove a folder, however deep: Python's own removal recurses into each level, `rm` does not."""
    run_process(("rm", "-rf", "--", str(folder)), stdout=subprocess.DEVNULL, timeout_seconds=300)


def kill_session(process: subprocess.Popen[bytes]) -> bool:
    """Kill a process and all that it started, and wait; returns whether it is gone. SIGKILL: a hung HIP process ignores SIGTERM."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(timeout=KILLED_SECONDS)
    except subprocess.TimeoutExpired:  # in the kernel, which does not let go of it
        return False
    return True
