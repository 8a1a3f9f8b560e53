"""RTTM text -> turns, with the bounds of what can be scored. Pure.

The text may come out of a container and hold anything. pyannote.metrics compares each turn with each piece of the recording that
begins before the turn's end, so its time grows with the square of their number: 1,000 turns take 0.5 s, 10,000 take 40 s, and
200,000 would take four hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Turn = tuple[float, float, str]
Turns = tuple[Turn, ...]
"""(start in seconds, end in seconds, speaker)"""

MOST_TURNS = 10_000
"""Ten hours of a quick meeting. Two sets of so many turns take three minutes to compare."""

MOST_SPEAKERS = 1_000
"""Speakers are matched in pairs, which takes seconds for so many; a recording has tens."""

MOST_AT_ONCE = 20
"""Speakers at one moment. Each piece of the recording is matched by itself, in a time that grows with the square of their number.
pyannote's networks tell at most four apart; people can tell fewer."""

LATEST_SECONDS = 1e6
"""No recording lasts eleven days. Times that are bounded have sums that are finite."""

ROUNDING_SECONDS = 0.002
"""RTTM rounds a start and a duration to the millisecond, so neighbours may seem to overlap by 1.5 ms."""


def read_turns(text: str) -> Turns | str:
    """The turns of one recording's RTTM, or the reason why they cannot be scored."""
    turns: list[Turn] = []
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, duration, speaker = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError):
            return "a line of its turns is not RTTM"
        if not (0 <= start <= LATEST_SECONDS and 0 <= duration <= LATEST_SECONDS):  # so NaN is refused too
            return f"a turn begins before 0 s, or is not over by {LATEST_SECONDS:,.0f} s"
        if len(turns) == MOST_TURNS:
            return f"there are more than {MOST_TURNS:,} turns, which would take too long to score"
        turns.append((start, start + duration, speaker))
    return why_not_scored(turns) or tuple(turns)


def why_not_scored(turns: Sequence[Turn]) -> str:
    """Why scoring would take too long; empty: it would not."""
    if len(turns) > MOST_TURNS:
        return f"there are more than {MOST_TURNS:,} turns, which would take too long to score"
    if len({speaker for _, _, speaker in turns}) > MOST_SPEAKERS:
        return f"there are more than {MOST_SPEAKERS:,} speakers, who would take too long to match"
    if most_at_once(turns) > MOST_AT_ONCE:
        return f"more than {MOST_AT_ONCE} turns at one moment would take too long to score"
    return ""


def comparisons(turns: Sequence[Turn], others: Sequence[Turn]) -> int:
    """What the time to compare two sets of turns grows with."""
    return (len(turns) + len(others)) ** 2


def most_at_once(turns: Iterable[Turn]) -> int:
    """The most turns that are under way at one moment."""
    borders = [border for start, end, _ in turns if end > start for border in ((start, 1), (end, -1))]
    most = current = 0
    for _, change in sorted(borders):  # where one ends as another begins, the end comes first
        current += change
        most = max(most, current)
    return most


def own_overlaps(turns: Iterable[Turn]) -> int:
    """The number of turns that begin before an earlier turn of the same speaker is over."""
    ends: dict[str, float] = {}
    found = 0
    for start, end, speaker in sorted(turns):
        reached = ends.get(speaker, -math.inf)
        found += start < reached - ROUNDING_SECONDS
        ends[speaker] = max(reached, end)
    return found
