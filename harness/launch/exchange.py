"""The exchange folder on the host's side: what a launch reads and what it leaves.

The container may put anything there. So no link is followed, nothing but a plain file is opened, and no more than a bound is
read: a journal that is a link to a file of this host would otherwise end up in the records.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from benchmarks.wire import JOURNAL, MOST_JOURNAL_BYTES, REQUEST, Request, read_journal
from harness.engines.base import LOG
from harness.records.journal import Event, read
from harness.secrets import clean_text

MOST_LOG_BYTES = 64 << 10
MOST_NESTING = 20
LARGEST_NUMBER = 1 << 63
"""Every JSON reader takes numbers below this. A guest has no reason to write larger integers or infinity."""


def make_exchange(folder: Path, request: Request) -> None:
    """Make the folder with its request. Any user of the container may write into it; the folder above is closed to other users
    of this host."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o700)
    folder.chmod(0o777)
    path = folder / REQUEST
    path.write_text(request.to_json())
    path.chmod(0o644)


def trim_exchange(folder: Path) -> None:
    """Remove all but the journal and the end of the log: a container may have filled the disk, and the store needs room for the
    launch's record."""
    if not folder.is_dir() or folder.is_symlink():
        return
    kept = {
        JOURNAL: _read_plain_file(folder / JOURNAL, MOST_JOURNAL_BYTES, from_end=False),
        LOG: _read_plain_file(folder / LOG, MOST_LOG_BYTES, from_end=True),
    }
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_dir():  # a folder goes later, with the whole exchange
            path.unlink(missing_ok=True)
    for name, text in kept.items():
        if text and not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8", errors="replace")


def read_events(folder: Path) -> tuple[dict[str, Any], ...]:
    """The journal's events; none where the guest wrote none, or put something else in the journal's place."""
    text = _read_plain_file(folder / JOURNAL, MOST_JOURNAL_BYTES, from_end=False)
    return tuple(_cleaned(event) for event in read_journal(text))


class JournalTail:
    """The journal's events as they come, typed, for a reader who looks every second and must not disturb the machine that is
    measured: while the file does not grow, a look costs one `stat`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._read = 0
        self._rest = b""

    def new_events(self) -> tuple[Event, ...] | None:
        """The events since the last look; ``None``: the journal has not grown. Anything else in its place never grows."""
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_size == self._read or self._read >= MOST_JOURNAL_BYTES:
            return None
        if status.st_size < self._read:  # written anew
            self._read, self._rest = 0, b""
        data = _read_plain_bytes(self._path, min(status.st_size, MOST_JOURNAL_BYTES) - self._read, offset=self._read)
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return read(read_journal(b"\n".join(lines).decode(errors="replace"))).events


def read_log_tail(folder: Path) -> str:
    """The end of what the libraries printed, without terminal sequences."""
    return clean_text(_read_plain_file(folder / LOG, MOST_LOG_BYTES, from_end=True))


def _cleaned(value: Any, depth: int = 0) -> Any:
    """An event that can be stored: its texts cleaned, its depth bounded, no number beyond `LARGEST_NUMBER`."""
    if depth > MOST_NESTING:
        return None
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {clean_text(key): _cleaned(item, depth + 1) for key, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < LARGEST_NUMBER:
        return None
    return value


def _read_plain_file(path: Path, most: int, *, from_end: bool) -> str:
    """Up to ``most`` bytes of a plain file; empty: it is a link, a pipe, a device or nothing."""
    return _read_plain_bytes(path, most, offset=None if from_end else 0).decode(errors="replace")


def _read_plain_bytes(path: Path, most: int, *, offset: int | None) -> bytes:
    """Up to ``most`` bytes of a plain file, from an offset on or, where that is ``None``, the last ones; of anything else none."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would otherwise wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        stream.seek(max(0, status.st_size - most) if offset is None else offset)
        return stream.read(most)
