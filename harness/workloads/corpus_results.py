"""Launches of the accuracy workload -> a table for each corpus, with what other people reached on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from harness.records.launch import Launch
from harness.records.likeness import WORK, key_of
from harness.workloads.accuracy import Accuracy, accuracies_of
from harness.workloads.error_rates import Total

EXPECTED = {
    "ami": "the seed gives 12-14% for pipeline 3.1; OpenBench ran it (pyannote.audio 3.3.2) to 19% on the headset mix and 23% on one distant microphone",
    "voxconverse": "the seed gives 9-11% for pipeline 3.1; OpenBench ran it (pyannote.audio 3.3.2) to 11%",
    "dihard3": "the seed gives 17-19% for pipeline 3.1",
}
"""What pipeline 3.1 should reach, by the corpus name that the user gave. The seed is the guide that this project began with;
OpenBench's values are those of its BENCHMARKS.md (https://github.com/argmaxinc/OpenBench, ca95a2b)."""


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """One corpus with one pipeline, and the images that were scored on it."""

    name: str
    pipeline: str
    files: int
    """Recordings that could be read"""
    seconds: float
    collar_seconds: float
    expected: str | None
    """``None``: nothing is known about this corpus with this pipeline"""
    rows: tuple[Accuracy, ...]
    """By DER, those without one last"""


def corpora_of(launches: Iterable[Launch]) -> tuple[Corpus, ...]:
    """Each corpus, by name, with the latest run of each image; an interrupted run only where there is no other."""
    latest: dict[tuple[str, ...], Accuracy] = {}
    for found in accuracies_of(launches):
        plan = found.launch.plan
        collar = f"{found.collar_seconds:g}"
        corpus = (found.corpus, plan.workload.profile, plan.workload.input_sha256, collar)
        key: tuple[str, ...] = (*corpus, *key_of(plan, without=WORK))
        if found.launches[-1].verdict.cause != "interrupted" or key not in latest:
            latest[key] = found
    groups: dict[tuple[str, ...], list[Accuracy]] = {}
    for key, found in sorted(latest.items()):
        groups.setdefault(key[:4], []).append(found)
    return tuple(_corpus(rows) for rows in groups.values())


def as_builtins(found: Accuracy) -> dict[str, Any]:
    """One finding for ``--json``, with its launches by their ids."""
    plan = found.launch.plan
    fields = {name: getattr(found, name) for name in found.__struct_fields__ if name != "launches"}
    totals = {name: _total(getattr(found, name)) for name in ("strict", "collar")}
    files = [
        {
            **msgspec.to_builtins(file),
            "der": file.strict.der if file.strict else None,
            "der_with_collar": file.collar.der if file.collar else None,
        }
        for file in found.files
    ]
    return {
        "corpus": found.corpus,
        "cell": plan.cell,
        "image": found.launch.image,
        "variant": plan.variant,
        "engine": plan.engine.title,
        "pipeline": plan.workload.profile,
        "collar_seconds": found.collar_seconds,
        "expected": expected_of(found),
        "launches": [launch.id for launch in found.launches],
        "scored": len(found.scored),
        "failed": len(found.failed),
        "hours_an_hour": found.hours_an_hour,
        **msgspec.to_builtins(fields),
        **totals,
        "files": files,
        "notes": list(found.notes),
    }


def expected_of(found: Accuracy) -> str | None:
    """What pipeline 3.1 should reach on a corpus of this name; nothing is known about other pipelines."""
    plan = found.launch.plan
    return EXPECTED.get(str(plan.options.get("name") or "").lower()) if plan.workload.profile == "3.1" else None


def _total(total: Total | None) -> dict[str, Any] | None:
    """A total with its components and its rates."""
    if total is None:
        return None
    known: dict[str, Any] = msgspec.to_builtins(total)
    scores: dict[str, Any] = known.pop("scores")
    return {**known, **scores}


def _corpus(rows: list[Accuracy]) -> Corpus:
    """One corpus and pipeline with its rows."""
    first = rows[0]
    workload = first.launch.plan.workload
    ders = {id(row): row.strict.der if row.strict is not None else None for row in rows}
    return Corpus(
        name=first.corpus,
        pipeline=workload.profile,
        files=len(first.launch.plan.options.get("files") or ()),
        seconds=workload.amount,
        collar_seconds=first.collar_seconds,
        expected=expected_of(first),
        rows=tuple(sorted(rows, key=lambda row: (ders[id(row)] is None, ders[id(row)] or 0.0, row.launch.plan.cell))),
    )
