"""What shows whether the output is right: the hypothesis as RTTM, its speakers and speech, and its DER against a reference."""

from __future__ import annotations

import io
import math
from typing import Any


class BadReference(Exception):  # noqa: N818 - the name is what a person reads in the report
    """The reference RTTM cannot be read."""


def describe(hypotheses: list[Any], *, reference: str | None) -> dict[str, Any]:
    """A description of the passes' output.

    It is that of the last pass; ``distinct_outputs`` says how many different RTTMs the passes gave.
    ``der`` has pyannote.metrics' components in seconds (missed, false alarm, confusion, total: no collar, overlap
    scored), so that DER = (missed + false alarm + confusion) / total can be computed on reading; ``None`` without a
    reference.
    """
    texts = [to_rttm(hypothesis) for hypothesis in hypotheses]
    last = hypotheses[-1]
    finite = all(math.isfinite(segment.start) and math.isfinite(segment.end) for segment in last.itersegments())
    return {
        "rttm": texts[-1],
        "distinct_outputs": len(set(texts)),
        "speakers": len(last.labels()),
        "speech_seconds": float(last.get_timeline().support().duration()) if finite else None,
        "finite": finite,
        "der": error_components(last, reference) if reference is not None and finite else None,
    }


def to_rttm(hypothesis: Any) -> str:
    """The annotation as RTTM."""
    text = io.StringIO()
    hypothesis.write_rttm(text)
    return text.getvalue()


def error_components(hypothesis: Any, reference: str) -> dict[str, float]:
    """Seconds of each kind of diarization error, by pyannote.metrics.

    Source of the definition: https://pyannote.github.io/pyannote-metrics/reference.html#diarization
    """
    from pyannote.metrics.diarization import DiarizationErrorRate

    return components(DiarizationErrorRate().compute_components(read_rttm(reference), hypothesis))


def components(found: Any) -> dict[str, float]:
    """pyannote.metrics' components of an error rate, under names that carry their unit."""
    return {
        "missed_seconds": float(found["missed detection"]),
        "false_alarm_seconds": float(found["false alarm"]),
        "confusion_seconds": float(found["confusion"]),
        "total_seconds": float(found["total"]),
    }


def read_rttm(path: str) -> Any:
    """The annotation in one file's RTTM; raises `BadReference`, which names the line."""
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            fields = line.split()
            if not fields or fields[0] != "SPEAKER":
                continue
            try:
                start, duration, speaker = float(fields[3]), float(fields[4]), fields[7]
            except (IndexError, ValueError) as error:
                raise BadReference(f"line {number} of the reference is not RTTM: {line.strip()[:80]!r}") from error
            if not (0 <= start < math.inf and 0 <= duration < math.inf):
                raise BadReference(f"line {number} of the reference is not RTTM: {line.strip()[:80]!r}")
            annotation[Segment(start, start + duration), number] = speaker
    return annotation
