"""Launches that scored a made-up corpus. All numbers are made up; none is a measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from harness.records.journal import number
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from tests.unit.samples import WORKLOAD, Event, a_launch, a_link, a_plan, passing_journal, timed

DONE = {"event": "done", "peak_resident_bytes": 1}


def a_score(error: float, total: float = 10.0, *, parts: tuple[float, float, float] | None = None) -> dict[str, float]:
    """Components of so many error seconds, a half of them missed where nothing else is said."""
    missed, false_alarm, confusion = parts or (error / 2, error / 4, error / 4)
    return {
        "missed_seconds": missed,
        "false_alarm_seconds": false_alarm,
        "confusion_seconds": confusion,
        "total_seconds": total,
    }


def a_hypothesis(index: int, *turns: tuple[float, float, str], **changes: Any) -> Event:
    """The last word on a recording of which a guest found turns (start, end, speaker)."""
    lines = (f"SPEAKER f{index} 1 {start} {end - start} <NA> <NA> {who} <NA> <NA>\n" for start, end, who in turns)
    told = {"event": "result", "outcome": "ok", "index": index, "audio_seconds": 60.0, "seconds": 2.0, "rttm": "".join(lines)}
    return {**told, **changes}


def a_result(index: Any, error: float = 1.0, total: float = 10.0, **changes: Any) -> Event:
    """The last word of an older guest, which scored; twice as much is right with the collar."""
    return {
        "event": "result",
        "outcome": "ok",
        "index": index,
        "audio_seconds": 60.0,
        "seconds": 2.0,
        "processor_seconds": 3.0,
        "rttm": "",
        "speakers": 2,
        "reference_speakers": 2,
        "strict": a_score(error, total),
        "collar": a_score(error / 2, total),
        "jaccard": {"error": 0.5, "speakers": 2},
        **changes,
    }


def trying(index: int) -> Event:
    return {"event": "result", "outcome": "trying", "index": index}


def failing(index: int, message: str = "HIP error: no kernel") -> Event:
    return {"event": "result", "outcome": "failed", "index": index, "chain": [a_link("builtins.RuntimeError", message)]}


def accuracy_journal(results: Iterable[Event], *, ends: bool = True) -> tuple[Event, ...]:
    """What a guest writes that was asked for the accuracy; ``ends``: it comes to the end of the task."""
    results = tuple(results)
    spent = 1.0 + sum(number(event.get("seconds")) or 0.0 for event in results)
    last: Sequence[Event] = ({"event": "end", "stage": "accuracy", "seconds": spent}, DONE) if ends else ()
    begun = passing_journal(last_stage="device")[:-1]
    return timed((*begun, {"event": "begin", "stage": "accuracy"}, *results, *last))


def an_accuracy_launch(
    number: int,
    results: Iterable[Event],
    *,
    files: int = 3,
    first: int = 0,
    ends: bool = True,
    run: str = "run-1",
    name: str = "",
    pipeline: str = "embedded",
    options: dict[str, Any] | None = None,
    run_seconds: float | None = None,
    log_tail: str = "",
    **plan: Any,
) -> Launch:
    """A launch over recordings of a minute each, named ``f0`` and so on."""
    workload = msgspec.structs.replace(
        WORKLOAD, profile=pipeline, input=f"{name or 'corpus'}-{files}-files", amount=60.0 * files, highest_error=None
    )
    planned = [{"name": f"f{index}", "seconds": 60.0, "limit_seconds": 600.0} for index in range(files)]
    asked = {"run": run, "name": name, "collar_seconds": 0.25, "files": planned, "first": first, **(options or {})}
    made = a_plan(number, last_stage="device", task="accuracy", options=asked, workload=workload, **plan)
    ended = ExitRecord(started=True, code=0 if ends else 139, run_seconds=run_seconds)
    return a_launch(made, journal=accuracy_journal(results, ends=ends), exit=ended, log_tail=log_tail)
