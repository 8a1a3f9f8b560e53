"""A traceback as text, pasted or from a log -> typed exceptions: ``read_chain(text)``.

Reads Python's own form with chains, groups and syntax errors, IPython's last line, and the dresses of
`harness.failures.traceback_styles`. Skips what loggers, engines and terminals put in front of a line. Where a log holds several tracebacks, the last one counts. Pure; its work is proportional to
the text, since no pattern looks further than its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmarks.wire import MOST_EXCEPTIONS
from harness.failures.traceback_styles import HEADER, as_python_prints
from harness.records.outcome import ExceptionRecord

MOST_FRAMES = 100
MOST_LINE_CHARACTERS = 2_000
MOST_MESSAGE_LINES = 60
"""Nothing marks the end of a message: up to this many lines that follow it in a log are read as a part of it."""

_COLOURS = re.compile(r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_])")
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_FRAME = re.compile(r'^\s{0,20}File "([^"]{1,500})", line (\d{1,9})(?:, in (.{1,200}))?$')
_NOTEBOOK_FRAME = re.compile(r"^(?:File )?([^\s:(]{1,500}\.py)(?::(\d{1,9}))?,? in ([\w.<>]{1,200})\(")
_NOTEBOOK_HEADER = re.compile(r"^([A-Za-z_][\w.]{0,200}) {2,300}Traceback \(most recent call last\)")
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]{0,200}?)(?:: (.{0,2000})|:)?$")
_KNOWN_ENDING = re.compile(r"(Error|Exception|Exit|Interrupt|Warning|Iteration|Group|Failed|Missing|Dependency|Version|Fault)$")
_GROUP_BORDER = re.compile(r"^\s{0,40}\+[-+]{2,}")
_GROUP_MARGIN = re.compile(r"^(?:\s{0,40}[|+] ?)")
_DIGIT = re.compile(r"\d")
_SOMETHING_ELSE = re.compile(
    r"^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|^\[?\d\d:\d\d:\d\d|^\[?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\]?(?::|\s{0,8}[\[|-]| {2})"
    r"|^time=\"|^\[rank\d|^\[[IWEF]\d{3,4} \d\d:|^={10}|^-{10}|^_{10}|^Exception ignored in|^(?:Killed|Aborted|Terminated)\b"
    r"|^(?:Memory access fault|HW Exception) by GPU|^terminate called|^(?:Segmentation fault|Bus error|Illegal instruction)|core dumped\)"
)
"""A line in a log that goes on after an exception: a logger's, a rule, or the death of the process."""
_PREFIX = re.compile(r"^(?:\s{0,8}\[?[\w.-]{1,40}\]?\s{0,24}\| ?|\([\w ]{1,40} pid=\d{1,9}[^)]{0,40}\) ?|\[rank\d{1,4}\]: ?)")
_SYMPTOM = re.compile(r"^Error: (?:Process completed with exit code|building at STEP|exit status|The operation was canceled)")
"""What a program says of another one's end; it says nothing of why."""


def read_chain(text: str) -> tuple[ExceptionRecord, ...]:
    """The exceptions of the last traceback, outermost first and the root cause last; empty where there is none.

    A text without a traceback that holds a line such as ``OSError: what it says`` gives that exception alone.
    """
    lines = as_python_prints(clean_lines(text))
    headers = [number for number, line in enumerate(lines) if HEADER in line]
    if not headers:
        return _last_bare_exception(lines)
    chains: list[list[ExceptionRecord]] = []
    ignored: list[bool] = []
    for position, header in enumerate(headers):
        end = headers[position + 1] if position + 1 < len(headers) else len(lines)
        record = _read_one(lines, header, end)
        if record is None:
            continue
        earlier = headers[position - 1] if position else 0
        link = _link_to_the_one_before(lines, earlier, header)
        if link == "chained" and (bare := _untraced_cause(lines, earlier, header, follows_another=bool(chains))):
            if chains and position:
                chains[-1].insert(0, bare)
            else:
                chains.append([bare])
                ignored.append(False)
        if link == "chained" and chains:
            chains[-1].insert(0, record)
        elif link == "member" and chains:
            chains[-1].append(record)
        else:
            chains.append([record])
            ignored.append(link == "ignored")
        if len(chains[-1]) > 2 * MOST_EXCEPTIONS:
            del chains[-1][MOST_EXCEPTIONS // 2 : -MOST_EXCEPTIONS // 2]
    told = [chain for chain, unheard in zip(chains, ignored, strict=True) if not unheard] or chains
    if not told:
        return _last_bare_exception(lines)
    chain = told[-1]
    if len(chain) > MOST_EXCEPTIONS:
        chain = chain[: MOST_EXCEPTIONS // 2] + chain[-MOST_EXCEPTIONS // 2 :]
    return tuple(chain)


def clean_lines(text: str) -> list[str]:
    """The lines of a text, without colours and carriage returns, and cut to a length."""
    plain = _COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return [line[:MOST_LINE_CHARACTERS].rstrip() for line in plain.split("\n")]


def _read_one(lines: Sequence[str], header: int, end: int) -> ExceptionRecord | None:
    """The exception whose header is at a line; ``None``: its text breaks off before its last line."""
    prefix = lines[header][: lines[header].index(HEADER)]
    notebook = _NOTEBOOK_HEADER.match(lines[header])
    group = prefix.rstrip().endswith("Exception Group")
    if notebook:
        prefix = ""
    elif group:
        prefix = prefix.rstrip()[: -len("Exception Group")]
    body = [_without_prefix(line, prefix, in_group=group or "|" in prefix) for line in lines[header + 1 : end]]
    frames: list[tuple[str, str, str]] = []
    for number, line in enumerate(body):
        frame = _FRAME.match(line) or (_NOTEBOOK_FRAME.match(line) if notebook else None)
        if frame:
            frames.append((frame[1], frame[2] or "0", frame[3] or ""))
        elif _is_exception_line(line, notebook[1] if notebook else None):
            return _record(line, body[number + 1 :], frames)
    return None


def _is_exception_line(line: str, notebook_type: str | None) -> bool:
    """Whether a line of a traceback's body is its last: it stands at the margin and is ``Type: message`` or ``Type``."""
    if notebook_type is not None:
        return line.split(":", 1)[0].rsplit(".", 1)[-1] == notebook_type.rsplit(".", 1)[-1]
    return bool(_EXCEPTION.match(line))


def _record(line: str, after: Sequence[str], frames: list[tuple[str, str, str]]) -> ExceptionRecord:
    """An exception, made from its last line, the lines that continue its message, and its frames."""
    found = _EXCEPTION.match(line)
    kind, first = (found[1], found[2] or "") if found else (line.split(":", 1)[0], line.partition(": ")[2])
    message = "\n".join([first, *_rest_of_message(after)]).strip("\n")
    where = ""
    if frames:
        file, number, function = frames[-1]
        where = f"{file}:{number} in {function}" if function else f"{file}:{number}"
        if not function:  # a syntax error: Python's own text of it names the place, as the guest's journal does
            name = file.replace("\\", "/").rsplit("/", 1)[-1]
            message = f"{message} ({name}, line {number})"
    kept = frames[-MOST_FRAMES:]
    listing = "".join(f'  File "{file}", line {number}, in {name}\n' for file, number, name in kept if name)
    return ExceptionRecord(type=kind, message=message, where=where, traceback=listing)


def _rest_of_message(after: Sequence[str]) -> list[str]:
    """The further lines of a message, up to a line that plainly is something else."""
    rest: list[str] = []
    for line in after[:MOST_MESSAGE_LINES]:
        if _connects(line) or line.startswith('"""') or _GROUP_BORDER.match(line) or _SOMETHING_ELSE.search(line):
            break
        rest.append(line)
    while rest and not rest[-1].strip():
        rest.pop()
    return rest


def _link_to_the_one_before(lines: Sequence[str], earlier: int, header: int) -> str:
    """How a traceback follows the one before it: ``chained``, ``member`` of a group, ``ignored``, or not at all."""
    before = [line for line in lines[max(earlier, header - 6) : header] if line.strip(" |")]
    if before and "Exception ignored in" in before[-1]:
        return "ignored"
    if any(_connects(line) for line in before[-2:]):
        return "chained"
    if before and _GROUP_BORDER.match(before[-1]):
        return "member"
    return ""


def _untraced_cause(lines: Sequence[str], earlier: int, header: int, *, follows_another: bool) -> ExceptionRecord | None:
    """An exception that was never raised, so that it has no traceback, between the one before and a chained one."""
    connectors = [n for n in range(max(earlier, header - 2 * MOST_MESSAGE_LINES), header) if _connects(lines[n])]
    if len(connectors) < 1 + follows_another:
        return None
    first = connectors[-2] + 1 if len(connectors) > 1 else max(earlier, connectors[-1] - MOST_MESSAGE_LINES)
    return next(iter(_last_bare_exception(lines[first : connectors[-1]])), None)


def _connects(line: str) -> bool:
    return any(words in line for words in _CHAINED)


def _without_prefix(line: str, prefix: str, *, in_group: bool) -> str:
    """A line without the prefix of its traceback's lines: a time, a container's name, a group's margin.

    Loggers put a prefix before the first line alone or before all lines; its digits may differ from line to line.
    """
    if prefix and _shape(line[: len(prefix)]) == _shape(prefix):
        line = line[len(prefix) :]
    elif prefix and _shape(line.strip()) == _shape(prefix.strip()):
        return ""
    elif in_group:
        line = _GROUP_MARGIN.sub("", line)
        margin = len(prefix.replace("|", " ").replace("+", " ")) - len(prefix.lstrip(" |+"))
        line = line[margin:] if margin > 0 and not line[:margin].strip() else line
    return line


def _shape(prefix: str) -> str:
    return _DIGIT.sub("0", prefix).replace("+", "|")


def _last_bare_exception(lines: Sequence[str]) -> tuple[ExceptionRecord, ...]:
    """The last line that reads as an exception, for a text without a traceback, such as users paste into an issue."""
    for number in range(len(lines) - 1, -1, -1):
        line = _PREFIX.sub("", lines[number], count=1).strip()
        found = None if _SYMPTOM.match(line) else _EXCEPTION.match(line)
        if found and found[2] is not None and _KNOWN_ENDING.search(found[1]) and not found[1].endswith("Warning"):
            return (_record(line, lines[number + 1 :], []),)
    return ()
