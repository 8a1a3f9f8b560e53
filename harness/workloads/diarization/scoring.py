"""Two sets of turns -> the seconds of each kind of error, by pyannote.metrics, the field's own scorer.

It counts a speaker's own overlapping turns once for each turn. One voice speaks once, so such turns are merged here first, and the
result says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from harness.workloads.diarization.turns import Turn, own_overlaps
from harness.workloads.error_rates import Scores

if TYPE_CHECKING:
    from pyannote.core import Annotation, Timeline

Region = tuple[float, float]
"""(start in seconds, end in seconds) of a part that is scored"""


class FullScore(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said about the turns of one recording; overlapped speech is scored."""

    strict: Scores
    """Without a collar"""
    collar: Scores
    jaccard_error: float
    """The sum over the reference's speakers, without a collar"""
    jaccard_speakers: int
    speakers: int
    """Inside what is scored, as ``reference_speakers``"""
    reference_speakers: int


def score(*, reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> Scores:
    """The seconds of each kind of error, with the best matching of speakers; no collar, overlapped speech scored.

    Definition: https://pyannote.github.io/pyannote-metrics/reference.html#diarization
    """
    said, found = annotation_of(reference), annotation_of(hypothesis)
    return _errors(said, found, _scored_part(said, found, None))


def score_in_full(
    *,
    reference: Sequence[Turn],
    hypothesis: Sequence[Turn],
    regions: Sequence[Region] | None,
    collar_seconds: float,
) -> FullScore:
    """Speakers and errors, with and without a collar.

    ``collar_seconds`` are left out on each side of the reference's boundaries. ``regions`` are what is scored; ``None``: everything
    from the first turn of either to the last.
    """
    from pyannote.metrics.diarization import JaccardErrorRate

    said, found = annotation_of(reference), annotation_of(hypothesis)
    part = _scored_part(said, found, regions)
    rate_of_jaccard: Any = JaccardErrorRate  # its constructor has no types
    jaccard = rate_of_jaccard().compute_components(said, found, uem=part)
    heard = [each.crop(part, mode="intersection") for each in (said, found)]
    return FullScore(
        strict=_errors(said, found, part),
        collar=_errors(said, found, part, collar_seconds=collar_seconds),
        jaccard_error=float(jaccard["speaker error"]),
        jaccard_speakers=int(jaccard["speaker count"]),
        speakers=len(heard[1].labels()),
        reference_speakers=len(heard[0].labels()),
    )


def rate(*, reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> float | None:
    """DER of one set of turns against the other: 0 where neither has any speech, ``None`` where only the hypothesis has."""
    scores = score(reference=reference, hypothesis=hypothesis)
    return 0.0 if scores.total_seconds == scores.error_seconds == 0 else scores.der


def annotation_of(turns: Sequence[Turn]) -> Annotation:
    """The turns as pyannote has them; a speaker's own turns are merged where some of them overlap."""
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, (start, end, speaker) in enumerate(turns):
        annotation[Segment(start, end), number] = speaker
    return annotation.support() if own_overlaps(turns) else annotation


def _errors(said: Annotation, found: Annotation, part: Timeline, *, collar_seconds: float = 0.0) -> Scores:
    """The components of DER. pyannote.metrics' ``collar`` is the sum of both sides of a boundary."""
    from pyannote.metrics.diarization import DiarizationErrorRate

    parts = DiarizationErrorRate(collar=2 * collar_seconds).compute_components(said, found, uem=part)
    return Scores(
        missed_seconds=float(parts["missed detection"]),
        false_alarm_seconds=float(parts["false alarm"]),
        confusion_seconds=float(parts["confusion"]),
        total_seconds=float(parts["total"]),
    )


def _scored_part(said: Annotation, found: Annotation, regions: Sequence[Region] | None) -> Timeline:
    """What is scored. Given or not, it is named: pyannote.metrics warns where it has to find it out."""
    from pyannote.core import Segment, Timeline

    if regions is not None:
        return Timeline([Segment(*region) for region in regions]).support()
    extent: Any = said.get_timeline().extent() | found.get_timeline().extent()
    return Timeline([extent] if extent else [])
