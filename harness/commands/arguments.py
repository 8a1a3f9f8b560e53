"""The words of a command line -> images, recording, models, limits; what cannot be is refused with the nearest that can.

Imports nothing heavy: `--dry-run` comes through here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.catalog.knobs import Family
from harness.catalog.load import (
    GPU_FAMILIES,
    AudioRow,
    Catalog,
    Image,
    foreign_image,
    is_portable,
    looks_like_reference,
    nearest,
    portable,
    select_images,
    unknown_image,
)
from harness.engines.base import Say
from harness.errors import ModelsError, UsageError
from harness.inputs import models
from harness.inputs.audio import LONGEST_SECONDS, SAMPLE_RATE_HERTZ, Audio, prepare_audio
from harness.inputs.models import FetchedFile, ModelFile, Models
from harness.records.launch import WITHOUT_ACCURACY

MOST_TIMEOUT_SECONDS = 30 * 24 * 3600

MOST_DURATIONS = 12

MOST_PRICE = 1_000_000
"""Of a kilowatt hour or of a machine's hour, in any currency: beyond, it is a slip, and its products overflow."""

MOST_PASTED_BYTES = 10_000_000
"""Read of a log, from its end: no traceback is longer, and a log says at its end why it ends."""


def choose_images(
    known: Catalog, names: Sequence[str], *, family: Family | None, as_portable: bool = False
) -> tuple[Image, ...]:
    """The images of the command line, each once, or their portable forms; a glob passes over those that have none.

    Raises `UsageError` for a name that nothing answers to.
    """
    chosen: dict[str, Image] = {}
    for name in names:
        matched = select_images(known, name)
        if not matched:
            if not looks_like_reference(name):
                raise unknown_image(known, name)
            matched = (foreign_image(name, family=family),)
        if as_portable:
            possible = tuple(image for image in matched if is_portable(image)) or matched[:1]
            matched = tuple(portable(image, known) for image in possible)
        chosen |= {image.name: image for image in matched}
    return tuple(chosen.values())


def parse_durations(text: str | None, audio_seconds: float | None) -> tuple[float | None, ...]:
    """``--durations`` as lengths in seconds, or the one of ``--audio-seconds``. Raises `UsageError`.

    Lengths are told apart by their names, which have whole seconds.
    """
    if text is None:
        return (audio_seconds,)
    if audio_seconds is not None:
        raise UsageError("--durations and --audio-seconds exclude each other: each gives the audio a length")
    if not re.fullmatch(r"[0-9.]+(,[0-9.]+)*", text.replace(" ", "")):
        raise UsageError(f"--durations {text!r} is not a list of seconds such as 11,30,120,600")
    try:
        lengths = tuple(float(word) for word in text.split(","))
    except ValueError:
        raise UsageError(f"--durations {text!r} is not a list of seconds such as 11,30,120,600") from None
    for length in lengths:
        if not 1 <= length <= LONGEST_SECONDS:
            raise UsageError(f"--durations {text!r}: {length:g} is not between 1 and {LONGEST_SECONDS} seconds")
    as_cut = (round(length * SAMPLE_RATE_HERTZ) / SAMPLE_RATE_HERTZ for length in lengths)
    if len({f"{length:.0f}" for length in as_cut}) < len(lengths):
        raise UsageError(f"--durations {text!r} has one length twice, to the second")
    if not 2 <= len(lengths) <= MOST_DURATIONS:
        raise UsageError(
            f"--durations {text!r}: give 2 to {MOST_DURATIONS} lengths, 3 or more for a fit; for one there is --audio-seconds"
        )
    return lengths


def with_wheelhouse(images: tuple[Image, ...], folder: Path | None) -> tuple[Image, ...]:
    """The images with a folder of wheels to look into first. Raises `UsageError` where there is no such folder."""
    if folder is None:
        return images
    if not folder.is_dir():
        raise UsageError(f"--wheelhouse {folder} is not a folder")
    return tuple(msgspec.structs.replace(image, wheelhouse=str(folder.resolve())) for image in images)


def fetch_inputs(
    known: Catalog, pipeline: str, audio: str, reference: Path | None, seconds: float | None, *, say: Say
) -> tuple[Audio, Models]:
    """The recording and the models, verified; the embedded profile is fetched where it is missing.

    Raises `UsageError`, `AudioError` or `ModelsError`.
    """
    _refuse_scoring(pipeline, reference)
    recording = known.audio.get(audio)
    _refuse_no_recording(known, audio)
    if pipeline == "embedded" or (recording is not None and recording.file is None):
        show_licences(models.fetch_embedded(say=say), say=say)
    return _recording(recording, audio, reference, seconds), models.models_for(pipeline)


def locate_inputs(
    known: Catalog, pipeline: str, audio: str, reference: Path | None, seconds: float | None
) -> tuple[Audio, Models]:
    """The same for `--dry-run`: nothing is fetched, and the weights are not read to verify them."""
    _refuse_scoring(pipeline, reference)
    recording = known.audio.get(audio)
    _refuse_no_recording(known, audio)
    if recording is not None and recording.file is None and not (models.embedded_folder() / f"{recording.name}.wav").exists():
        raise ModelsError("the recording is not here yet: run `strixbench models fetch`")
    return _recording(recording, audio, reference, seconds), models.locate_models(pipeline)


def _refuse_scoring(pipeline: str, reference: Path | None) -> None:
    """Raise `UsageError` for a reference that the pipeline's output must not be held against."""
    if reference is not None and pipeline in WITHOUT_ACCURACY:
        raise UsageError(f"--reference with the {pipeline} pipeline: its weights are random, so there is nothing to score")


def unread_sample(known: Catalog) -> tuple[Audio, Models]:
    """The sample and the embedded profile as they are, or would be: for a record of what never came to read them.

    Its hash is empty where the recording is not here: nothing is fetched for a build.
    """
    try:
        return locate_inputs(known, "embedded", "sample", None, None)
    except ModelsError:
        row = known.audio["sample"]
        seconds = row.seconds or 0.0
        sample = Audio(
            name=f"{row.name}-{seconds:.0f}s", path=models.embedded_folder() / "sample.wav", seconds=seconds, sha256=""
        )
        return sample, models.locate_models("embedded")


def _refuse_no_recording(known: Catalog, audio: str) -> None:
    """Raise `UsageError` for a word that can only be meant as a recording of the catalog and is none."""
    if audio not in known.audio and not Path(audio).exists() and "/" not in audio and "." not in audio:
        raise UsageError(f"{audio!r} is neither a file nor a recording of the catalog{nearest(audio, known.audio)}")


def _recording(row: AudioRow | None, audio: str, reference: Path | None, seconds: float | None) -> Audio:
    """The normalised recording of a catalog row, or of a file where there is none."""
    if row is None:
        return prepare_audio(Path(audio), reference=reference, seconds=seconds)
    folder = models.embedded_folder() if row.file is None else Path()
    return prepare_audio(
        folder / (row.file or f"{row.name}.wav"),
        reference=reference or (folder / row.reference if row.reference else None),
        seconds=seconds,
        # Known for the whole recording with its own reference, not for a part of it or another's.
        highest_der=row.highest_der if seconds is None and reference is None else None,
    )


def parse_family(text: str | None) -> Family | None:
    """``--family``; raises `UsageError` with the nearest."""
    families = (*GPU_FAMILIES, "cpu")
    if text is not None and text not in families:
        raise UsageError(f"--family {text!r}{nearest(text, families)}: there are {', '.join(families)}")
    return text


def parse_engine(text: str) -> str:
    """``--engine``; raises `UsageError` with the nearest."""
    names = ("auto", "podman", "docker", "local")
    if text not in names:
        raise UsageError(f"--engine {text!r}{nearest(text, names)}: there are {', '.join(names)}")
    return text


def parse_time_limit(value: float | None) -> float | None:
    """``--timeout``: a time limit that ends. Raises `UsageError`."""
    return None if value is None else parse_number("--timeout", value, 1, MOST_TIMEOUT_SECONDS, " seconds")


def parse_price(option: str, value: float | None) -> float | None:
    """``--price-per-kwh`` and ``--price-per-hour``. Raises `UsageError`."""
    return None if value is None else parse_number(option, value, 0, MOST_PRICE)


def parse_number(option: str, value: float, least: float, most: float, unit: str = "") -> float:
    """A number of the command line within its bounds. Raises `UsageError`, also for ``nan``, which passes typer's own."""
    if not least <= value <= most:
        raise UsageError(f"{option} {value:g} is not between {least} and {most}{unit}")
    return value


def parse_size(text: str | None) -> int | None:
    """``--memory``: ``512m``, ``8g``, ``8GiB`` or plain bytes, as bytes. Raises `UsageError`."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match or int(match[1]) == 0:
        raise UsageError(f"--memory {text!r} is not a size such as 512m or 8g")
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2]]


def show_licences(files: Sequence[ModelFile | FetchedFile], *, say: Say) -> None:
    """The licences of what was just fetched, each once."""
    for licence in dict.fromkeys(file.licence for file in files):
        say(f"licence: {licence}")


def read_pasted(name: str, *, say: Say) -> str:
    """The text of a file, or of stdin for ``-``; of a long one its end. Raises `UsageError` where it is no text."""
    if name == "-":
        if sys.stdin.isatty():
            say("paste the traceback or the log, then press Ctrl-D")
        data = _last_bytes(sys.stdin.buffer)
    elif not name or Path(name).is_dir():
        raise UsageError(f"{name or 'an empty name'} is a folder; name the file with the traceback")
    elif Path(name).exists() and not Path(name).is_file():
        raise UsageError(f"{name} is no plain file; pass it on stdin, as -")
    else:
        with Path(name).open("rb") as file:
            if file.seekable():
                file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_PASTED_BYTES - 1))
            data = _last_bytes(file)
    if len(data) > MOST_PASTED_BYTES:
        say(f"{name} is long: only its last {MOST_PASTED_BYTES // 10**6} MB are read")
    if b"\0" in data:
        raise UsageError(f"{name} is not text; save the traceback or the log as UTF-8")
    text = data.decode("utf-8", "replace")
    if not text.strip():
        raise UsageError(f"{name} is empty; pass a traceback, a log, or a launch's id")
    return text


def _last_bytes(stream: BinaryIO) -> bytes:
    """The end of a stream, one byte more than is read where it was longer; stops at once where it is no text."""
    kept = b""
    while data := stream.read(1 << 20):
        kept = (kept + data)[-MOST_PASTED_BYTES - 1 :]
        if b"\0" in data:
            break
    return kept
