"""An audio file of any kind -> 16 kHz mono 16-bit WAV, kept by the hash of its content.

The guest decodes with the standard library alone; all that can be wrong with a file is found before a container starts:
here, and in `harness.inputs.decoding`.
"""

from __future__ import annotations

import hashlib
import os
import re
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from harness import places
from harness.errors import AudioError
from harness.inputs.corpus_lines import Turn, parse_rttm
from harness.inputs.decoding import LONGEST_SECONDS, SAMPLE_RATE_HERTZ, original_seconds, read_samples

if TYPE_CHECKING:
    import numpy

NORMALISATION = "1"
"""Part of the cache's key: raised when the same input would give other samples."""


class Audio(msgspec.Struct, frozen=True):
    """One recording as a launch reads it."""

    name: str
    """Ends in its length, as in ``sample-30s``; after ``--audio-seconds`` also says that it was fitted."""
    path: Path
    """16 kHz mono 16-bit PCM WAV"""
    seconds: float
    sha256: str
    """The hash of the normalised file: two launches with the same hash read the same samples."""
    reference: Path | None = None
    highest_der: float | None = None


def prepare_audio(
    file: Path, *, reference: Path | None = None, seconds: float | None = None, highest_der: float | None = None
) -> Audio:
    """A file normalised, taken from the cache where that was done before; ``seconds`` repeats or cuts it to a length.

    A cut of a recording with a reference begins where the share of speech is nearest to that of the whole: the work depends on
    speech, and different lengths of one recording are compared.

    Raises `AudioError` for a file that is missing, empty, truncated, silent, too short, or not audio, and for a
    reference that is not RTTM or has turns after the end of the recording.
    """
    if seconds is not None and not 1 <= seconds <= LONGEST_SECONDS:
        raise AudioError(f"--audio-seconds {seconds:g} is not between 1 and {LONGEST_SECONDS}")
    given = reference
    if reference is not None:
        check_reference(reference)
        # Under a plain name that a container's user may read, as the audio is.
        kept = places.cache() / "audio" / f"{_hash_of(reference)[:32]}.rttm"
        if not kept.exists():
            with _written_whole(kept) as stream:
                stream.write(reference.read_bytes())
        reference = kept
    content = _hash_of(file)
    original = original_seconds(file) if seconds is not None and reference is not None else 0.0
    begin = typical_begin(read_rttm(reference), original, seconds) if seconds is not None and reference is not None else 0.0
    key = hashlib.sha256(f"{NORMALISATION}:{content}:{seconds}{f':{begin}' if begin else ''}".encode()).hexdigest()
    path = places.cache() / "audio" / f"{key[:32]}.wav"
    if not path.exists():
        _write_wave(path, _fitted(read_samples(file), seconds, begin=begin, file=file))
    with wave.open(str(path), "rb") as normalised:
        length = normalised.getnframes() / SAMPLE_RATE_HERTZ
    if given is not None:
        _refuse_late_turns(given, file=file, end=original or length)
    if seconds is not None and reference is not None:
        reference = _fitted_reference(reference, original=original, begin=begin, seconds=length, key=key)
    return Audio(
        name=_name(file, length, fitted=seconds is not None),
        path=path,
        seconds=length,
        sha256=_hash_of(path),
        reference=reference,
        highest_der=highest_der,
    )


def check_reference(path: Path) -> None:
    """Raise `AudioError` unless the file is an RTTM with at least one speaker turn, all of one recording."""
    recordings = {recording for recording, _, _, _ in read_rttm(path)}
    if len(recordings) > 1:
        raise AudioError(f"reference {path} names {len(recordings)} recordings; give one for this recording alone")


def _refuse_late_turns(reference: Path, *, file: Path, end: float) -> None:
    """Raise `AudioError` where a turn begins after the end of the recording: every image would miss it."""
    late = next((start for _, start, _, _ in read_rttm(reference) if start >= end), None)
    if late is not None:
        raise AudioError(
            f"reference {reference} has a turn at {late:g} s, and {file} ends at {end:.1f} s: "
            "it belongs to another recording, or its times are not in seconds"
        )


def read_rttm(path: Path) -> list[tuple[str, float, float, str]]:
    """The speaker turns of an RTTM: recording, start and duration in seconds, speaker. Raises `AudioError`."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise AudioError(f"reference {path} is no plain file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AudioError(f"reference {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AudioError(f"reference {path} cannot be read: {error}") from error
    lines = parse_rttm(text, file=f"reference {path}", stem=path.stem)
    if lines.bad:
        raise AudioError(next(iter(lines.bad.values())))
    return [(name, *Turn(*turn)) for name, turns in lines.of.items() for turn in turns]  # type: ignore[arg-type]


def typical_begin(turns: Sequence[tuple[str, float, float, str]], original: float, seconds: float) -> float:
    """The begin of the cut of that length whose share of speech is nearest to the whole recording's: the earliest of several,
    and 0 where nothing is cut. Tries each tenth of a second, in a long recording a thousand places."""
    if seconds >= original:
        return 0.0
    turns = sorted(turns, key=lambda turn: turn[1])
    wanted = _speech(turns, 0.0, original) * seconds / original
    last = int((original - seconds) * 10)
    begins = [step / 10 for step in range(0, last + 1, max(1, last // 1000))]
    return min(begins, key=lambda begin: (round(abs(_speech(turns, begin, begin + seconds) - wanted), 6), begin))


def _speech(turns: Sequence[tuple[str, float, float, str]], begin: float, end: float) -> float:
    """Seconds between two moments in which anybody speaks; turns are in the order of their start."""
    total, reached = 0.0, begin
    for _, start, duration, _ in turns:
        until = min(start + duration, end)
        total += max(0.0, until - max(start, reached))
        reached = max(reached, until)
    return total


def _fitted(samples: numpy.ndarray[Any, Any], seconds: float | None, *, begin: float, file: Path) -> numpy.ndarray[Any, Any]:
    """The samples repeated to a length, or cut to it from a moment on."""
    import numpy

    if seconds is None:
        if len(samples) > LONGEST_SECONDS * SAMPLE_RATE_HERTZ:
            raise AudioError(f"{file} is longer than a day; cut it with --audio-seconds")
        return samples
    return numpy.resize(samples[round(begin * SAMPLE_RATE_HERTZ) :], round(seconds * SAMPLE_RATE_HERTZ))


def _write_wave(path: Path, samples: numpy.ndarray[Any, Any]) -> None:
    """Write 16-bit PCM."""
    import numpy

    integers = numpy.clip(numpy.rint(samples * 32768.0), -32768, 32767).astype("<i2")
    with _written_whole(path) as stream, wave.open(stream, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE_HERTZ)
        target.writeframes(integers.tobytes())


def _fitted_reference(reference: Path, *, original: float, begin: float, seconds: float, key: str) -> Path:
    """The reference, repeated or cut as its audio was. Speakers keep their names in each repetition."""
    lines: list[str] = []
    for repetition in range(int(seconds // original) + 1):
        for recording, start, duration, speaker in read_rttm(reference):
            turn_begin = start + repetition * original - begin
            end = min(turn_begin + duration, (repetition + 1) * original - begin, seconds)
            turn_begin = max(turn_begin, 0.0)
            if end > turn_begin:
                span = f"{turn_begin:.3f} {end - turn_begin:.3f}"
                lines.append(f"SPEAKER {recording} 1 {span} <NA> <NA> {speaker} <NA> <NA>\n")
    if not lines:
        raise AudioError(f"reference {reference} has no speech in the {seconds:g} s from {begin:g} s on")
    path = places.cache() / "audio" / f"{key[:32]}-{_hash_of(reference)[:12]}.rttm"
    with _written_whole(path) as stream:
        stream.write("".join(lines).encode())
    return path


@contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A stream into a file that appears whole or not at all, readable by a container's user too."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as stream:
        try:
            yield stream
            stream.flush()
            os.chmod(stream.name, 0o644)
            os.replace(stream.name, path)
        except BaseException:
            Path(stream.name).unlink(missing_ok=True)
            raise


def _name(file: Path, seconds: float, *, fitted: bool) -> str:
    """``stem-30s``; ``stem-fitted-120s`` where ``--audio-seconds`` made it."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", file.stem)[:60] or "audio"
    return f"{stem}{'-fitted' if fitted else ''}-{seconds:.0f}s"


def _hash_of(file: Path) -> str:
    """SHA-256 of a file's content; raises `AudioError` where there is none to read."""
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise AudioError(f"{file} is no plain file; a pipe must be written to a file first")
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if file.stat().st_size == 0:
            raise AudioError(f"{file} is empty")
    except FileNotFoundError:
        raise AudioError(f"audio file {file} does not exist") from None
    except OSError as error:
        raise AudioError(f"audio file {file} cannot be read: {error.strerror}") from error
    return digest
