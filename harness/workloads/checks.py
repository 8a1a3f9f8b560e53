"""What cannot be true in a finished task's journal: ``task_lie(...)``, in words. Pure.

The image wrote the journal and may write anything. The ladder's check is part of its verdict (`harness.workloads.ladder`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.records.journal import mapping, number
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
"""The guest rounds each size up to a multiple of this (`benchmarks.workloads.calibrate`)."""

Event = Mapping[str, Any]


def task_lie(
    task: str, journal: Sequence[Event], options: Mapping[str, Any], device: str, run_seconds: float | None
) -> str | None:
    """What cannot be true of a task that finished; ``None``: nothing. ``device`` is empty where it is not known."""
    results = [event for event in journal if event.get("event") == "result"]
    if task == "kernels":
        end = next((event for event in journal if event.get("event") == "end" and event.get("stage") == task), {})
        return _kernels_lie(results, options, device, run_seconds) or _models_lie(end.get("work"))
    if task == "calibrate":
        return _calibration_lie(results, options.get("sizes_bytes"))
    if task == "accuracy":
        return _accuracy_lie(results, options, run_seconds)
    return None


def kernel_lie(event: Event, device: str) -> str | None:
    """What cannot be true of a kernel that is said to be timed; ``None``: nothing."""
    name, flop, moved = str(event.get("kernel"))[:100], number(event.get("flop")), number(event.get("bytes"))
    tables = [work_on(each) for each in ([device] if device else ["cpu", "cuda"])]
    allowed = [work[name] for work in tables if name in work]
    if not allowed:
        return f"{name} is no kernel that was asked for"
    if (flop, moved) not in allowed:
        return f"{name} is told as {event.get('flop')} FLOP and {event.get('bytes')} bytes; it is {allowed[0][0]} and {allowed[0][1]}"
    return rate_lie(event)


def rate_lie(event: Event) -> str | None:
    """What cannot be true of a kernel's times, or of the rates that follow from them; ``None``: nothing."""
    name = str(event.get("kernel"))[:100]
    calls = event.get("seconds")
    values = [number(value) for value in (*(calls if isinstance(calls, list) else []), event.get("first_seconds"))]
    if len(values) < 2 or any(value is None or value < SHORTEST_CALL_SECONDS for value in values):
        return f"a call of {name} took no time"
    shortest = min(value for value in values if value is not None)
    for kind, most in (("flop", MOST_FLOP_A_SECOND), ("bytes", MOST_BYTES_A_SECOND)):
        if (number(event.get(kind)) or 0.0) / shortest > most:
            unit = "FLOP" if kind == "flop" else "bytes"
            return f"{name} at {(number(event.get(kind)) or 0.0) / shortest:.1e} {unit} a second; nothing does over {most:.0e}"
    return None


def overlong(what: str, seconds: float, run_seconds: float | None) -> str | None:
    """That a launch's calls or passes took longer than the launch ran; ``None``: they did not, or it is not known."""
    if run_seconds is None or seconds <= run_seconds:
        return None
    return f"its {what} took longer than the {run_seconds:.1f} s that it ran"


def call_seconds(events: Iterable[Event]) -> float:
    """The time of all calls of some kernels."""
    return sum(number(value) or 0.0 for event in events for value in _list(event.get("seconds")))


def _kernels_lie(results: Sequence[Event], options: Mapping[str, Any], device: str, run_seconds: float | None) -> str | None:
    timed = [event for event in results if event.get("outcome") == "ok"]
    lie = next((lie for event in timed if (lie := kernel_lie(event, device))), None)
    if lie := lie or overlong("calls", call_seconds(timed), run_seconds):
        return lie
    names = {str(event.get("kernel")) for event in timed}
    only = [str(pattern) for pattern in _list(options.get("only"))]
    asked = [name for name in work_on(device) if not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)]
    missing = [name for name in asked if name not in names]
    if missing or not timed:
        return f"it ends without {missing[0] if missing else 'any kernel'}"
    return None


def _models_lie(work: Any) -> str | None:
    """That the networks' work, by which a pass is counted, is not what it is known to be; ``None``: it is."""
    told = mapping(work)
    wrong = [name for name, flop in MODELS.items() if number(told.get(name)) != flop]
    return (
        f"the networks' work is told as {str(told.get(wrong[0]))[:40]} {wrong[0]}; it is {MODELS[wrong[0]]}" if wrong else None
    )


def _calibration_lie(results: Sequence[Event], sizes: Any) -> str | None:
    """That a size that was asked for was not held; ``None``: each was."""
    if not any(event.get("phase") == "baseline" for event in results):
        return "it ends without a baseline"
    held = [event.get("allocated_bytes") for event in results if event.get("phase") == "held"]
    for size in _list(sizes):
        if not any(type(each) is int and 0 <= each - size < GRAIN_BYTES for each in held):
            return f"it ends without having held {size} bytes"
    return None if held else "it ends without having held anything"


def _accuracy_lie(results: Sequence[Event], options: Mapping[str, Any], run_seconds: float | None) -> str | None:
    """That a recording has no end, or that the passes took too long; ``None``: neither. Scores are judged by
    `harness.workloads.accuracy`."""
    last = [event.get("index") for event in results if event.get("outcome") in ("ok", "failed")]
    ended = {index for index in last if type(index) is int}
    files, first = _list(options.get("files")), options.get("first")
    missing = [index for index in range(first if type(first) is int else 0, len(files)) if index not in ended]
    if missing:
        return f"it ends without recording {missing[0] + 1} of {len(files)}"
    spent = sum(number(event.get("seconds")) or 0.0 for event in results if event.get("outcome") == "ok")
    return overlong("passes", spent, run_seconds)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()
