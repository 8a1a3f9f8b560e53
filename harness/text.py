"""Text for people: without what commands a terminal or turns the direction of writing, and numbers in sentences. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # colours and the like; a title and the like
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""Terminal sequences, control characters other than tab and newline, and what turns the direction of writing."""


def without_controls(text: str) -> str:
    """The text without them, and with what no file can hold spelled out: JSON can say half of a surrogate pair, and so can
    a file's name."""
    return _CONTROL.sub("", text.encode("utf-8", "backslashreplace").decode())


def one_line(text: str) -> str:
    """Likewise, and on one line: a file's name may hold a newline."""
    return " ".join(without_controls(text).splitlines())


def spelled_out(text: str) -> str:
    """The text with unprintable characters spelled out: a newline, what moves a terminal's cursor or reverses its direction."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def printable(text: str) -> str:
    """Likewise, and on one line."""
    return spelled_out(" ".join(text.split()))


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 launch``, ``2 launches``: ``plural`` where it is more than an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def size_text(size_bytes: float) -> str:
    """A size of a download or on a disk, in decimal units: ``10.4 GB``, ``812 MB``, ``3.9 MB``."""
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e7 else f"{size_bytes / 1e6:.1f} MB"


Say = Callable[[str], None]
"""Shows one line of progress."""


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean ...?)``, or nothing where no word is near."""
    close = difflib.get_close_matches(word, [each for each in words if each != word], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
