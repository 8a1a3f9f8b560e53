"""Launches of the workload ``accuracy`` -> error rates by recording and over the corpus. Pure.

One run scores a corpus in one image. It is one launch, and a further one each time the process dies: that one begins after the
recording in which the process died, so that a crash costs one recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.inputs.corpus_folder import read_references
from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.likeness import key_of
from harness.records.plan import Plan, Settings
from harness.workloads.corpus_scores import score_corpus, score_of
from harness.workloads.diarization import pipeline_options
from harness.workloads.error_rates import Scores, Total, total_of
from harness.workloads.failed import NOT_TRUE
from harness.workloads.limits import START_SECONDS, Limits, limits_of
from harness.workloads.workload import SHORTEST_PASS_SECONDS, Workload, overlong

Outcome = Literal["ok", "failed", "died", "not reached", "left out", "unscored"]
"""``died``: the process ended during it. ``left out``: it could not be read. ``unscored``: reference or recording is missing."""


class FileResult(msgspec.Struct, frozen=True, kw_only=True):
    """One recording."""

    name: str
    outcome: Outcome
    audio_seconds: float | None = None
    """``None``: it was not read"""
    why: str = ""
    """Why there is no score; parts of it may come out of a container"""
    seconds: float | None = None
    """Time of its pass. This and all that follows is ``None`` without a score."""
    strict: Scores | None = None
    collar: Scores | None = None
    jaccard_error: float | None = None
    """The sum over the reference's speakers"""
    jaccard_speakers: int | None = None
    speakers: int | None = None
    reference_speakers: int | None = None

    @property
    def is_failure(self) -> bool:
        return self.outcome not in ("ok", "unscored")


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """One image on one corpus."""

    launches: tuple[Launch, ...]
    files: tuple[FileResult, ...]
    """The corpus's recordings in its order, then those that were left out"""
    strict: Total | None
    """Without a collar; ``None``, here and below: nothing was scored"""
    collar: Total | None
    jer: float | None
    """Jaccard error rate: the mean over the reference's speakers of all recordings, summed up as in pyannote.metrics"""
    speaker_count_error: float | None
    """The number of speakers too many or too few, as a mean over recordings"""
    speaker_count_right: float | None
    """The share of recordings with as many speakers as the reference has"""
    audio_seconds: float
    processing_seconds: float
    """Time of the scored recordings' passes alone, without starting and loading"""

    @property
    def launch(self) -> Launch:
        """The first launch: what ran is the same in all."""
        return self.launches[0]

    @property
    def scored(self) -> tuple[FileResult, ...]:
        return tuple(file for file in self.files if file.outcome == "ok")

    @property
    def failed(self) -> tuple[FileResult, ...]:
        return tuple(file for file in self.files if file.is_failure)

    @property
    def without_score(self) -> tuple[FileResult, ...]:
        """The recordings that failed, then those whose reference or recording is missing."""
        return (*self.failed, *(file for file in self.files if file.outcome == "unscored"))

    @property
    def hours_an_hour(self) -> float | None:
        """Hours of audio that one hour of processing diarizes."""
        return self.audio_seconds / self.processing_seconds if self.processing_seconds > 0 else None

    @property
    def corpus(self) -> str:
        """Its name, or the beginning of its hash."""
        return str(options_of(self.launch.plan).text("name") or f"corpus-{self.launch.plan.workload.input_sha256[:8]}")

    @property
    def collar_seconds(self) -> float:
        """The collar on each side of a boundary."""
        return options_of(self.launch.plan).number("collar_seconds") or 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on what was odd about the corpus."""
        remarks = (remark for launch in self.launches for remark in Fields(launch.findings).texts("remarks"))
        return tuple(dict.fromkeys((*options_of(self.launch.plan).texts("notes"), *remarks)))


def accuracies_of(launches: Iterable[Launch]) -> tuple[Accuracy, ...]:
    """One finding for each run, cell and engine, in order of time."""
    runs: dict[tuple[str, ...], list[Launch]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        plan = launch.plan
        if plan.workload.name == WORKLOAD.name and plan.options.get("run"):
            runs.setdefault((str(plan.options["run"]), *key_of(plan)), []).append(launch)
    return tuple(accuracy_of(run) for run in runs.values())


def accuracy_of(launches: Sequence[Launch]) -> Accuracy:
    """The result of one run in one cell, from its launches."""
    files = (*_files_of(launches), *_left_out(launches[0].plan))
    scored = [file for file in files if file.outcome == "ok"]
    jaccard_speakers = sum(file.jaccard_speakers or 0 for file in scored)
    off = [abs((file.speakers or 0) - (file.reference_speakers or 0)) for file in scored]
    return Accuracy(
        launches=tuple(launches),
        files=files,
        strict=total_of([file.strict for file in scored if file.strict is not None]),
        collar=total_of([file.collar for file in scored if file.collar is not None]),
        jer=sum(file.jaccard_error or 0.0 for file in scored) / jaccard_speakers if jaccard_speakers else None,
        speaker_count_error=sum(off) / len(off) if off else None,
        speaker_count_right=sum(count == 0 for count in off) / len(off) if off else None,
        audio_seconds=sum(file.audio_seconds or 0.0 for file in scored),
        processing_seconds=sum(file.seconds or 0.0 for file in scored),
    )


def _files_of(launches: Sequence[Launch]) -> tuple[FileResult, ...]:
    """The result for each planned recording, from the last event about it."""
    planned = planned_files(launches[0].plan)
    said: dict[int, tuple[Launch, Fields]] = {}
    for launch in launches:
        for index, event in events_of(launch):
            said[index] = launch, event
    doubt = next((doubt for launch in launches if (doubt := _doubt(launch))), None)
    results = []
    for index, file in enumerate(planned):
        name, seconds = file.text("name") or "", file.number("seconds")
        if index not in said:
            why = f"the run ended before: {launches[-1].verdict.summary or launches[-1].verdict.status}"
            results.append(FileResult(name=name, outcome="not reached", audio_seconds=seconds, why=why))
        else:
            results.append(_file_result(index, file, *said[index], doubt=doubt))
    return tuple(results)


def _file_result(index: int, file: Fields, launch: Launch, event: Fields, *, doubt: str | None) -> FileResult:
    """One recording's result, from the last event about it."""
    name, audio_seconds = file.text("name") or "", file.number("seconds")
    if event.text("outcome") == "trying":
        return FileResult(name=name, outcome="died", audio_seconds=audio_seconds, why=_death(launch))
    if event.text("outcome") == "failed":
        chain = event.chain("chain")
        why = f"{chain[-1].type}: {chain[-1].message}" if chain else "an exception that the journal does not name"
        return FileResult(name=name, outcome="failed", audio_seconds=audio_seconds, why=" ".join(why.split())[:300])
    seconds, score = event.number("seconds"), score_of(Fields(launch.findings), index, event)
    if isinstance(score, str):
        doubt = doubt or score
    elif seconds is None:
        doubt = doubt or f"{NOT_TRUE}: numbers are missing or below zero"
    elif seconds < SHORTEST_PASS_SECONDS:
        doubt = doubt or f"{NOT_TRUE}: a pass took no time"
    if doubt is not None or isinstance(score, str):
        return FileResult(name=name, outcome="failed", audio_seconds=audio_seconds, why=doubt or "")
    return FileResult(
        name=name,
        outcome="ok",
        audio_seconds=audio_seconds,
        seconds=seconds,
        strict=score.strict,
        collar=score.collar,
        jaccard_error=score.jaccard_error,
        jaccard_speakers=score.jaccard_speakers,
        speakers=score.speakers,
        reference_speakers=score.reference_speakers,
    )


def _doubt(launch: Launch) -> str | None:
    """Why a launch's scores do not count; ``None``: they do."""
    if launch.verdict.cause == "wrong torch":  # what diarized was not what this image claims to be
        return launch.verdict.summary
    if launch.verdict.summary.startswith(NOT_TRUE):
        return launch.verdict.summary
    passes = sum(event.number("seconds") or 0.0 for _, event in events_of(launch))
    lie = overlong("passes", passes, launch.exit.run_seconds)
    return f"{NOT_TRUE}: {lie}" if lie else None


def _death(launch: Launch) -> str:
    """How the process ended during a recording."""
    if "Timeout (" in launch.log_tail:  # faulthandler prints this when a pass exceeds its limit
        return "its pass was over the limit of time and was ended"
    return f"the process ended in it: {launch.verdict.summary or launch.verdict.cause}"


def events_of(launch: Launch) -> list[tuple[int, Fields]]:
    """The events about each recording, by its index; those with an index that was not planned are ignored."""
    return _told(launch.plan, launch.said)


def _told(plan: Plan, journal: Journal) -> list[tuple[int, Fields]]:
    planned = len(planned_files(plan))
    found = []
    for event in journal.results:
        index = event.count("index")
        if event.text("outcome") in ("trying", "ok", "failed") and index is not None and index < planned:
            found.append((index, event))
    return found


def options_of(plan: Plan) -> Fields:
    """What was asked of a run."""
    return Fields(plan.options)


def planned_files(plan: Plan) -> tuple[Fields, ...]:
    """The recordings that a run was asked for."""
    return options_of(plan).list_of_fields("files")


def _left_out(plan: Plan) -> tuple[FileResult, ...]:
    """The recordings that the host had to leave out."""
    return tuple(
        FileResult(
            name=each.text("name") or "",
            outcome="unscored" if each.flag("is_failure") is False else "left out",
            why=each.text("why") or "",
        )
        for each in options_of(plan).list_of_fields("left_out")
    )


class AccuracyWorkload(Workload):
    """Each recording of a corpus, scored against its reference."""

    name = "accuracy"
    stages = ("accuracy",)
    results_are_passes = True

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """Longer than the limits of the recordings together, so that theirs end a pass first."""
        files, first = settings.options.get("files", ()), settings.options.get("first", 0)
        usual = START_SECONDS + sum(file["limit_seconds"] for file in files[first:])
        asked = None if settings.time_limit_seconds is None else usual
        return limits_of(usual_seconds=usual, family=family, device=device, time_limit_seconds=asked)

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """Those of diarization, and the recordings."""
        return pipeline_options(plan)

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """A recording without an end, or passes that took too long."""
        told = _told(plan, journal)
        ended = {index for index, event in told if event.text("outcome") in ("ok", "failed")}
        files = len(planned_files(plan))
        missing = [index for index in range(options_of(plan).count("first") or 0, files) if index not in ended]
        if missing:
            return f"it ends without recording {missing[0] + 1} of {files}"
        spent = sum(event.number("seconds") or 0.0 for _, event in told if event.text("outcome") == "ok")
        return overlong("passes", spent, run_seconds)

    def examine(self, plan: Plan, journal: Journal, truth: Path | None) -> Mapping[str, Any]:
        """The scores of each recording; none where the guest scored them itself."""
        if truth is None and plan.guest_scored:
            return {}
        last = dict(_told(plan, journal))
        found = {index: event.text("rttm") for index, event in last.items() if event.text("outcome") == "ok"}
        references = read_references(truth) if truth is not None else ()
        return score_corpus(found, references, collar_seconds=options_of(plan).number("collar_seconds") or 0.0)


WORKLOAD = AccuracyWorkload()
