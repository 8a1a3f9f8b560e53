"""Launches of the task ``accuracy`` -> a table for each corpus, with what other people reached on it."""

from __future__ import annotations

from harness.analysis.intervals import CONFIDENCE
from harness.text import counted
from harness.workloads.accuracy import Accuracy, FileResult
from harness.workloads.corpus_results import Corpus
from harness.workloads.corpus_results import corpora_of as corpora_of
from harness.workloads.error_rates import FEWEST_FOR_INTERVAL, Total

MOST_FILES_SHOWN = 10
"""How many of a row's scored recordings the page shows, the worst first; ``--json`` has all."""

MOST_FAILURES_SHOWN = 30


def corpus_title(corpus: Corpus) -> str:
    """``3.1 on ami: 16 recordings, 9.1 h``"""
    return f"{corpus.pipeline} on {corpus.name}: {counted(corpus.files, 'recording')}, {length_text(corpus.seconds)}"


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
