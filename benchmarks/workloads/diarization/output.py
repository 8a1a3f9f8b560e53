"""The output of a pipeline in words that a journal can hold: the hypothesis as RTTM, its speakers and its speech.

The host scores it. No reference is mounted here, so that what an image says of itself cannot be copied from one.
"""

from __future__ import annotations

import io
import math
from typing import Any


def describe(hypotheses: list[Any]) -> dict[str, Any]:
    """A description of the passes' output.

    It is that of the last pass; ``distinct_outputs`` says how many different RTTMs the passes gave. ``speech_seconds`` is ``None``
    where a turn has no ``finite`` start or end.
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
    }


def to_rttm(hypothesis: Any) -> str:
    """The annotation as RTTM."""
    text = io.StringIO()
    hypothesis.write_rttm(text)
    return text.getvalue()
