"""Launches of the task ``accuracy`` -> a table for each corpus, with what other people reached on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from harness.analysis.intervals import CONFIDENCE
from harness.records.launch import Launch
from harness.text import counted
from harness.workloads.accuracy import Accuracy, FileResult, accuracies_of
from harness.workloads.error_rates import FEWEST_FOR_INTERVAL, Total

EXPECTED = {
    "ami": "the seed gives 12-14% for pipeline 3.1; OpenBench ran it (pyannote.audio 3.3.2) to 19% on the headset mix and 23% on one distant microphone",
    "voxconverse": "the seed gives 9-11% for pipeline 3.1; OpenBench ran it (pyannote.audio 3.3.2) to 11%",
    "dihard3": "the seed gives 17-19% for pipeline 3.1",
}
"""What pipeline 3.1 should reach, by the corpus name that the user gave. The seed is the guide that this project began with;
OpenBench's values are those of its BENCHMARKS.md (https://github.com/argmaxinc/OpenBench, ca95a2b)."""

MOST_FILES_SHOWN = 10
"""How many of a row's scored recordings the page shows, the worst first; ``--json`` has all."""

MOST_FAILURES_SHOWN = 30


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

    @property
    def title(self) -> str:
        return f"{self.pipeline} on {self.name}: {counted(self.files, 'recording')}, {length_text(self.seconds)}"


def corpora_of(launches: Iterable[Launch]) -> tuple[Corpus, ...]:
    """Each corpus, by name, with the latest run of each image; an interrupted run only where there is no other."""
    latest: dict[tuple[str, ...], Accuracy] = {}
    for found in accuracies_of(launches):
        plan = found.launch.plan
        collar = f"{found.collar_seconds:g}"
        corpus = (found.corpus, plan.workload.profile, plan.workload.input_sha256, collar)
        key: tuple[str, ...] = (*corpus, found.launch.image, plan.variant, plan.engine.title, plan.flags, plan.gpu or "")
        if found.launches[-1].verdict.cause != "interrupted" or key not in latest:
            latest[key] = found
    groups: dict[tuple[str, ...], list[Accuracy]] = {}
    for key, found in sorted(latest.items()):
        groups.setdefault(key[:4], []).append(found)
    return tuple(_corpus(rows) for rows in groups.values())


def length_text(seconds: float) -> str:
    """``9.1 h``; below an hour ``1.3 min``."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def version_of(found: Accuracy) -> str:
    """The version of pyannote.audio."""
    return str(found.launch.imports.get("pyannote.audio", {}).get("version") or "-")


def worst(found: Accuracy) -> tuple[FileResult, ...]:
    """The scored recordings with the highest DER, the highest first."""
    rates = [(file.strict.der, file) for file in found.scored if file.strict is not None]
    known = sorted(((der, file) for der, file in rates if der is not None), key=lambda each: (-each[0], each[1].name))
    return tuple(file for _, file in known[:MOST_FILES_SHOWN])


def scored_text(found: Accuracy) -> str:
    """How many recordings were scored: ``16``, or ``14 of 16`` where some failed."""
    scored, failed = len(found.scored), len(found.failed)
    return f"{scored} of {scored + failed}" if failed else str(scored)


def der_text(total: Total | None) -> str:
    """``12.3% [10.9, 13.8]``; without the interval where there are too few recordings for one."""
    if total is None or total.der is None:
        return "-"
    interval = total.interval
    return f"{total.der:.1%}" + (f" [{100 * interval.low:.1f}, {100 * interval.high:.1f}]" if interval else "")


def parts_text(total: Total | None) -> str:
    """Missed, false alarm and confusion, in percent of the reference's speech."""
    if total is None or total.missed is None or total.false_alarm is None or total.confusion is None:
        return "-"
    return f"{total.missed:.1%} + {total.false_alarm:.1%} + {total.confusion:.1%}"


def file_der_text(file: FileResult, *, with_collar: bool = False) -> str:
    """A recording's DER."""
    scores = file.collar if with_collar else file.strict
    return "-" if scores is None or scores.der is None else f"{scores.der:.1%}"


def speakers_text(found: Accuracy) -> str:
    """``off by 0.25, right in 75%``"""
    if found.speaker_count_error is None or found.speaker_count_right is None:
        return "-"
    return f"off by {found.speaker_count_error:.2f}, right in {found.speaker_count_right:.0%}"


def throughput_text(found: Accuracy) -> str:
    """``35.2``"""
    return "-" if found.hours_an_hour is None else f"{found.hours_an_hour:.1f}"


EXPLANATION = (
    "DER is the sum of errors over the sum of speech of all n recordings, by pyannote.metrics, overlapped speech scored; in "
    f"brackets a {CONFIDENCE:.0%} interval by a bootstrap over recordings, from {FEWEST_FOR_INTERVAL} recordings on. Its parts are "
    "missed + false alarm + confusion. The first DER has no collar, the second one of so many seconds on each side of each "
    "boundary of the reference. JER, without a collar, is the mean over the reference's speakers. Speakers: the mean of how many "
    "too many or too few were found, and the share of recordings with the right number. Audio h/h is audio hours an hour of "
    "processing: of the passes alone, one each, the first of a launch with what a first pass costs."
)
"""What the numbers are, so that nobody has to guess"""


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
