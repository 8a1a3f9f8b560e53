"""Files of the kernel and of the system, read so that none can hold us up: a pipe is refused, and a driver may hang."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

FILE_TIMEOUT_SECONDS = 0.5
"""A read of a wedged driver's file, or of a file on a server that is gone, may never return."""

MOST_FILE_BYTES = 64 << 10

_Told = TypeVar("_Told")


class Reading(msgspec.Struct, frozen=True):
    """What one file said. Both ``None``: there is no such file."""

    text: str | None = None
    refused: str | None = None
    """Why a file that is there could not be read."""


ABSENT = Reading()


def text_of(path: Path) -> str:
    """The beginning of a plain file's text; may hang. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        return stream.read(MOST_FILE_BYTES).decode(errors="replace")


TextOf = Callable[[Path], str]


def read_file(path: Path, *, timeout_seconds: float = FILE_TIMEOUT_SECONDS, text_of: TextOf = text_of) -> Reading:
    """A file's text. Never raises and never waits for long."""
    try:
        text = within(timeout_seconds, lambda: text_of(path))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError as error:
        return Reading(refused=error.strerror or type(error).__name__)
    return Reading(refused=f"no answer within {timeout_seconds:g} s") if text is None else Reading(text=text)


def within(seconds: float, act: Callable[[], _Told]) -> _Told | None:
    """What a call returns or raises; ``None`` where it takes longer: its thread is then abandoned."""
    told: list[_Told] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            told.append(act())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    return told[0] if told else None


def whole_number(text: str | None) -> int | None:
    """A text as a number of the kernel's, of 64 bits at most; ``None`` where it is none."""
    number = int(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 20 else None
    return number if number is not None and number < 1 << 64 else None


class Tree:
    """Many small files below one folder, with a bound on the time that all of them together may waste."""

    def __init__(self, root: Path, *, patience_seconds: float, text_of: TextOf = text_of) -> None:
        self.root = root
        self._text_of = text_of
        self._ends = time.monotonic() + patience_seconds

    def text(self, name: str | Path) -> str | None:
        """A file's text without the white space around it; ``None`` where it is absent, empty, or did not answer."""
        left = self._ends - time.monotonic()
        if left <= 0:
            return None
        text = read_file(self.root / name, timeout_seconds=min(left, FILE_TIMEOUT_SECONDS), text_of=self._text_of).text
        return (text or "").strip() or None

    def number(self, name: str | Path) -> int | None:
        """A file's text as a whole number; ``None`` where it is none."""
        return whole_number(self.text(name))

    def names(self, folder: str | Path) -> tuple[str, ...] | None:
        """The names in a folder, sorted; ``None`` where there is no such folder or it cannot be listed."""
        try:
            return tuple(sorted(os.listdir(self.root / folder)))
        except OSError:
            return None
