"""The workload ``kernels``: the parts of pyannote's networks, one kernel at a time, timed by pytest-benchmark in this process.

The folder ``tools`` of the ``inputs`` holds pytest, pytest-benchmark and what they need, all pure Python, since images have none of it.
``options`` are ``seconds``, how long each kernel is repeated, and ``only``, patterns of names. Each kernel has two ``result``
events: first ``outcome`` ``trying``, then

- ``ok``: ``kernel``, ``shape``, ``flop`` and ``bytes`` as counted by the module `work`, ``first_seconds`` (the first
  call, including what a library sets up, searches and compiles for it) and ``seconds``, one for each further call. Every timed
  call ends with the device's synchronisation. Or
- ``wrong`` (its output is not finite, so it has no time) or ``failed``, with ``chain``.

A crash costs the kernels after it; what was found before is in the journal.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import knobs
from benchmarks.wire import Journal, Request
from benchmarks.workloads import Stage, diarization
from benchmarks.workloads.kernels import work

_SETTINGS = """[pytest]
python_files = bench_*.py
python_functions = bench_*
"""


NEEDED = diarization.NEEDED


def stages(request: Request) -> tuple[Stage, ...]:
    """One: all kernels."""
    return (("kernels", lambda journal: run(request, journal)),)


class KernelsFailed(Exception):  # noqa: N818 - it tells what happened; each kernel's own error is in the journal
    """Not every kernel could be timed."""


def run(request: Request, journal: Journal) -> dict[str, Any]:
    """Time each kernel; returns what the end of the stage should tell. Raises `KernelsFailed` after the last of them."""
    knobs.compute_as_pyannote(request)
    notes = knobs.apply(knob for knob in request.knobs if knob in knobs.OF_TORCH)
    if "tools" in request.inputs:
        sys.path.insert(0, request.inputs["tools"])
    # Only the plugins named here are loaded: an image's own have no place in a measurement.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for variable in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(variable, None)
    pytest = importlib.import_module("pytest")
    suite = importlib.import_module("benchmarks.workloads.kernels.suite").Suite(request, journal)
    # Named, so that pytest reads no configuration of a folder above. The host gives each launch a home of its own.
    settings = Path.home() / "kernels.ini"
    settings.write_text(_SETTINGS)
    folder = str(Path(__file__).parent)
    options = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:faulthandler",
        "-p",
        "pytest_benchmark.plugin",
        "--benchmark-disable-gc",
    )
    status = int(pytest.main([folder, "-c", str(settings), "--rootdir", folder, *options], plugins=[suite]))
    if not suite.done and not suite.bad:
        raise KernelsFailed(f"no kernel was timed: pytest ended with status {status}; what it printed is in the log")
    if suite.bad or status != 0:
        of = len(suite.done) + len(suite.bad)
        raise KernelsFailed(
            f"{len(suite.bad)} of {of} kernel{'' if of == 1 else 's'} could not be timed (pytest's status {status}): {suite.why}"
        )
    return {
        "kernels": len(suite.done),
        "notes": notes,
        "tools": {name: importlib.import_module(name).__version__ for name in ("pytest", "pytest_benchmark")},
        "work": model_work(),
    }


def model_work() -> dict[str, int]:
    """FLOP of the networks, from which the work of a pipeline's pass can be counted."""
    return {
        "segmentation_chunk_flop": work.segmentation_flop(),
        "resnet34_item_flop": work.resnet34_flop() + work.fbank_flop(),
        "campplus_second_flop": work.campplus_flop(1000) // 10,
    }
