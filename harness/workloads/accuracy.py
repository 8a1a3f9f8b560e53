"""Launches of the task ``accuracy`` -> error rates by recording and over the corpus. Pure.

One run scores a corpus in one image. It is one launch, and a further one each time the process dies: that one begins after the
recording in which the process died, so that a crash costs one recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.likeness import key_of
from harness.records.plan import Plan, Settings
from harness.workloads.error_rates import Scores, Total, scores_of, total_of
from harness.workloads.limits import START_SECONDS, Limits, limits_of
from harness.workloads.workload import SHORTEST_PASS_SECONDS, Workload, overlong

TASK = "accuracy"

MOST_RELAUNCHES = 5
"""Relaunches of one cell in one run. An image that dies more often is known well enough."""

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
        return str(_options(self.launch).text("name") or f"corpus-{self.launch.plan.workload.input_sha256[:8]}")

    @property
    def collar_seconds(self) -> float:
        """The collar on each side of a boundary."""
        return _options(self.launch).number("collar_seconds") or 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on what was odd about the corpus."""
        return _options(self.launch).texts("notes")


def accuracies_of(launches: Iterable[Launch]) -> tuple[Accuracy, ...]:
    """One finding for each run, cell and engine, in order of time."""
    runs: dict[tuple[str, ...], list[Launch]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        plan = launch.plan
        if plan.workload.name == TASK and plan.options.get("run"):
            runs.setdefault((str(plan.options["run"]), *key_of(plan)), []).append(launch)
    return tuple(accuracy_of(run) for run in runs.values())


def accuracy_of(launches: Sequence[Launch]) -> Accuracy:
    """The result of one run in one cell, from its launches."""
    files = (*_files_of(launches), *_left_out(launches[0]))
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


def next_index(launch: Launch) -> int | None:
    """The recording at which another launch continues after one that ended early; ``None``: none is left, or it would end the same.

    A launch that died before its first recording shows that the image cannot do it at all; one that a person ended is not
    started again.
    """
    tried = [index for index, _ in _events(launch)]
    if launch.verdict.status == "pass" or launch.verdict.cause in ("interrupted", "engine") or not tried:
        return None
    following = tried[-1] + 1
    return following if following < len(_planned(launch)) else None


def run_to_the_end(
    launch_all: Callable[[], Sequence[Launch]], launch_again: Callable[[Launch, int], Sequence[Launch]]
) -> tuple[Launch, ...]:
    """All launches of a run: each cell that died is launched again from where it ended, at most `MOST_RELAUNCHES` times.

    ``launch_again`` takes the launch that ended early and the index to begin with.
    """
    launches = list(launch_all())
    for ended in tuple(launches):
        last = ended
        for _ in range(MOST_RELAUNCHES):
            index = next_index(last)
            if index is None:
                break
            again = launch_again(last, index)
            launches += again
            if not again:
                break
            last = again[-1]
    return tuple(launches)


def _files_of(launches: Sequence[Launch]) -> tuple[FileResult, ...]:
    """The result for each planned recording, from the last event about it."""
    planned = _planned(launches[0])
    said: dict[int, tuple[Launch, Fields]] = {}
    for launch in launches:
        for index, event in _events(launch):
            said[index] = launch, event
    doubt = next((doubt for launch in launches if (doubt := _doubt(launch))), None)
    results = []
    for index, file in enumerate(planned):
        name, seconds = file.text("name") or "", file.number("seconds")
        if index not in said:
            why = f"the run ended before: {launches[-1].verdict.summary or launches[-1].verdict.status}"
            results.append(FileResult(name=name, outcome="not reached", audio_seconds=seconds, why=why))
        else:
            results.append(_file_result(name, seconds, *said[index], doubt=doubt))
    return tuple(results)


def _file_result(name: str, audio_seconds: float | None, launch: Launch, event: Fields, *, doubt: str | None) -> FileResult:
    """One recording's result, from the last event about it."""
    if event.text("outcome") == "trying":
        return FileResult(name=name, outcome="died", audio_seconds=audio_seconds, why=_death(launch))
    if event.text("outcome") == "failed":
        chain = event.chain("chain")
        why = f"{chain[-1].type}: {chain[-1].message}" if chain else "an exception that the journal does not name"
        return FileResult(name=name, outcome="failed", audio_seconds=audio_seconds, why=" ".join(why.split())[:300])
    jaccard = event.fields("jaccard")
    counts = [event.count("speakers"), event.count("reference_speakers"), jaccard.count("speakers")]
    strict, collar = scores_of(event.fields("strict")), scores_of(event.fields("collar"))
    seconds, error = event.number("seconds"), jaccard.number("error")
    if strict is None or collar is None or error is None or error < 0 or seconds is None or None in counts:
        doubt = doubt or "the journal cannot be true: numbers are missing or below zero"
    elif strict.total_seconds == 0:
        doubt = doubt or "nothing was scored: the reference has no speech there"
    elif seconds < SHORTEST_PASS_SECONDS:
        doubt = doubt or "the journal cannot be true: a pass took no time"
    elif any(each.missed_seconds + each.confusion_seconds > each.total_seconds * 1.001 for each in (strict, collar)):
        doubt = doubt or "the journal cannot be true: more of the reference was missed or confused than there is"
    if doubt is not None:
        return FileResult(name=name, outcome="failed", audio_seconds=audio_seconds, why=doubt)
    return FileResult(
        name=name,
        outcome="ok",
        audio_seconds=audio_seconds,
        seconds=seconds,
        strict=strict,
        collar=collar,
        jaccard_error=error,
        jaccard_speakers=counts[2],
        speakers=counts[0],
        reference_speakers=counts[1],
    )


def _doubt(launch: Launch) -> str | None:
    """Why a launch's scores do not count; ``None``: they do."""
    if launch.verdict.cause == "wrong torch":  # what diarized was not what this image claims to be
        return launch.verdict.summary
    passes = sum(event.number("seconds") or 0.0 for _, event in _events(launch))
    lie = overlong("passes", passes, launch.exit.run_seconds)
    return f"the journal cannot be true: {lie}" if lie else None


def _death(launch: Launch) -> str:
    """How the process ended during a recording."""
    if "Timeout (" in launch.log_tail:  # faulthandler prints this when a pass exceeds its limit
        return "its pass was over the limit of time and was ended"
    return f"the process ended in it: {launch.verdict.summary or launch.verdict.cause}"


def _events(launch: Launch) -> list[tuple[int, Fields]]:
    """The events about each recording, by its index; those with an index that was not planned are ignored."""
    planned = len(_planned(launch))
    found = []
    for event in launch.said.results:
        index = event.count("index")
        if event.text("outcome") in ("trying", "ok", "failed") and index is not None and index < planned:
            found.append((index, event))
    return found


def _options(launch: Launch) -> Fields:
    """What was asked of the task."""
    return Fields(launch.plan.options)


def _planned(launch: Launch) -> tuple[Fields, ...]:
    return _options(launch).list_of_fields("files")


def _left_out(launch: Launch) -> tuple[FileResult, ...]:
    """The recordings that the host had to leave out."""
    return tuple(
        FileResult(
            name=each.text("name") or "",
            outcome="unscored" if each.flag("is_failure") is False else "left out",
            why=each.text("why") or "",
        )
        for each in _options(launch).list_of_fields("left_out")
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


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


class AccuracyWorkload(Workload):
    """Each recording of a corpus, scored against its reference."""

    name = "accuracy"
    stages = ("accuracy",)

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """Longer than the limits of the recordings together, so that theirs end a pass first."""
        files, first = settings.options.get("files", ()), settings.options.get("first", 0)
        usual = START_SECONDS + sum(file["limit_seconds"] for file in files[first:])
        asked = None if settings.time_limit_seconds is None else usual
        return limits_of(usual_seconds=usual, family=family, device=device, time_limit_seconds=asked)

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """Those of diarization, and the recordings."""
        return {"pipeline": plan.workload.profile, **plan.workload.numbers, **plan.options}

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """A recording without an end, or passes that took too long."""
        return _accuracy_lie(journal.results, plan.options, run_seconds)


WORKLOAD = AccuracyWorkload()
