"""Names that pyannote.audio 3 asks torchaudio for, and torchaudio 2.9 and later no longer has.

pyannote.audio 3.4.0 reads ``torchaudio.AudioMetaData`` in an annotation and asks for the backends, both while it is
imported; speechbrain 1.0 does the latter (https://github.com/pyannote/pyannote-audio/issues/1952, won't be fixed).
None of them is called on audio that comes as a waveform, and ours does.
"""

from __future__ import annotations

import importlib.metadata
import sys

NOTE = (
    "torchaudio {version} lacks names that pyannote.audio {pyannote} asks for while it is imported: stand-ins for {names} "
    "were given, which cannot read audio"
)


class AudioMetaData:
    """Stands where torchaudio's class stood: pyannote.audio 3 names it as a type, and gets none from us."""


def lend() -> str | None:
    """Give torchaudio what this image's pyannote.audio 3 will miss; returns what was done, ``None``: nothing was needed.

    To be called before pyannote.audio (or speechbrain) is imported, once torchaudio is known to import. Decided by what
    torchaudio has, not by its version: beside torch 2.10 a torchaudio 2.8 was seen (https://github.com/ROCm/TheRock/issues/2488).
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
    return NOTE.format(version=_version("torchaudio"), pyannote=pyannote, names=", ".join(lacking))


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
