"""Seconds of error by recording -> the error rate over a corpus, with its interval. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from harness.records.fields import Fields

FEWEST_FOR_INTERVAL = 10
"""Recordings that an interval needs: with fewer, the bootstrap's intervals are too narrow to be believed."""

RESAMPLES = 1_000
SEED = 20_260_101
"""A fixed seed, so that the same store gives the same interval."""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of each kind of error, counted as pyannote.metrics does; overlapped speech is scored."""

    missed_seconds: float
    false_alarm_seconds: float
    confusion_seconds: float
    total_seconds: float
    """Speech of the reference; it counts twice where two speak at once"""

    @property
    def error_seconds(self) -> float:
        return self.missed_seconds + self.false_alarm_seconds + self.confusion_seconds

    @property
    def der(self) -> float | None:
        """Diarization error rate, 0.05 is 5%; ``None`` where the reference has no speech.

        https://pyannote.github.io/pyannote-metrics/reference.html#diarization
        """
        return self.error_seconds / self.total_seconds if self.total_seconds > 0 else None


def scores_of(told: Fields) -> Scores | None:
    """The seconds in a stored or journaled value; ``None`` where a part is missing, below zero, or no finite number."""
    seconds = {name: told.number(name) for name in Scores.__struct_fields__}
    known = {name: each for name, each in seconds.items() if each is not None and each >= 0}
    return Scores(**known) if len(known) == len(seconds) else None


class Interval(msgspec.Struct, frozen=True):
    """The 95% interval of an error rate over corpora like this one: percentiles of a bootstrap over its recordings."""

    low: float
    high: float


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """All scored recordings together, scored in one way."""

    scores: Scores
    der: float | None
    missed: float | None
    false_alarm: float | None
    confusion: float | None
    """The three parts of DER, also as shares of the reference's speech; they sum to DER"""
    interval: Interval | None
    """``None``: fewer recordings than `FEWEST_FOR_INTERVAL`"""


def total_of(scores: Sequence[Scores]) -> Total | None:
    """The sum over recordings, which weighs each by its speech, as pyannote.metrics does; ``None`` without a score."""
    if not scores:
        return None
    names = Scores.__struct_fields__
    total = Scores(**{name: sum(getattr(each, name) for each in scores) for name in names})
    speech = total.total_seconds

    def share(seconds: float) -> float | None:
        return seconds / speech if speech > 0 else None

    return Total(
        scores=total,
        der=total.der,
        missed=share(total.missed_seconds),
        false_alarm=share(total.false_alarm_seconds),
        confusion=share(total.confusion_seconds),
        interval=bootstrap([(each.error_seconds, each.total_seconds) for each in scores]),
    )


def bootstrap(files: Sequence[tuple[float, float]]) -> Interval | None:
    """The 95% interval of sum(error) / sum(speech) over recordings (error seconds, speech seconds); ``None`` for too few.

    It takes percentiles over resamples of whole recordings, since the parts of one recording are not independent
    (Bisani and Ney, Bootstrap estimates for confidence intervals in ASR performance evaluation, ICASSP 2004).
    """
    if len(files) < FEWEST_FOR_INTERVAL:
        return None
    source = random.Random(SEED)  # noqa: S311 - not for secrets; the standard library's stream never changes
    rates = []
    for _ in range(RESAMPLES):
        drawn = source.choices(files, k=len(files))
        speech = sum(each[1] for each in drawn)
        if speech > 0:
            rates.append(sum(each[0] for each in drawn) / speech)
    if not rates:
        return None
    rates.sort()
    return Interval(rates[int(0.025 * len(rates))], rates[min(len(rates) - 1, int(0.975 * len(rates)))])
