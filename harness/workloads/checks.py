"""What cannot be true in a finished task's journal: ``task_lie(...)``, in words. Pure.

The image wrote the journal and may write anything. The ladder's check is part of its verdict (`harness.workloads.ladder`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.workloads.kernel_work import MODELS, work_on

SHORTEST_PASS_SECONDS = 1e-6
"""No pipeline processes a recording in less."""

SHORTEST_CALL_SECONDS = 1e-7
"""Starting one kernel and waiting for it takes a GPU microseconds."""

MOST_FLOP_A_SECOND = 1e16
"""10 PFLOP/s: no single device computes float32 so fast; the largest of 2025 reach a hundredth of it."""

MOST_BYTES_A_SECOND = 1e15
"""1 PB/s: no memory or cache moves so much."""

GRAIN_BYTES = 2 << 20
"""The guest rounds each size up to a multiple of this (`benchmarks.calibrate`)."""


def task_lie(task: str, said: Journal, options: Mapping[str, Any], device: str, run_seconds: float | None) -> str | None:
    """What cannot be true of a task that finished; ``None``: nothing. ``device`` is empty where it is not known."""
    results = said.results
    if task == "kernels":
        return _kernels_lie(results, options, device, run_seconds) or _models_lie(said.found(task).fields("work"))
    if task == "calibrate":
        return _calibration_lie(results, options.get("sizes_bytes"))
    if task == "accuracy":
        return _accuracy_lie(results, options, run_seconds)
    return None


def kernel_lie(event: Fields, device: str) -> str | None:
    """What cannot be true of a kernel that is said to be timed; ``None``: nothing."""
    name, flop, moved = _name(event), event.count("flop"), event.count("bytes")
    tables = [work_on(each) for each in ([device] if device else ["cpu", "cuda"])]
    allowed = [work[name] for work in tables if name in work]
    if not allowed:
        return f"{name} is no kernel that was asked for"
    if (flop, moved) not in allowed:
        return f"{name} is told as {flop} FLOP and {moved} bytes; it is {allowed[0][0]} and {allowed[0][1]}"
    return rate_lie(event)


def rate_lie(event: Fields) -> str | None:
    """What cannot be true of a kernel's times, or of the rates that follow from them; ``None``: nothing."""
    name, values = _name(event), (*event.numbers("seconds"), event.number("first_seconds"))
    if len(values) < 2 or any(value is None or value < SHORTEST_CALL_SECONDS for value in values):
        return f"a call of {name} took no time"
    shortest = min(value for value in values if value is not None)
    for kind, most in (("flop", MOST_FLOP_A_SECOND), ("bytes", MOST_BYTES_A_SECOND)):
        rate = (event.number(kind) or 0.0) / shortest
        if rate > most:
            unit = "FLOP" if kind == "flop" else "bytes"
            return f"{name} at {rate:.1e} {unit} a second; nothing does over {most:.0e}"
    return None


def overlong(what: str, seconds: float, run_seconds: float | None) -> str | None:
    """That a launch's calls or passes took longer than the launch ran; ``None``: they did not, or it is not known."""
    if run_seconds is None or seconds <= run_seconds:
        return None
    return f"its {what} took longer than the {run_seconds:.1f} s that it ran"


def call_seconds(events: Iterable[Fields]) -> float:
    """The time of all calls of some kernels."""
    return sum(value or 0.0 for event in events for value in event.numbers("seconds"))


def _name(event: Fields) -> str:
    return (event.text("kernel") or "a kernel without a name")[:100]


def _kernels_lie(results: Sequence[Fields], options: Mapping[str, Any], device: str, run_seconds: float | None) -> str | None:
    timed = [event for event in results if event.text("outcome") == "ok"]
    lie = next((lie for event in timed if (lie := kernel_lie(event, device))), None)
    if lie := lie or overlong("calls", call_seconds(timed), run_seconds):
        return lie
    names = {event.text("kernel") for event in timed}
    only = [str(pattern) for pattern in _list(options.get("only"))]
    asked = [name for name in work_on(device) if not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)]
    missing = [name for name in asked if name not in names]
    if missing or not timed:
        return f"it ends without {missing[0] if missing else 'any kernel'}"
    return None


def _models_lie(work: Fields) -> str | None:
    """That the networks' work, by which a pass is counted, is not what it is known to be; ``None``: it is."""
    wrong = next((name for name, flop in MODELS.items() if work.count(name) != flop), None)
    return None if wrong is None else f"the networks' work is told as {work.count(wrong)} {wrong}; it is {MODELS[wrong]}"


def _calibration_lie(results: Sequence[Fields], sizes: Any) -> str | None:
    """That a size that was asked for was not held; ``None``: each was."""
    if not any(event.text("phase") == "baseline" for event in results):
        return "it ends without a baseline"
    held = [event.count("allocated_bytes") for event in results if event.text("phase") == "held"]
    for size in _list(sizes):
        if not any(each is not None and 0 <= each - size < GRAIN_BYTES for each in held):
            return f"it ends without having held {size} bytes"
    return None if held else "it ends without having held anything"


def _accuracy_lie(results: Sequence[Fields], options: Mapping[str, Any], run_seconds: float | None) -> str | None:
    """That a recording has no end, or that the passes took too long; ``None``: neither. Scores are judged by
    `harness.workloads.accuracy`."""
    ended = {event.count("index") for event in results if event.text("outcome") in ("ok", "failed")}
    files, first = _list(options.get("files")), options.get("first")
    missing = [index for index in range(first if type(first) is int else 0, len(files)) if index not in ended]
    if missing:
        return f"it ends without recording {missing[0] + 1} of {len(files)}"
    spent = sum(event.number("seconds") or 0.0 for event in results if event.text("outcome") == "ok")
    return overlong("passes", spent, run_seconds)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
