"""How accurate each image is on a corpus, with what other people reached on it."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.intervals import CONFIDENCE
from harness.text import counted
from harness.workloads.accuracy import Accuracy, FileResult
from harness.workloads.corpus_results import Corpus, corpora_of
from harness.workloads.error_rates import FEWEST_FOR_INTERVAL, Total
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells, subject_text
from reports.table import Block, Column, Inline, Items, Section, Table, code, paragraph
from reports.values import count, format_percent, number, percent, seconds

MOST_FILES_SHOWN = 10
"""How many of a row's scored recordings the page shows, the worst first; ``--json`` has all."""

MOST_FAILURES_SHOWN = 30

EXPLANATION = (
    "DER is the sum of errors over the sum of speech of all n recordings, by pyannote.metrics, overlapped speech scored; in "
    f"brackets a {CONFIDENCE:.0%} interval by a bootstrap over recordings, from {FEWEST_FOR_INTERVAL} recordings on. Its parts are "
    "missed + false alarm + confusion. The first DER has no collar, the second one of so many seconds on each side of each "
    "boundary of the reference. JER, without a collar, is the mean over the reference's speakers. Speakers: the mean of how many "
    "too many or too few were found, and the share of recordings with the right number. Audio h/h is audio hours an hour of "
    "processing: of the passes alone, one each, the first of a launch with what a first pass costs."
)
"""What the numbers are, so that nobody has to guess"""


def section(page: Page) -> Section | None:
    corpora = corpora_of(page.launches)
    return Section("Accuracy on corpora", (paragraph(EXPLANATION), *map(_corpus_section, corpora))) if corpora else None


def _corpus_section(corpus: Corpus) -> Section:
    table = corpus_table(corpus)
    expected = [paragraph(f"Beside it: {corpus.expected}.")] if corpus.expected else []
    return Section(table.title, (*expected, table, *(block for row in corpus.rows for block in _details(row))))


def corpus_table(corpus: Corpus) -> Table:
    """An image a row."""
    return Table(
        title=f"{corpus.pipeline} on {corpus.name}: {counted(corpus.files, 'recording')}, {length_text(corpus.seconds)}",
        answers="How much of the speech does each image get wrong?",
        columns=(
            *(*SUBJECT, Column("pyannote.audio", dispensable=1), Column("n", "right"), Column("DER", "right"), Column("Parts")),
            *(Column(f"DER, {corpus.collar_seconds:g} s collar", "right"), Column("JER", "right"), Column("Speakers")),
            Column("Audio h/h", "right"),
        ),
        rows=tuple(map(_cells, corpus.rows)),
    )


def _cells(found: Accuracy) -> tuple[Inline, ...]:
    return (
        *subject_cells(found.launch),
        found.launch.said.version_of("pyannote.audio") or "-",
        number(scored_text(found)),
        der_text(found.strict),
        _parts_text(found.strict),
        der_text(found.collar),
        percent(found.jer),
        _speakers_text(found),
        number("-" if found.hours_an_hour is None else f"{found.hours_an_hour:.1f}"),
    )


def _details(found: Accuracy) -> Iterator[Block]:
    """What an image could not score, and the recordings that it scored worst."""
    missing, worst = found.without_score, _worst(found)
    if missing:
        items: list[Inline] = [f"{file.name}: {file.outcome}. {file.why}" for file in missing[:MOST_FAILURES_SHOWN]]
        more = [f"and {len(missing) - MOST_FAILURES_SHOWN} more"] if len(missing) > MOST_FAILURES_SHOWN else []
        yield paragraph(f"Without a score, {subject_text(found.launch)}:")
        yield Items(items=(*items, *more))
    if worst:
        yield paragraph(
            (f"The highest DER by recording, {subject_text(found.launch)}; ", code("strixbench accuracy --json"), " has all:")
        )
        yield files_table(f"The highest DER by recording, {subject_text(found.launch)}", worst)


def files_table(title: str, files: tuple[FileResult, ...]) -> Table:
    """A recording a row; how it ended is a column where not all were scored."""
    heads = ("Seconds", "DER", "With collar", "Missed", "False alarm", "Confusion", "Speakers", "In the reference")
    with_result = any(file.outcome != "ok" for file in files)
    return Table(
        title=title,
        answers="Which recordings does it get wrong, and how?",
        columns=(Column("Recording"), *(Column(head, "right") for head in heads), *([Column("Result")] if with_result else [])),
        rows=tuple((*_file_cells(file), *([file.outcome] if with_result else [])) for file in files),
    )


def _file_cells(file: FileResult) -> tuple[Inline, ...]:
    scores = file.strict
    parts = (scores.missed_seconds, scores.false_alarm_seconds, scores.confusion_seconds) if scores else (None,) * 3
    ders = (each.der if each else None for each in (file.strict, file.collar))
    return (
        file.name,
        number("-" if file.audio_seconds is None else f"{file.audio_seconds:.1f}"),
        *map(percent, ders),
        *map(seconds, parts),
        count(file.speakers),
        count(file.reference_speakers),
    )


def _worst(found: Accuracy) -> tuple[FileResult, ...]:
    """The scored recordings with the highest DER, the highest first."""
    rates = [(file.strict.der, file) for file in found.scored if file.strict is not None]
    known = sorted(((der, file) for der, file in rates if der is not None), key=lambda each: (-each[0], each[1].name))
    return tuple(file for _, file in known[:MOST_FILES_SHOWN])


def length_text(seconds: float) -> str:
    """``9.1 h``; below an hour ``1.3 min``."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


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


def _parts_text(total: Total | None) -> str:
    """Missed, false alarm and confusion, in percent of the reference's speech."""
    if total is None or total.missed is None or total.false_alarm is None or total.confusion is None:
        return "-"
    return " + ".join(map(format_percent, (total.missed, total.false_alarm, total.confusion)))


def _speakers_text(found: Accuracy) -> str:
    """``off by 0.25, right in 75%``"""
    if found.speaker_count_error is None or found.speaker_count_right is None:
        return "-"
    return f"off by {found.speaker_count_error:.2f}, right in {found.speaker_count_right:.0%}"
