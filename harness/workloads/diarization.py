"""Diarization: RTTM text -> turns; two sets of turns -> the diarization error rate between them. Pure.

pyannote.metrics gives the same number (a test compares the two) where no speaker's own turns overlap, as in a pipeline's output.
Where they overlap, that time counts once here, since one voice speaks once; pyannote.metrics counts it once for each turn, unless
such turns are merged before (`Annotation.support`). It is not used here because it brings pandas, scikit-learn and more, for one
formula that the host needs once per launch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.inputs.decoding import SAMPLE_RATE_HERTZ
from harness.records.journal import der_of, mapping, number
from harness.records.launch import Launch
from harness.records.outcome import Verdict
from harness.records.plan import Plan, WorkloadRecord
from harness.workloads.workload import MEASURED_STAGES, Event, Evidence, Figure, Unit, Workload

Turn = tuple[float, float, str]
Turns = tuple[Turn, ...]
"""(start in seconds, end in seconds, speaker)"""

MOST_TURNS = 200_000
"""A day of speech has fewer; an output with more is not believed."""

MOST_SPEAKERS = 1_000


def read_turns(text: str) -> Turns | None:
    """The turns of one recording's RTTM; ``None`` where a line cannot be a turn, or where there are too many turns or speakers."""
    turns: list[Turn] = []
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, duration, speaker = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError):
            return None
        end = start + duration  # may be infinite although both are finite
        if not (math.isfinite(end) and start >= 0 and duration >= 0) or len(turns) == MOST_TURNS:
            return None
        turns.append((start, end, speaker))
    return tuple(turns) if len({speaker for _, _, speaker in turns}) <= MOST_SPEAKERS else None


def error_rate(*, reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> float | None:
    """DER: (missed + false alarm + confusion) / speech of the reference, with no collar, overlap scored, and the best matching of
    speakers.

    0 where neither has any speech; ``None`` where only the hypothesis has; NaN where the turns are so long that their sum is not
    finite. Definition: https://pyannote.github.io/pyannote-metrics/reference.html#diarization
    """
    import numpy
    from scipy.optimize import linear_sum_assignment

    rows = {name: number for number, name in enumerate(sorted({who for _, _, who in reference}))}
    columns = {name: number for number, name in enumerate(sorted({who for _, _, who in hypothesis}))}
    together = numpy.zeros((len(rows), len(columns)))
    total = most = 0.0
    for seconds, truth, guess in _pieces(reference, hypothesis):
        total += seconds * len(truth)
        most += seconds * max(len(truth), len(guess))
        for one in truth:
            for other in guess:
                together[rows[one], columns[other]] += seconds
    if not math.isfinite(most):
        return math.nan
    correct = float(together[linear_sum_assignment(together, maximize=True)].sum())
    wrong = max(0.0, most - correct)  # in each piece missed, false alarm and confusion sum to the larger count less the correct
    if total > 0:
        return wrong / total
    return 0.0 if most == 0 else None


def _pieces(reference: Sequence[Turn], hypothesis: Sequence[Turn]) -> Iterator[tuple[float, frozenset[str], frozenset[str]]]:
    """The seconds between each border and the next, with who speaks there in the reference and in the hypothesis."""
    borders: dict[float, list[tuple[int, str, int]]] = {}
    for side, turns in enumerate((reference, hypothesis)):
        for start, end, who in turns:
            if end > start:
                borders.setdefault(start, []).append((side, who, 1))
                borders.setdefault(end, []).append((side, who, -1))
    speaking: tuple[dict[str, int], dict[str, int]] = ({}, {})
    before = 0.0
    for border in sorted(borders):
        if speaking[0] or speaking[1]:
            yield border - before, frozenset(speaking[0]), frozenset(speaking[1])
        for side, who, change in borders[border]:
            count = speaking[side].get(who, 0) + change
            if count:
                speaking[side][who] = count
            else:
                speaking[side].pop(who, None)
        before = border


# How pyannote cuts a recording: its segmentation models take 10 s, and SpeakerDiarization has `segmentation_step=0.1`.
CHUNK_SECONDS = 10
STEP_SECONDS = 1
FREE_SECONDS = CHUNK_SECONDS - STEP_SECONDS
"""Audio that adds no chunk: T seconds have T - 9 chunks."""


def chunks_of(audio_seconds: float) -> int:
    """The number of chunks; a remainder at the end is one more."""
    step = STEP_SECONDS * SAMPLE_RATE_HERTZ
    left = round(audio_seconds * SAMPLE_RATE_HERTZ) - CHUNK_SECONDS * SAMPLE_RATE_HERTZ
    return 1 if left <= 0 else left // step + 1 + (left % step > 0)


SPEAKERS_OF_A_CHUNK = 3

WITH_RESNET34 = ("3.1", "community-1", "synthetic")
"""Pipelines that send each chunk through WeSpeaker's ResNet34 once for each speaker. How much ``embedded``'s CAM++ computes depends
on who speaks how long, which no launch records, so its embeddings have no share."""

NO_ACCURACY = "random weights, no accuracy"
"""What every page says about a pipeline whose output means nothing"""


class DiarizationWorkload(Workload):
    """Who speaks when in one recording: pyannote.audio's pipelines."""

    name = "diarization"
    stages = MEASURED_STAGES
    unit = Unit(
        amount="audio seconds",
        rate_title="Realtime",
        rate_suffix="x",
        shown="{:.1f} s of audio",
        brief="{:.1f} s",
        portion=3600.0,
        portion_title="an hour of audio",
        portion_brief="an audio hour",
    )
    figures = ("Speakers", "DER")
    explanation = "DER is against the recording's reference, no collar, overlap scored."
    profile_title = "Pipeline"
    input_title = "Audio"
    free_amount = FREE_SECONDS
    why_free = f"{FREE_SECONDS} s of every recording add no chunk ({CHUNK_SECONDS} s long, one each {STEP_SECONDS} s)"
    pass_parts = ("segmentation", "speaker counting", "embeddings", "clustering", "reconstruction")

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """The pipeline and its batch sizes."""
        return {"pipeline": plan.workload.profile, **plan.workload.numbers}

    def lie(self, plan: Plan, journal: Sequence[Event], run_seconds: float | None) -> str | None:
        """Counts below zero."""
        output = next(event for event in journal if event.get("event") == "end" and event.get("stage") == "verify")
        speakers, parts = output.get("speakers"), mapping(output.get("der"))
        if type(speakers) is not int or speakers < 0 or any((number(value) or 0.0) < 0 for value in parts.values()):
            return "speakers or errors below zero"
        return None

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """Wrong where something is not finite, the passes differ, or the error is too large."""
        output = next(e for e in evidence.journal if e.get("event") == "end" and e.get("stage") == "verify")
        wrong = _wrong(output, plan.workload.highest_error)
        return Verdict(status="wrong output", stage=plan.last_stage, summary=wrong) if wrong is not None else None

    def remark(self, record: WorkloadRecord) -> str:
        """That the weights of a profile are random."""
        return "" if record.has_accuracy else NO_ACCURACY

    def arguments(self, record: WorkloadRecord) -> tuple[str, ...]:
        """The pipeline and the recording; a user's own is named by its hash."""
        pipeline = ("--pipeline", record.profile) if record.profile != "embedded" else ()
        if record.input.startswith("sample-fitted-"):
            return (*pipeline, "--audio-seconds", f"{record.amount:g}")
        if record.input.startswith("sample-"):
            return pipeline
        reference = ("--reference", f"FILE-{record.truth_sha256[:12]}") if record.truth_sha256 else ()
        return (*pipeline, "--audio", f"FILE-{record.input_sha256[:12]}", *reference)

    def series(self, record: WorkloadRecord) -> str:
        """``call`` for ``call-fitted-120s`` and ``call-30s``: a record has no hash of the audio that it was fitted from."""
        return re.sub(r"(-fitted)?-\d+s$", "", record.input) or record.input

    def flop_of_parts(self, record: WorkloadRecord, work: Mapping[str, Any]) -> Mapping[str, float]:
        """From the recording's length and the guest's counts of the networks' work."""
        chunks = chunks_of(record.amount)
        segmentation, resnet34 = number(work.get("segmentation_chunk_flop")), number(work.get("resnet34_item_flop"))
        counted = {"segmentation": chunks * segmentation} if segmentation and segmentation > 0 else {}
        if resnet34 and resnet34 > 0 and record.profile in WITH_RESNET34:
            counted["embeddings"] = chunks * SPEAKERS_OF_A_CHUNK * resnet34
        return counted

    def figures_of(self, launch: Launch) -> tuple[Figure, ...]:
        """The number of speakers and the error rate, where they mean something."""
        has_accuracy = launch.plan.workload.has_accuracy
        speakers = launch.output.get("speakers") if has_accuracy else None
        return (
            Figure(name="Speakers", value=speakers if type(speakers) is int else None, kind="count"),
            Figure(name="DER", value=launch.der, kind="share"),
        )


def _wrong(output: Mapping[str, Any], highest_error: float | None) -> str | None:
    """What is wrong with an output; ``None``: nothing that is known."""
    if output.get("finite") is not True:
        turns = output.get("speech_seconds") is None  # not summed where a turn is not finite
        return "a speaker turn has no finite start or end" if turns else "a network put out values that are not finite"
    if output.get("distinct_outputs") != 1:
        return f"the passes of one launch gave {output.get('distinct_outputs')} different outputs for the same audio"
    der = der_of(dict(output))
    if highest_error is not None and (der is None or der > highest_error):
        shown = "unknown" if der is None else f"{der:.1%}"
        return f"DER {shown} against the reference; what computes right stays under {highest_error:.1%}"
    return None


WORKLOAD = DiarizationWorkload()
