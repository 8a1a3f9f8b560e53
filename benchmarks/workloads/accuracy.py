"""The task ``accuracy``: diarize each recording of a corpus and score it against its reference with pyannote.metrics.

The folder ``corpus`` holds ``manifest.json``. Each of its ``files`` has ``audio`` (a WAV in that folder), ``name`` (the file id),
``turns`` of the reference (start and duration in seconds, speaker) and ``regions`` (start and end of what is scored; null: all).
Three options are read: ``collar_seconds`` (on each side of a reference's boundary), ``first`` (the index to begin with) and
``files``, whose ``limit_seconds`` say when a pass is given up.

Each ``result`` event has an ``outcome``: first ``loaded`` with its seconds; then for each recording ``trying``, and one of

``ok``
    ``audio_seconds``; ``seconds`` and ``processor_seconds`` of the pass alone; ``rttm``, the hypothesis, empty where it would be
    too long for the journal; ``speakers`` and ``reference_speakers`` inside the scored regions; ``strict`` and ``collar``, each
    ``missed_seconds``, ``false_alarm_seconds``, ``confusion_seconds``, ``total_seconds``; ``jaccard``: ``error`` (a sum over the
    reference's speakers) and ``speakers``, without a collar. Overlapped speech is scored.
``failed``
    ``chain``: the exception. The recordings after it are tried all the same.

The hypothesis is scored as its RTTM gives it, to the millisecond, so that any other scorer can check these numbers.

A pass over its limit ends this process (exit status 1), as a crash does. The host then starts again after that recording.
"""

from __future__ import annotations

import faulthandler
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks import memory, meter
from benchmarks.wire import Journal, Request, exception_chain
from benchmarks.workloads.diarization.diarize import Diarization
from benchmarks.workloads.diarization.output import components

MOST_EVIDENCE_CHARACTERS = 2_000_000
"""The most characters of all hypotheses and exceptions in one journal: the host reads 4 MiB of it."""

MOST_RTTM_CHARACTERS = 200_000
"""For one hypothesis: an hour of quick turns takes half of it."""


class NotFinite(Exception):  # noqa: N818 - the name is what a person reads in the report
    """A speaker turn has no finite start or end."""


def run(request: Request, journal: Journal) -> dict[str, Any]:
    """Diarize and score; returns how many recordings were tried. Raises whatever loading the pipeline raises."""
    folder = Path(request.folders["corpus"])
    files = json.loads((folder / "manifest.json").read_text())["files"]
    synchronise = meter.synchroniser(request.device)
    begun = time.perf_counter()
    workload = Diarization(request, journal)
    loaded = workload.load()
    journal.write("result", outcome="loaded", **{**loaded, "seconds": time.perf_counter() - begun})
    evidence = _Evidence()
    first = int(request.options["first"])
    for index in range(first, len(files)):
        journal.write("result", outcome="trying", index=index)
        # faulthandler's own thread in C ends even a pass whose kernel never returns.
        limit_seconds = float(request.options["files"][index]["limit_seconds"])
        if index == first:  # it compiles
            limit_seconds = max(limit_seconds, request.first_pass_seconds or 0.0)
        faulthandler.dump_traceback_later(limit_seconds, exit=True)
        try:
            found = _one(workload, folder, files[index], collar_seconds=float(request.options["collar_seconds"]))
        except Exception as error:
            journal.write("result", outcome="failed", index=index, chain=evidence.chain(error))
            _recover(request.device)
            # Raises where the GPU no longer answers: then nothing after it can be right, and the host starts afresh.
            synchronise()
            continue
        finally:
            faulthandler.cancel_dump_traceback_later()
        found["rttm"] = evidence.text(found["rttm"])
        journal.write("result", outcome="ok", index=index, **found)
    return {
        "tried": len(files) - first,
        "peak_resident_bytes": memory.peak_resident_bytes(),
        **memory.torch_peaks(request.device),
    }


def _one(workload: Diarization, folder: Path, file: dict[str, Any], *, collar_seconds: float) -> dict[str, Any]:
    """What the journal gets about one recording."""
    audio_seconds = workload.read(str(folder / file["audio"]), name=file["name"])
    measured = workload.run()
    rttm = to_rttm(workload.take_output(), name=file["name"])
    return {
        "audio_seconds": audio_seconds,
        "seconds": measured["seconds"],
        "processor_seconds": measured["processor_seconds"],
        "rttm": rttm,
        **score(file["turns"], _turns_of(rttm), file["regions"], collar_seconds=collar_seconds),
    }


def to_rttm(hypothesis: Any, *, name: str) -> str:
    """The annotation as RTTM, in order of time; raises `NotFinite`."""
    lines = []
    for segment, _, speaker in hypothesis.itertracks(yield_label=True):
        if not (math.isfinite(segment.start) and math.isfinite(segment.end)):
            raise NotFinite(f"a turn of {speaker} lasts from {segment.start} to {segment.end}")
        lines.append(f"SPEAKER {name} 1 {segment.start:.3f} {segment.duration:.3f} <NA> <NA> {speaker} <NA> <NA>\n")
    return "".join(lines)


def score(
    reference: list[list[Any]], hypothesis: list[list[Any]], regions: list[list[float]] | None, *, collar_seconds: float
) -> dict[str, Any]:
    """Speakers and errors by pyannote.metrics, from turns (start, duration, speaker).

    ``collar_seconds`` is the collar on each side of a boundary; pyannote.metrics' own ``collar`` is the sum of both sides
    (https://pyannote.github.io/pyannote-metrics/reference.html#pyannote.metrics.diarization.DiarizationErrorRate).
    Without regions everything from the first turn of either to the last is scored.
    """
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate

    said, found = _annotation(reference), _annotation(hypothesis)
    scored = None if regions is None else Timeline([Segment(*region) for region in regions]).support()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that without regions all is scored, which is intended
        strict = DiarizationErrorRate().compute_components(said, found, uem=scored)
        collar = DiarizationErrorRate(collar=2 * collar_seconds).compute_components(said, found, uem=scored)
        jaccard = JaccardErrorRate().compute_components(said, found, uem=scored)
    if scored is not None:
        said, found = said.crop(scored, mode="intersection"), found.crop(scored, mode="intersection")
    return {
        "speakers": len(found.labels()),
        "reference_speakers": len(said.labels()),
        "strict": components(strict),
        "collar": components(collar),
        "jaccard": {"error": float(jaccard["speaker error"]), "speakers": int(jaccard["speaker count"])},
    }


def _annotation(turns: list[list[Any]]) -> Any:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for number, (start, duration, speaker) in enumerate(turns):
        annotation[Segment(start, start + duration), number] = speaker
    return annotation


def _turns_of(rttm: str) -> list[list[Any]]:
    """The turns of an RTTM that `to_rttm` wrote."""
    fields = (line.split() for line in rttm.splitlines())
    return [[float(field[3]), float(field[4]), field[7]] for field in fields]


def _recover(device: str) -> None:
    """Give back the memory that a failed recording left allocated."""
    if device == "cpu":
        return
    import torch

    torch.cuda.empty_cache()


class _Evidence:
    """Keeps the journal short enough to be read whole: what no longer fits is left out."""

    def __init__(self) -> None:
        self._left = MOST_EVIDENCE_CHARACTERS

    def text(self, rttm: str) -> str:
        """The hypothesis, or nothing where it does not fit."""
        if len(rttm) > min(MOST_RTTM_CHARACTERS, self._left):
            return ""
        self._left -= len(rttm)
        return rttm

    def chain(self, error: Exception) -> list[dict[str, str]]:
        """The exception chain; only its root, without frames, where it does not fit."""
        chain = exception_chain(error)
        size = len(json.dumps(chain))
        if size > self._left // 10:
            return [
                {**link, "message": link["message"][:300], "where": link["where"][:300], "traceback": ""} for link in chain[-1:]
            ]
        self._left -= size
        return chain
