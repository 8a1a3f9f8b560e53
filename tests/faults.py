"""Faults at the edge of a process: it dies, or one of its calls fails, at the n-th call that changes a disk.

``arm`` is for a child process of a test, and for its whole life. It replaces no function of ours. It stands where Python meets the
system:

- Python raises an audit event (PEP 578) before each unlink, rename, mkdir, rmdir, truncate and opening of a file, whoever calls it and
  however it was imported. What the hook raises is what the call raises.
- Writing and syncing have no event. So ``os.write``, ``os.fsync`` and ``open`` are replaced by functions that count first; a file that
  is opened to be written tears: half of the data is written, and then it happens.
- SQLite writes in C. ``sqlite3.connect`` gets a subclass of its own `Connection`, which counts before and after each commit.

Only calls below one folder count, so that a module which Python compiles meanwhile moves no number. The calls that counted are noted in
a file, the last one is where it happened.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import signal
import sqlite3
import sqlite3.dbapi2
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

Ending = Literal["kill", "ENOSPC", "EIO"]

_EVENTS = {
    "os.remove": "unlink",
    "os.rename": "replace",
    "os.mkdir": "mkdir",
    "os.rmdir": "rmdir",
    "os.truncate": "truncate",
    "open": "open",
}
"""Audit event (https://docs.python.org/3/library/audit_events.html) -> the name of its point. ``os.remove`` is ``unlink`` as well, and
``os.rename`` is ``replace``."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_real_write, _real_fsync, _real_open, _real_connect = os.write, os.fsync, io.open, sqlite3.dbapi2.connect


class Faults:
    """Counts the points below a folder, and makes something happen at one of them."""

    def __init__(self, below: Path, noted: Path, *, at: int, ending: Ending = "kill", lasting: bool = False) -> None:
        """``at``: counted from 1; 0: never. ``lasting``: a call that fails is followed by others that fail, as on a full disk."""
        self._below, self._at, self._ending, self._lasting = os.path.realpath(below), at, ending, lasting
        self._noted = os.open(noted, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._count = 0
        self._is_counting = False

    def begin(self) -> None:
        """Count from now on."""
        self._is_counting = True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside: what it does is not the doing of the process under test."""
        before, self._is_counting = self._is_counting, False
        try:
            yield
        finally:
            self._is_counting = before

    def reach(self, kind: str, what: object, *, tear: Callable[[], object] = lambda: None) -> None:
        """Count a point. ``tear`` does half of what was to be done, in case it happens here."""
        if not self._is_counting or not self._is_below(what):
            return
        self._count += 1
        _real_write(self._noted, f"{kind} {os.path.basename(self._name(what))}\n".encode(errors="replace"))
        if self._at and (self._count == self._at or (self._lasting and self._count > self._at and kind != "unlink")):
            self._is_counting = False
            tear()
            self._is_counting = True
            self._happen(kind)

    def _happen(self, kind: str) -> NoReturn:
        if self._ending == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        number = getattr(errno, self._ending)
        if kind == "commit":  # in SQLite's words
            raise sqlite3.OperationalError("database or disk is full" if number == errno.ENOSPC else "disk I/O error")
        raise OSError(number, os.strerror(number))

    def _is_below(self, what: object) -> bool:
        name = self._name(what)
        return not name.startswith("/") or name.startswith(f"{self._below}/")

    def _name(self, what: object) -> str:
        """The path of a path or descriptor; a name that is relative to a descriptor is left as it is."""
        if isinstance(what, int):
            return os.readlink(f"/proc/self/fd/{what}")
        return os.fsdecode(what) if isinstance(what, str | bytes | os.PathLike) else ""


class _Torn:
    """A file that is opened to be written."""

    def __init__(self, stream: Any, faults: Faults) -> None:
        self._stream, self._faults = stream, faults

    def write(self, data: Any) -> int:
        self._faults.reach("write", self._stream.fileno(), tear=lambda: self._write_half(data))
        return int(self._stream.write(data))

    def _write_half(self, data: Any) -> None:
        self._stream.write(data[: len(data) // 2])
        self._stream.flush()

    def __enter__(self) -> _Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def arm(faults: Faults) -> None:
    """Make this process count. There is no way back: an audit hook stays."""

    def heed(event: str, arguments: tuple[Any, ...]) -> None:
        kind = _EVENTS.get(event)
        if kind is None or (kind == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES)):
            return
        faults.reach(kind, arguments[0])

    def write(descriptor: int, data: Any) -> int:
        faults.reach("write", descriptor, tear=lambda: _real_write(descriptor, data[: len(data) // 2]))
        return _real_write(descriptor, data)

    def fsync(descriptor: Any) -> None:
        faults.reach("fsync", descriptor if isinstance(descriptor, int) else descriptor.fileno())
        _real_fsync(descriptor)

    def opened(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        stream = _real_open(file, mode, *arguments, **more)
        return _Torn(stream, faults) if set(mode) & set("wax+") else stream

    class Connection(sqlite3.Connection):
        def commit(self) -> None:
            faults.reach("commit", "store")
            super().commit()
            faults.reach("committed", "store")

    def connect(*arguments: Any, **more: Any) -> sqlite3.Connection:
        return _real_connect(*arguments, **{"factory": Connection, **more})

    for module, name, replacement in (
        (os, "write", write),
        (os, "fsync", fsync),
        (io, "open", opened),
        (builtins, "open", opened),
        (sqlite3, "connect", connect),
        (sqlite3.dbapi2, "connect", connect),
    ):
        setattr(module, name, replacement)
    sys.addaudithook(heed)
