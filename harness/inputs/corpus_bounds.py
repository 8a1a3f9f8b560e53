"""The part of a reference that lies inside its recording, and so can be scored. Pure.

No image can find a turn after the end of the audio. It would count as missed, and the image would answer for a reference that is
too long or belongs to another recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from harness.inputs.corpus import Pair
from harness.inputs.corpus_lines import Turn

MOST_OVERHANG_SECONDS = 2.0
"""A reference that reaches at most this far past its recording is cut: annotators round, and encoders drop a last frame."""


def within(pair: Pair, seconds: float) -> tuple[Pair, str] | str:
    """A pair cut to its recording's length with a remark (empty: nothing was cut), or the reason why it cannot be scored."""
    ends = max((turn.start + turn.duration for turn in pair.turns), default=0.0)
    if ends > seconds + MOST_OVERHANG_SECONDS:
        return f"its reference ends {ends:.1f} s, the recording {seconds:.1f} s: is it another recording's?"
    turns = tuple(_cut(turn, seconds) for turn in pair.turns if turn.start < seconds)
    regions = pair.regions
    if regions is not None:
        regions = tuple((start, min(end, seconds)) for start, end in regions if start < seconds)
        if not regions:
            return f"nothing is left to score: all regions of its UEM lie after the recording's end at {seconds:.1f} s"
    if not _speech_seconds(turns, regions):
        where = "in the regions of its UEM" if regions is not None else "in the recording"
        return f"nothing is left to score: its reference has no speech {where}"
    over = [f"its {kind} was cut by {by:.2f} s to the recording's end" for kind, by in _overhangs(pair, seconds) if by >= 0.01]
    return msgspec.structs.replace(pair, turns=turns, regions=regions), " and ".join(over)


def _cut(turn: Turn, seconds: float) -> Turn:
    over = turn.start + turn.duration - seconds
    return turn._replace(duration=seconds - turn.start) if over > 0 else turn


def _overhangs(pair: Pair, seconds: float) -> Iterable[tuple[str, float]]:
    """How far a reference and a UEM reach past a recording's end."""
    yield "reference", max((turn.start + turn.duration for turn in pair.turns), default=0.0) - seconds
    yield "UEM", max((end for _, end in pair.regions or ()), default=0.0) - seconds


def _speech_seconds(turns: Iterable[Turn], regions: Iterable[tuple[float, float]] | None) -> float:
    """The seconds of all turns inside the regions; speech of two at once counts twice."""
    areas = [(0.0, math.inf)] if regions is None else list(regions)
    return sum(max(0.0, min(start + duration, end) - max(start, begin)) for start, duration, _ in turns for begin, end in areas)
