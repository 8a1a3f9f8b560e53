"""The recording and the models of a run, from what a user typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.catalog.rows import AudioRow, Catalog, PipelineRow
from harness.errors import ModelsError, UsageError
from harness.inputs import models
from harness.inputs.audio import Audio, prepare_audio
from harness.inputs.embedded import ModelFile, embedded_folder, fetch_embedded
from harness.inputs.launch_inputs import Inputs, recording_inputs
from harness.inputs.models import FetchedFile
from harness.text import Say, nearest


def fetch_inputs(
    known: Catalog, pipeline: str, audio: str, reference: Path | None, seconds: float | None, *, say: Say
) -> Inputs:
    """The recording with the models, verified; the embedded profile is fetched where it is missing.

    Raises `UsageError`, `AudioError` or `ModelsError`.
    """
    recording = _recording_row(known, pipeline, audio, reference)
    if pipeline == "embedded" or (recording is not None and recording.file is None):
        show_licences(fetch_embedded(say=say), say=say)
    return recording_inputs(
        _recording(recording, known.pipelines[pipeline], audio, reference, seconds), models.models_for(pipeline)
    )


def locate_inputs(known: Catalog, pipeline: str, audio: str, reference: Path | None, seconds: float | None) -> Inputs:
    """The recording with the models for `--dry-run`: nothing is fetched, and the weights are not verified."""
    recording = _recording_row(known, pipeline, audio, reference)
    if recording is not None and recording.file is None and not (embedded_folder() / f"{recording.name}.wav").exists():
        raise ModelsError("the recording is not here yet: run `strixbench models fetch`")
    return recording_inputs(
        _recording(recording, known.pipelines[pipeline], audio, reference, seconds), models.locate_models(pipeline)
    )


def _recording_row(known: Catalog, pipeline: str, audio: str, reference: Path | None) -> AudioRow | None:
    """The catalog's row of a recording; ``None``: it is a file. Raises `UsageError` for a word that can only be meant as a row and
    is none, and for a reference with a pipeline whose output cannot be scored."""
    if reference is not None and known.pipelines[pipeline].random_weights:
        raise UsageError(f"--reference with the {pipeline} pipeline: its weights are random, so there is nothing to score")
    if re.match(r"[a-z][a-z0-9+.-]*://", audio):
        raise UsageError(f"--audio {audio}: strixbench downloads no recordings; fetch it yourself, and name the file")
    if audio not in known.audio and not Path(audio).exists() and "/" not in audio and "." not in audio:
        raise UsageError(f"{audio!r} is neither a file nor a recording of the catalog{nearest(audio, known.audio)}")
    return known.audio.get(audio)


def unread_sample(known: Catalog) -> Inputs:
    """The sample and the embedded profile as they are or would be, for the record of a launch that never read them.

    The recording's hash is empty where it is not here: nothing is fetched for a build.
    """
    try:
        return locate_inputs(known, "embedded", "sample", None, None)
    except ModelsError:
        row = known.audio["sample"]
        seconds = row.seconds or 0.0
        sample = Audio(name=f"{row.name}-{seconds:.0f}s", path=embedded_folder() / "sample.wav", seconds=seconds, sha256="")
        return recording_inputs(sample, models.locate_models("embedded"))


def _recording(row: AudioRow | None, pipeline: PipelineRow, audio: str, reference: Path | None, seconds: float | None) -> Audio:
    """The normalised recording of a catalog row, or of a file where there is none."""
    if row is None:
        return prepare_audio(Path(audio), reference=reference, seconds=seconds)
    folder = embedded_folder() if row.file is None else Path()
    found = prepare_audio(
        folder / (row.file or f"{row.name}.wav"),
        reference=reference or (folder / row.reference if row.reference else None),
        seconds=seconds,
    )
    if pipeline.random_weights:  # random turns against a reference would be a number that means nothing
        return msgspec.structs.replace(found, reference=None)
    # Known for the whole recording with its own reference and the pipeline that can be scored, not for a part of it or another's.
    is_known = pipeline.name == "embedded" and seconds is None and reference is None
    return msgspec.structs.replace(found, highest_der=row.highest_der if is_known else None)


def show_licences(files: Sequence[ModelFile | FetchedFile], *, say: Say) -> None:
    """Say the licences of what was just fetched, each once."""
    for licence in dict.fromkeys(file.licence for file in files):
        say(f"licence: {licence}")
