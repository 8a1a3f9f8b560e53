"""The workload ``probe``: one small computation after another on the device, each in a process of its own.

``options`` are ``steps`` (those of `benchmarks.wire.STEPS` to run), ``step_timeout_seconds`` and
``compiling_step_timeout_seconds``: the latter is for `benchmarks.wire.COMPILING_STEPS`, until one of them takes that long; null: as
for the others. What each step found is journaled as a ``step`` event. It reads no ``inputs``.
"""

from __future__ import annotations

from typing import Any

from benchmarks.wire import Journal, Request
from benchmarks.workloads import Stage
from benchmarks.workloads.probe.steps import read_options, run_steps

# As for diarization, although some steps need less: an image that cannot import these has failed.
NEEDED: tuple[str, ...] = ("torch", "pyannote.audio", "pyannote.audio.Pipeline")


def stages(request: Request) -> tuple[Stage, ...]:
    """One: all steps."""
    options = read_options(request.options)

    def probe(journal: Journal) -> dict[str, Any]:
        run_steps(options, journal, device=request.device)
        return {}

    return (("probe", probe),)
