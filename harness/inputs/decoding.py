"""An audio file of any kind -> its samples, mono at 16 kHz, or the reason why it is no recording that can be diarized.

soundfile, soxr and numpy are imported inside functions: they cost a tenth of a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from harness.errors import AudioError

if TYPE_CHECKING:
    import numpy

SAMPLE_RATE_HERTZ = 16_000

SILENCE_PEAK = 1e-4
"""-80 dBFS: under this the loudest sample of a recording is not speech."""

LONGEST_SECONDS = 24 * 3600
LOWEST_RATE_HERTZ, HIGHEST_RATE_HERTZ = 1_000, 768_000

OPEN_END = 0x7FFF_0000
"""From here on a length in a header says that its writer did not know it: sox and arecord leave such ones in a pipe."""


def read_samples(file: Path) -> numpy.ndarray[Any, Any]:
    """Mono samples at 16 kHz, float32; raises `AudioError`."""
    import numpy
    import soundfile
    import soxr

    try:
        with soundfile.SoundFile(file) as source:
            rate, announced = source.samplerate, source.frames
            if not LOWEST_RATE_HERTZ <= rate <= HIGHEST_RATE_HERTZ:
                raise AudioError(f"{file} has a sample rate of {rate} Hz: that is no recording of speech")
            if announced > LONGEST_SECONDS * rate:
                raise AudioError(f"{file} is longer than a day; cut it first")
            samples = source.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _not_audio(file, error) from None
    _refuse_truncated(file, announced=announced, read=len(samples))
    if len(samples) == 0:
        raise AudioError(f"{file} holds no samples")
    if not numpy.isfinite(samples).all():
        raise AudioError(f"{file} holds samples that are not numbers (NaN or infinite)")
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE_HERTZ:
        mono = soxr.resample(mono, rate, SAMPLE_RATE_HERTZ, quality="VHQ")
    if len(mono) < SAMPLE_RATE_HERTZ:
        raise AudioError(f"{file} lasts {len(mono) / SAMPLE_RATE_HERTZ:.2f} s; diarization wants at least 1 s")
    if float(numpy.abs(mono).max()) < SILENCE_PEAK:
        raise AudioError(f"{file} is silent: its loudest sample is under -80 dBFS")
    return numpy.asarray(mono, dtype=numpy.float32)


def original_seconds(file: Path) -> float:
    """The length that a file announces. Raises `AudioError` where it is not audio."""
    import soundfile

    try:
        return float(soundfile.info(file).duration)
    except soundfile.LibsndfileError as error:
        raise _not_audio(file, error) from None


def _not_audio(file: Path, error: Any) -> AudioError:
    return AudioError(f"{file} is not audio that libsndfile reads ({error.error_string}); convert it to WAV or FLAC")


def _refuse_truncated(file: Path, *, announced: int, read: int) -> None:
    """Raise `AudioError` where a header announces more than the file holds: libsndfile shortens such a length in silence."""
    if read < announced:
        raise AudioError(f"{file} is truncated: its header announces {announced} frames, {read} are there")
    promised = _promised_bytes(file)
    size = file.stat().st_size
    if promised is not None and promised > size:
        raise AudioError(f"{file} is truncated: its header announces {promised} bytes, {size} are there")


def _promised_bytes(file: Path) -> int | None:
    """The file's size by its header; ``None`` where the format has none there, or a streaming writer left it open."""
    # RIFF and RF64: EBU Tech 3306; AIFF: a FORM chunk; AU and Wave64: their headers.
    with file.open("rb") as stream:
        head = stream.read(24)
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            return _promised_of_wave(stream)
    if head[:4] == b"FORM":
        size = int.from_bytes(head[4:8], "big")
        return None if size >= OPEN_END else 8 + size
    if head[:4] == b".snd":
        size = int.from_bytes(head[8:12], "big")
        return None if size >= OPEN_END else int.from_bytes(head[4:8], "big") + size
    if head[:4] == b"riff":
        size = int.from_bytes(head[16:24], "little")
        return None if size >= OPEN_END << 32 else size
    return None


def _promised_of_wave(stream: BinaryIO) -> int | None:
    """Where the ``data`` chunk of a WAV ends, found by walking its chunks."""
    at, large = 12, None
    while True:
        stream.seek(at)
        chunk = stream.read(24)
        if len(chunk) < 8:
            return None
        name, size = chunk[:4], int.from_bytes(chunk[4:8], "little")
        if name == b"ds64":
            large = int.from_bytes(chunk[16:24], "little")
        if name == b"data":
            if size == 0xFFFF_FFFF and large is not None:
                return at + 8 + large
            return None if size == 0 or size >= OPEN_END else at + 8 + size
        at += 8 + size + size % 2
