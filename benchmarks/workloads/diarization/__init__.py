"""The workload ``diarization``: pyannote.audio tells who spoke when in one recording, pass by pass.

``options`` are ``pipeline`` (one of `PIPELINES`), ``segmentation_batch_size`` and ``embedding_batch_size``. ``inputs`` are ``audio``,
a WAV, and ``models``, the folder of the pipeline ``embedded``; the others need no folder, or find theirs by an environment variable.
The end of ``load`` also tells ``audio_seconds``, the version of ``pyannote`` and the ``threads``. The end of ``verify`` tells
``rttm`` of the last pass, ``distinct_outputs``, ``speakers``, ``speech_seconds`` and ``finite`` (see `output`), ``chunk`` (see
`chunk`) and, with the pipeline ``synthetic``, ``fingerprint`` (see `fingerprint`). Whether that is right is for the host to say.
"""

from __future__ import annotations

from benchmarks import measured
from benchmarks.wire import Request
from benchmarks.workloads import Stage
from benchmarks.workloads.diarization.diarize import Diarization, read_options

NEEDED: tuple[str, ...] = ("torch", "pyannote.audio", "pyannote.audio.Pipeline")
"""Only what pyannote.audio cannot do without: audio comes as a waveform, so torchcodec may be broken."""


def stages(request: Request) -> tuple[Stage, ...]:
    """Load, cold, warm and verify."""
    read_options(request.options)
    return measured.stages(request, Diarization)
