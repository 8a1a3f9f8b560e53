"""The text of one RTTM or UEM -> what it says about each recording. A wrong line costs only the recording that it names. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

RTTM_FIELDS = 10

LONGEST_TURN_SECONDS = 24 * 3600.0
"""Nobody speaks for longer: such a duration is in milliseconds, or a typing error."""


class Turn(NamedTuple):
    """Who spoke when, in seconds."""

    start: float
    duration: float
    speaker: str


class Lines(msgspec.Struct, frozen=True, kw_only=True):
    """The content of one RTTM or UEM, by file id."""

    file: str
    """Its path as the user is shown it."""
    stem: str
    of: Mapping[str, tuple[tuple[object, ...], ...]]
    bad: Mapping[str, str] = {}
    """File id -> what is wrong with its lines; the file's own stem where a line names none."""


def parse_rttm(text: str, *, file: str, stem: str) -> Lines:
    """The speaker turns of an RTTM."""
    turns: dict[str, list[tuple[object, ...]]] = {}
    bad: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        if (why := _shifted(fields)) is not None:
            bad.setdefault(_or_stem(fields, 1, stem), f"{file}, line {number}: {why}; a name with a space in it?")
            continue
        try:
            turn = (*_two_times(fields[3], fields[4]), fields[7])
        except (IndexError, ValueError):
            bad.setdefault(_or_stem(fields, 1, stem), f"{file}, line {number} is not RTTM: {line.strip()[:80]!r}")
            continue
        if turn[1] > LONGEST_TURN_SECONDS:
            bad.setdefault(
                fields[1], f"{file}, line {number}: a turn of {turn[1]:g} s is longer than a day; RTTM is in seconds"
            )
            continue
        turns.setdefault(fields[1], []).append(turn)
    if not turns and not bad:
        bad[stem] = f"{file} has no SPEAKER line: it is not RTTM, empty, no plain file, or not to be read"
    return Lines(file=file, stem=stem, of={name: tuple(of) for name, of in turns.items()}, bad=bad)


def parse_uem(text: str, *, file: str, stem: str) -> Lines:
    """The scored regions of a UEM: lines of file id, channel, start and end; ``;;`` begins a comment."""
    regions: dict[str, list[tuple[object, ...]]] = {}
    bad: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";;"):
            continue
        try:
            start, end = _two_times(fields[2], fields[3])
            if not start < end:
                raise ValueError
        except (IndexError, ValueError):
            bad.setdefault(_or_stem(fields, 0, stem), f"{file}, line {number} is not UEM: {line.strip()[:80]!r}")
            continue
        regions.setdefault(fields[0], []).append((start, end))
    if not regions and not bad:
        bad[stem] = f"{file} names no region to be scored: it is not UEM, empty, no plain file, or not to be read"
    return Lines(file=file, stem=stem, of={name: tuple(of) for name, of in regions.items()}, bad=bad)


def _shifted(fields: Sequence[str]) -> str | None:
    """Why the columns of an RTTM line are not where they belong; ``None``: nothing says so. Read nevertheless, such a line gives
    times and speakers that mean nothing."""
    if len(fields) > RTTM_FIELDS:
        return f"it has {len(fields)} fields, RTTM has {RTTM_FIELDS}"
    if len(fields) > 2 and not fields[2].isdecimal() and fields[2] != "<NA>":
        return f"its channel, {fields[2][:80]!r}, is not a number"
    return None


def _two_times(first: str, second: str) -> tuple[float, float]:
    """Two texts as seconds; raises ValueError where one is no time."""
    times = float(first), float(second)
    if not all(0 <= time < math.inf for time in times):
        raise ValueError
    return times


def _or_stem(fields: Sequence[str], column: int, stem: str) -> str:
    return fields[column] if len(fields) > column + 1 else stem
