"""Tracebacks in other dresses -> Python's own form, line by line: pytest's, rich's, and pastes that lost their header. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

HEADER = "Traceback (most recent call last)"

_SAME_LINE = re.compile(r'^(.{0,300}?)Traceback \(most recent call last\):[ \t]{1,40}(File ".{1,800})$')
_FRAME = re.compile(r'^([^|+]{0,120}?)  File "[^"]{1,500}", line \d{1,9}(?:, in |$)')
_RICH_HEADER = re.compile(r"^\s{0,20}[╭+][─-]{2,200} ?Traceback \(most recent call last\) ?[─-]{2,200}[╮+]")
_RICH_LINE = re.compile(r"^\s{0,20}[│|](.{0,400}?)[│|]?\s{0,20}$")
_RICH_END = re.compile(r"^\s{0,20}[╰+][─-]{2,300}[╯+]")
_RICH_FRAME = re.compile(r"^\s{0,4}(\S{1,300}):(\d{1,9}) in (\S{1,100})")
_PYTEST_ERROR = re.compile(r"^E {3,20}(\S.{0,2000})$")
_PYTEST_MORE = re.compile(r"^E(?: {0,20}(.{0,2000}))?$")
_PYTEST_FRAME = re.compile(r"^([\w./\\-]{1,300}\.py):(\d{1,9}): in (\S{1,100})$")
_PYTEST_RULE = "=" * 20


def as_python_prints(lines: Sequence[str]) -> list[str]:
    """The lines, with each traceback in Python's own form."""
    return _with_headers(_without_pytest(_without_boxes(_one_thing_a_line(lines))))


def _one_thing_a_line(lines: Sequence[str]) -> list[str]:
    """A header and the first frame after it on a line each, as a paste may have joined them."""
    apart: list[str] = []
    for line in lines:
        joined = _SAME_LINE.match(line) if HEADER in line else None
        apart += [f"{joined[1]}{HEADER}:", f"{joined[1]}  {joined[2]}"] if joined else [line]
    return apart


def _without_boxes(lines: Sequence[str]) -> list[str]:
    """Rich draws a box around the frames and prints the exception below it."""
    plain: list[str] = []
    is_inside = False
    for line in lines:
        if HEADER in line and _RICH_HEADER.match(line):
            is_inside = True
            plain.append(f"{HEADER}:")
        elif is_inside and _RICH_END.match(line):
            is_inside = False
        elif is_inside and (boxed := _RICH_LINE.match(line)):
            if frame := _RICH_FRAME.match(boxed[1]):
                plain.append(f'  File "{frame[1]}", line {frame[2]}, in {frame[3]}')
        else:
            is_inside = False
            plain.append(line)
    return plain


def _without_pytest(lines: Sequence[str]) -> list[str]:
    """Pytest marks the lines of an exception with an E, below the frames."""
    plain: list[str] = []
    frames: list[str] = []
    is_inside = False
    for line in lines:
        if frame := _PYTEST_FRAME.match(line):
            frames.append(f'  File "{frame[1]}", line {frame[2]}, in {frame[3]}')
        if not is_inside and (error := _PYTEST_ERROR.match(line)):
            plain += [f"{HEADER}:", *frames, error[1]]
            frames, is_inside = [], True
        elif is_inside and (more := _PYTEST_MORE.match(line)):
            plain.append(more[1] or "")
        else:
            plain += [_PYTEST_RULE, line] if is_inside else [line]
            is_inside = False
    return plain


def _with_headers(lines: Sequence[str]) -> list[str]:
    """Frames whose header was cut off get one."""
    whole: list[str] = []
    is_open, prefix = False, ""
    for line in lines:
        body = line.removeprefix(prefix)
        if HEADER in line:
            is_open, prefix = True, line[: line.index(HEADER)]
        elif frame := _FRAME.match(line) if 'File "' in line else None:
            if not is_open:
                whole.append(f"{frame[1]}{HEADER}:")
                is_open, prefix = True, frame[1]
        elif (body and not body[0].isspace() and not (prefix and line.startswith(prefix.rstrip()))) or (
            prefix and line.startswith(prefix) and body and not body[0].isspace()
        ):
            is_open = False
        whole.append(line)
    return whole
