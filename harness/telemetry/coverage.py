"""Whether the samples cover the time that a number is to describe. Pure.

A sampler may be killed, and a meter may stop answering: what was read until then does not describe the whole time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import msgspec

from harness.records.launch import Launch
from harness.records.outcome import Telemetry

SLACK_PERIODS = 1.5
"""How far from the begin or the end of the passes the nearest reading may lie. A sampler that lived has readings on both sides."""

LONGEST_GAP_PERIODS = 4.0
"""The longest time between two readings with nothing missing between them: a reading or two may fail."""

_LOOKED_AT = 9
"""How many samples tell the time between two of them, which grows in a long launch."""


class Window(msgspec.Struct, frozen=True):
    """One pass, or several in a row: Unix seconds."""

    begin: float
    end: float
    passes: int = 1


def windows_of(launch: Launch, stage: str) -> tuple[Window, ...]:
    """When each pass of a stage ran, by the journal."""
    ended = ((each.at, each.seconds) for each in launch.said.passes(stage))
    return tuple(Window(at - seconds, at) for at, seconds in ended if at is not None and seconds is not None)


def points_of(telemetry: Telemetry, meter: str) -> list[tuple[float, float]]:
    """(Unix seconds, value) of the readings that did not fail."""
    values = telemetry.series.get(meter, ())
    return [(at, value) for at, value in zip(telemetry.times, values, strict=False) if value is not None]


def period_of(times: Sequence[float], hertz: float, when: float) -> float:
    """Seconds between two samples at some moment."""
    after = bisect_right(times, when)
    nearest = times[max(0, after - _LOOKED_AT) : after] if after > 1 else times[:_LOOKED_AT]
    return max([1 / hertz, *([median(b - a for a, b in pairwise(nearest))] if len(nearest) > 1 else [])])


def why_uncovered(
    telemetry: Telemetry, readings: Sequence[float], window: Window, *, every: int = 1, only_borders: bool = False
) -> str:
    """What the times of a meter's readings leave out of a window, in words; empty where they cover it.

    ``every``: the meter is read once in so many samples. ``only_borders``: it is a counter, which misses nothing between two
    readings.
    """
    if not readings:
        return "there is no reading"
    at_begin, at_end = (every * period_of(telemetry.times, telemetry.hertz, when) for when in (window.begin, window.end))
    if readings[0] > window.begin + SLACK_PERIODS * at_begin:
        return f"the readings begin {readings[0] - window.begin:.1f} s after the passes do"
    if readings[-1] < window.end - SLACK_PERIODS * at_end:
        return f"the readings stop {window.end - readings[-1]:.1f} s before the passes do"
    for earlier, later in pairwise(readings):
        if later <= window.begin or earlier >= window.end:
            continue
        is_at_border = earlier <= window.begin or later >= window.end
        if later - earlier > LONGEST_GAP_PERIODS * max(at_begin, at_end) and (is_at_border or not only_borders):
            return f"for {later - earlier:.1f} s around the passes there is no reading"
    return ""


def whole_of(windows: Sequence[Window]) -> Window:
    """The window from the begin of the first one to the end of the last one."""
    return Window(min(each.begin for each in windows), max(each.end for each in windows), sum(each.passes for each in windows))


def worked_of(launch: Launch) -> Window | None:
    """The time of a launch's passes, cold ones too; where there is none, the moment of its last word."""
    if windows := (*windows_of(launch, "cold"), *windows_of(launch, "warm")):
        return whole_of(windows)
    last = launch.said.last_at
    return None if last is None else Window(last, last)
