"""Diarization: RTTM text -> turns; two sets of turns -> the diarization error rate between them. Pure.

pyannote.metrics gives the same number (a test holds them together) where no speaker's own turns overlap, as in what a pipeline
puts out. Where they do, that time counts here once, since one voice speaks once; pyannote.metrics counts it once a turn, unless
such turns are merged before (`Annotation.support`). It brings pandas, scikit-learn and more, for one formula that the host needs
once a launch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from harness.inputs.decoding import SAMPLE_RATE_HERTZ

Turn = tuple[float, float, str]
Turns = tuple[Turn, ...]
"""(start in seconds, end in seconds, speaker)"""

MOST_TURNS = 200_000
"""A day of speech has fewer; more is no hypothesis."""

MOST_SPEAKERS = 1_000


def read_turns(text: str) -> Turns | None:
    """The turns of an RTTM of one recording; ``None`` where a line cannot be one, or where there are too many."""
    turns: list[Turn] = []
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, duration, speaker = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError):
            return None
        end = start + duration  # of two that are finite it need not be
        if not (math.isfinite(end) and start >= 0 and duration >= 0) or len(turns) == MOST_TURNS:
            return None
        turns.append((start, end, speaker))
    return tuple(turns) if len({speaker for _, _, speaker in turns}) <= MOST_SPEAKERS else None


def error_rate(*, reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> float | None:
    """(missed + false alarm + confusion) / speech of the reference: no collar, overlap scored, speakers matched as well as can be.

    0 where neither has any speech; ``None`` where the hypothesis alone has; NaN where the turns are so long that their sum is not
    finite. Source of the definition:
    https://pyannote.github.io/pyannote-metrics/reference.html#diarization
    """
    import numpy
    from scipy.optimize import linear_sum_assignment

    rows = {name: number for number, name in enumerate(sorted({who for _, _, who in reference}))}
    columns = {name: number for number, name in enumerate(sorted({who for _, _, who in hypothesis}))}
    together = numpy.zeros((len(rows), len(columns)))
    total = most = 0.0
    for seconds, truth, guess in _pieces(reference, hypothesis):
        total += seconds * len(truth)
        most += seconds * max(len(truth), len(guess))
        for one in truth:
            for other in guess:
                together[rows[one], columns[other]] += seconds
    if not math.isfinite(most):
        return math.nan
    correct = float(together[linear_sum_assignment(together, maximize=True)].sum())
    wrong = max(0.0, most - correct)  # in each piece missed, false alarm and confusion sum to the larger count less the correct
    if total > 0:
        return wrong / total
    return 0.0 if most == 0 else None


def _pieces(reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> Iterator[tuple[float, frozenset[str], frozenset[str]]]:
    """The time between one border and the next, with who speaks in it by either."""
    borders: dict[float, list[tuple[int, str, int]]] = {}
    for side, turns in enumerate((reference, hypothesis)):
        for start, end, who in turns:
            if end > start:
                borders.setdefault(start, []).append((side, who, 1))
                borders.setdefault(end, []).append((side, who, -1))
    speaking: tuple[dict[str, int], dict[str, int]] = ({}, {})
    before = 0.0
    for border in sorted(borders):
        if speaking[0] or speaking[1]:
            yield border - before, frozenset(speaking[0]), frozenset(speaking[1])
        for side, who, change in borders[border]:
            count = speaking[side].get(who, 0) + change
            if count:
                speaking[side][who] = count
            else:
                speaking[side].pop(who, None)
        before = border


# How pyannote cuts a recording: `segmentation_step=0.1` of pyannote.audio's SpeakerDiarization, over the 10 s that its
# segmentation models take.
CHUNK_SECONDS = 10


STEP_SECONDS = 1


FREE_SECONDS = CHUNK_SECONDS - STEP_SECONDS
"""Audio that adds no chunk: T seconds have T - 9 of them."""


def chunks_of(audio_seconds: float) -> int:
    """How many there are; what is left at the end is one more."""
    step = STEP_SECONDS * SAMPLE_RATE_HERTZ
    left = round(audio_seconds * SAMPLE_RATE_HERTZ) - CHUNK_SECONDS * SAMPLE_RATE_HERTZ
    return 1 if left <= 0 else left // step + 1 + (left % step > 0)
