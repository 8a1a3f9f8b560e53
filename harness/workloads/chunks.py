"""How pyannote cuts a recording: chunks of 10 s, one a second.

Source: `segmentation_step=0.1` of pyannote.audio's SpeakerDiarization, over the 10 s that its segmentation models take.
"""

from __future__ import annotations

from harness.inputs.audio import SAMPLE_RATE_HERTZ

CHUNK_SECONDS = 10
STEP_SECONDS = 1
FREE_SECONDS = CHUNK_SECONDS - STEP_SECONDS
"""Audio that adds no chunk: T seconds have T - 9 of them."""


def chunks_of(audio_seconds: float) -> int:
    """How many there are; what is left at the end is one more."""
    step = STEP_SECONDS * SAMPLE_RATE_HERTZ
    left = round(audio_seconds * SAMPLE_RATE_HERTZ) - CHUNK_SECONDS * SAMPLE_RATE_HERTZ
    return 1 if left <= 0 else left // step + 1 + (left % step > 0)
