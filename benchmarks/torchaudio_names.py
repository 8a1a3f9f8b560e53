"""Names that pyannote.audio 3 asks torchaudio for, and torchaudio 2.9 and later no longer has.

While it is imported, pyannote.audio 3.4.0 reads ``torchaudio.AudioMetaData`` in an annotation and asks for the backends;
speechbrain 1.0 also asks for the backends (https://github.com/pyannote/pyannote-audio/issues/1952, won't be fixed).
None of these names is called on audio that comes as a waveform, as ours does.
"""

from __future__ import annotations

import importlib.metadata
import sys


class AudioMetaData:
    """Stands in for torchaudio's class: pyannote.audio 3 names it as a type, and never gets an instance from us."""


def lend() -> str | None:
    """Give torchaudio the names that this image's pyannote.audio 3 will miss; returns what was done, ``None``: nothing was needed.

    Call it before pyannote.audio (or speechbrain) is imported, and after torchaudio. It looks at what torchaudio has, not at its
    version: a torchaudio 2.8 was seen beside torch 2.10 (https://github.com/ROCm/TheRock/issues/2488).
    """
    torchaudio = sys.modules.get("torchaudio")
    pyannote = _version("pyannote.audio")
    if torchaudio is None or not pyannote.startswith("3."):
        return None
    lacking = {name: value for name, value in _STAND_INS.items() if not hasattr(torchaudio, name)}
    for name, value in lacking.items():
        setattr(torchaudio, name, value)
    if not lacking:
        return None
    return (
        f"torchaudio {_version('torchaudio')} lacks names that pyannote.audio {pyannote} asks for while it is imported: "
        f"stand-ins for {', '.join(lacking)} were given, which cannot read audio"
    )


def _list_audio_backends() -> list[str]:
    return ["soundfile"]


def _set_audio_backend(backend: str | None) -> None:
    pass


_STAND_INS = {
    "AudioMetaData": AudioMetaData,
    "list_audio_backends": _list_audio_backends,
    "set_audio_backend": _set_audio_backend,
}


def _version(distribution: str) -> str:
    """A distribution's version; empty where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
