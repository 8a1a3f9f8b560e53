"""Text without what commands a terminal or turns the direction of writing. Pure."""

from __future__ import annotations

import re

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
