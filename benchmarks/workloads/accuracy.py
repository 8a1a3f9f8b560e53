"""The workload ``accuracy``: diarize each recording of a corpus and hand the hypotheses back. The host scores them.

The folder ``corpus`` of the ``inputs`` holds ``manifest.json``. Each of its ``files`` has ``audio`` (a WAV in that folder) and ``name``
(the file id). ``options`` are those of `benchmarks.workloads.diarization`, ``first`` (the index to begin with) and ``files``, whose
``limit_seconds`` say when a pass is given up.

Each ``result`` event has an ``outcome``: first ``loaded`` with its seconds; then for each recording ``trying``, and one of

``ok``
    ``audio_seconds``; ``seconds`` and ``processor_seconds`` of the pass alone; ``rttm``, the hypothesis to the millisecond, from which
    any scorer can compute.
``failed``
    ``chain``: the exception. The recordings after it are tried all the same.

A pass over its limit ends this process (exit status 1), as a crash does. The host then starts again after that recording.
"""

from __future__ import annotations

import faulthandler
import json
import math
import time
from pathlib import Path
from typing import Any

from benchmarks import memory, meter
from benchmarks.wire import Journal, Request, exception_chain
from benchmarks.workloads import Stage, diarization
from benchmarks.workloads.diarization.diarize import Diarization, read_options

MOST_HYPOTHESES_BYTES = 12 << 20
"""The most bytes of all hypotheses in one journal. The host reads `benchmarks.wire.MOST_JOURNAL_BYTES` of a journal. All of AMI, 100 h,
are about 8 MiB: 1,000 turns an hour, 80 bytes each."""

MOST_HYPOTHESIS_BYTES = 1 << 20
"""For one: ten hours of quick turns"""

MOST_CHAINS_BYTES = 1 << 20
"""For the exceptions of the recordings that failed"""


class NotFinite(Exception):  # noqa: N818 - the name is what a person reads in the report
    """A speaker turn has no finite start or end."""


class TooLong(Exception):  # noqa: N818 - likewise
    """A hypothesis does not fit in the journal, and without it there is nothing to score."""


NEEDED = diarization.NEEDED


def stages(request: Request) -> tuple[Stage, ...]:
    """One: all recordings."""
    read_options(request.options)
    return (("accuracy", lambda journal: run(request, journal)),)


def run(request: Request, journal: Journal) -> dict[str, Any]:
    """Diarize each recording; returns how many were tried. Raises whatever loading the pipeline raises."""
    folder = Path(request.inputs["corpus"])
    files = json.loads((folder / "manifest.json").read_text())["files"]
    synchronise = meter.synchroniser(request.device)
    begun = time.perf_counter()
    workload = Diarization(request, journal)
    loaded = workload.load_models()
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
            found = _one(workload, folder, files[index])
            found["rttm"] = evidence.text(found["rttm"])
        except Exception as error:
            journal.write("result", outcome="failed", index=index, chain=evidence.chain(error))
            _recover(request.device)
            # Raises where the GPU no longer answers: then nothing after it can be right, and the host starts afresh.
            synchronise()
            continue
        finally:
            faulthandler.cancel_dump_traceback_later()
        journal.write("result", outcome="ok", index=index, **found)
    return {
        "tried": len(files) - first,
        "peak_resident_bytes": memory.peak_resident_bytes(),
        **memory.torch_peaks(request.device),
    }


def _one(workload: Diarization, folder: Path, file: dict[str, Any]) -> dict[str, Any]:
    """What the journal gets about one recording."""
    audio_seconds = workload.read(str(folder / file["audio"]), name=file["name"])
    measured = workload.run()
    return {
        "audio_seconds": audio_seconds,
        "seconds": measured["seconds"],
        "processor_seconds": measured["processor_seconds"],
        "rttm": to_rttm(workload.take_output(), name=file["name"]),
    }


def to_rttm(hypothesis: Any, *, name: str) -> str:
    """The annotation as RTTM, in order of time; raises `NotFinite`."""
    lines = []
    for segment, _, speaker in hypothesis.itertracks(yield_label=True):
        if not (math.isfinite(segment.start) and math.isfinite(segment.end)):
            raise NotFinite(f"a turn of {speaker} lasts from {segment.start} to {segment.end}")
        lines.append(f"SPEAKER {name} 1 {segment.start:.3f} {segment.duration:.3f} <NA> <NA> {speaker} <NA> <NA>\n")
    return "".join(lines)


def _recover(device: str) -> None:
    """Give back the memory that a failed recording left allocated."""
    if device == "cpu":
        return
    import torch

    torch.cuda.empty_cache()


class _Evidence:
    """Keeps the journal short enough to be read whole."""

    def __init__(self) -> None:
        self._left_for_hypotheses = MOST_HYPOTHESES_BYTES
        self._left_for_chains = MOST_CHAINS_BYTES

    def text(self, rttm: str) -> str:
        """The hypothesis; raises `TooLong` where it does not fit."""
        size = len(json.dumps(rttm))
        if size > min(MOST_HYPOTHESIS_BYTES, self._left_for_hypotheses):
            raise TooLong(
                f"{size:,} bytes of turns do not fit in the journal, which has room for {self._left_for_hypotheses:,}"
            )
        self._left_for_hypotheses -= size
        return rttm

    def chain(self, error: Exception) -> list[dict[str, str]]:
        """The exception chain; only its root, without frames, where it does not fit."""
        chain = exception_chain(error)
        size = len(json.dumps(chain))
        if size > self._left_for_chains // 10:
            return [
                {**link, "message": link["message"][:300], "where": link["where"][:300], "traceback": ""} for link in chain[-1:]
            ]
        self._left_for_chains -= size
        return chain
