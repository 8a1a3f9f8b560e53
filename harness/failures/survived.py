"""A log -> what of it was survived: warnings, and tracebacks that a program logged below the level of errors. Pure.

What a program warns of and goes on after is no cause of what ends it later, however terrible it reads: every log of pyannote.audio 4
without FFmpeg holds a whole traceback of torchcodec.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST_BLOCK_LINES = 200
"""A warning's message is at most this long: torchcodec's holds a traceback for each version of FFmpeg."""

_TRACEBACK = "Traceback (most recent call last)"
_PREFIX = re.compile(
    r"^(?:\s{0,8}\[?[\w.-]{1,40}\]?\s{0,24}\| ?|\([\w ]{1,40} pid=\d{1,9}(?:, ip=[\d.]{1,20})?\) ?|\[rank\d{1,4}\]: ?)"
)
"""What engines and launchers of several processes put before each line."""
_WARNING = re.compile(r"^(?:.{0,300}?:\d{1,6}: |\s{0,8}|.{0,60}?\s)([A-Z]\w{0,60}Warning):(?: |$)")
_QUIET = re.compile(
    r"^.{0,60}?(?<![\w.'\"])(?:(?:DEBUG|TRACE|WARNING|WARN)(?![\w.'\"])|level=\"?(?:warning|debug|trace|info)\b|\[(?:warning|warn|debug)\]"
    r"|\((?:warning|debug)\))"
    r"|^\[?[WD]\d{3,4} \d\d:|^(?:MIOpen|rocBLAS|hipBLASLt)(?:\(\w{1,8}\))?:? ?\[?(?:Warning|Info\d?)\b|^warning: |^Warning: |^npm warn"
)
_LOUD = re.compile(r"\b(?:ERROR|CRITICAL|FATAL)\b|level=\"?(?:error|fatal)")
_INFO = re.compile(r"^.{0,60}?(?<![\w.'\"])(?:INFO|DEBUG|TRACE|WARNING|WARN)(?![\w.'\"])")
_TROUBLE = re.compile(
    r"(?i)fail|could ?n.t|could not|cannot|can.t|unable|error|exception|ignor|fall(?:ing)? ?back|skipp|unavailable|not available|missing|disabl"
    r"|retry|Traceback \(most"
)
"""Words of a line whose traceback is its own: an uncaught one may follow any line."""
_CODE_OF_WARNING = re.compile(r"^\s{2,}(?:\w{1,20}\.){0,3}_?warn\w{0,20}\(")
_BEGINS_AT_LOADER = "[start of libtorchcodec loading traceback]"
_ENDS_AT_LOADER = "[end of libtorchcodec loading traceback]"
_FATAL = re.compile(
    r"^(?:Memory access fault by GPU|HW Exception by GPU|terminate called|Killed|Aborted|Segmentation fault|Bus error|Illegal instruction"
    r"|Fatal Python error)|core dumped\)?"
)
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]{0,200}(?::|$)")
_CHAINED = re.compile(r"^(?:During handling of the above exception|The above exception was the direct cause)")


def split_survived(text: str) -> tuple[str, str]:
    """A text without what was survived (its lines are empty then), and what was survived alone."""
    lines = text.split("\n")
    bare = [_PREFIX.sub("", line[:2_000], count=1) for line in lines]
    survived = [False] * len(lines)
    number = 0
    while number < len(lines):
        end = _end_of_survived(bare, number)
        for each in range(number, end):
            survived[each] = True
        number = max(end, number + 1)
    left = "\n".join("" if gone else line for line, gone in zip(lines, survived, strict=True))
    return left, "\n".join(line for line, gone in zip(lines, survived, strict=True) if gone)


def _end_of_survived(lines: Sequence[str], number: int) -> int:
    """The line after what was survived and begins at this line; the line itself where nothing does."""
    line = lines[number]
    if line.startswith("Exception ignored in"):
        return _end_of_traceback(lines, number + 1) if _has_traceback(lines, number) else number + 1
    if _WARNING.match(line) and not _follows_a_frame(lines, number):
        return _end_of_warning(lines, number)
    quiet = _QUIET.match(line) is not None and not _LOUD.search(line[:100])
    is_told = quiet or (_INFO.match(line) is not None and not _LOUD.search(line[:100]))
    if is_told and _TROUBLE.search(line) and _has_traceback(lines, number):
        return _end_of_traceback(lines, number)
    return number + 1 if quiet else number


def _end_of_warning(lines: Sequence[str], number: int) -> int:
    """Python ends a warning with the line of code that gave it; torchcodec's message holds tracebacks of its own."""
    in_loader, last = False, number
    is_torchcodec = "torchcodec is not installed correctly" in " ".join(lines[number : number + 2])
    for at in range(number + 1, min(number + MOST_BLOCK_LINES, len(lines))):
        line = lines[at]
        if _CODE_OF_WARNING.match(line):
            return at + 1
        if _BEGINS_AT_LOADER in line:
            in_loader = True
        elif _ENDS_AT_LOADER in line:
            in_loader, last = False, at
            is_torchcodec = False
        elif not in_loader and (_WARNING.match(line) or _TRACEBACK in line or _FATAL.search(line) or _LOUD.search(line[:100])):
            break
        elif in_loader or is_torchcodec:
            last = at
    following = last + 1
    is_code = following < len(lines) and re.match(r"^\s{2,}\S", lines[following]) and 'File "' not in lines[following]
    return following + bool(is_code)


def _follows_a_frame(lines: Sequence[str], number: int) -> bool:
    """Whether a line ends a traceback: where warnings are errors, a warning is what the program died of."""
    return any(re.match(r'^\s{1,40}File "', line) for line in lines[max(0, number - 3) : number])


def _has_traceback(lines: Sequence[str], number: int) -> bool:
    """Whether a traceback begins at this line, or at one of the two after it."""
    return any(_TRACEBACK in line and not _LOUD.search(line[:100]) for line in lines[number : number + 3])


def _end_of_traceback(lines: Sequence[str], number: int) -> int:
    """The line after the traceback, and those chained to it, that begins near this line."""
    at = next((each for each in range(number, min(number + 3, len(lines))) if _TRACEBACK in lines[each]), number)
    while True:
        at += 1
        while at < len(lines) and not _EXCEPTION.match(lines[at]):
            if lines[at] and not lines[at][0].isspace() and not lines[at].startswith(("+", "|")):
                return at
            at += 1
        at += 1
        chained = next((each for each in range(at, min(at + 4, len(lines))) if _CHAINED.match(lines[each])), None)
        header = (
            None
            if chained is None
            else next((n for n in range(chained, min(chained + 4, len(lines))) if _TRACEBACK in lines[n]), None)
        )
        if header is None:
            return min(at, len(lines))
        at = header
