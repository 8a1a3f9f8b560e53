"""The exchange folder on the host's side: what a launch reads and what it leaves.

The container may put anything there. So no link is followed, nothing but a plain file is opened, and no more than a bound is
read: a journal that is a link to a file of this host would otherwise end up in the records.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

from benchmarks.wire import JOURNAL, MOST_JOURNAL_BYTES, REQUEST, Request, read_journal
from harness.engines.base import LOG
from harness.launch.cache_folder import remove_folder
from harness.records.journal import Event, read
from harness.secrets import clean_text
from harness.tools import open_own_file, read_plain, replace_synced

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
    if not _is_plain(path):  # the container of an earlier dry run may have left a folder or a link
        remove_folder(path)
    replace_synced(path, request.to_json().encode(), part=folder.parent / f".{REQUEST}.part")
    path.chmod(0o644)


def open_exchange(folder: Path) -> None:
    """Open what the container closed: the folder, the journal and the log. What is another user's stays closed."""
    for path, is_ours, mode in (
        (folder, _is_folder, 0o700),
        (folder / JOURNAL, _is_plain, 0o600),
        (folder / LOG, _is_plain, 0o600),
    ):
        with contextlib.suppress(OSError):
            if is_ours(path):
                path.chmod(stat.S_IMODE(path.lstat().st_mode) | mode)


def trim_exchange(folder: Path) -> None:
    """Remove all but the journal and the end of the log: a container may have filled the disk, and the store needs room for the
    launch's record. What cannot be removed stays: see `is_trimmed`.

    The journal is the launch until the store has it, and a harness may be killed at any step. So it is never removed: it stays where it
    is, or its beginning is put in its place.
    """
    if not _is_folder(folder):
        return
    for name in _names(folder):
        if name not in (JOURNAL, LOG) or not _is_plain(folder / name):
            remove_folder(folder / name)
    for name, most_bytes, offset in ((LOG, MOST_LOG_BYTES, None), (JOURNAL, MOST_JOURNAL_BYTES, 0)):
        with contextlib.suppress(OSError):
            _shorten(folder / name, most_bytes, offset)


def is_trimmed(folder: Path) -> bool:
    """Whether `trim_exchange` could remove all that it should."""
    return not _is_folder(folder) or (os.access(folder, os.R_OK) and set(_names(folder)) <= {JOURNAL, LOG})


def _shorten(path: Path, most_bytes: int, offset: int | None) -> None:
    """Leave no more of a plain file than is read of it. Raises `OSError`."""
    if not _is_plain(path) or path.lstat().st_size <= most_bytes:
        return
    data = read_plain(path, most_bytes, offset=offset)
    try:
        # Beside the exchange folder: whatever bears that name in it is the container's.
        replace_synced(path, data, part=path.parent.parent / f".{path.name}.part")
    except OSError:  # the disk is full of this very file
        with open_own_file(path) as stream:
            stream.write(data)
            stream.truncate(len(data))


def _names(folder: Path) -> list[str]:
    """The names in a folder; none where it cannot be listed."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    return _kind(path) == stat.S_IFDIR


def _is_plain(path: Path) -> bool:
    return _kind(path) == stat.S_IFREG


def _kind(path: Path) -> int | None:
    """What a path is, no link followed; ``None``: it is not there, or its folder is closed to us."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except OSError:
        return None


def read_events(folder: Path) -> tuple[dict[str, Any], ...]:
    """The journal's events; none where the guest wrote none, or put something else in the journal's place."""
    text = read_plain(folder / JOURNAL, MOST_JOURNAL_BYTES).decode(errors="replace")
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
        data = read_plain(self._path, min(status.st_size, MOST_JOURNAL_BYTES) - self._read, offset=self._read)
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return read(read_journal(b"\n".join(lines).decode(errors="replace"))).events


def read_log_tail(folder: Path) -> str:
    """The end of what the libraries printed, without terminal sequences."""
    return clean_text(read_plain(folder / LOG, MOST_LOG_BYTES, offset=None).decode(errors="replace"))


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
