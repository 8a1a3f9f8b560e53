"""Diarization: pyannote.audio's pipelines tell who speaks when in one recording, and the host tells how well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.inputs.decoding import SAMPLE_RATE_HERTZ
from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan, WorkloadRecord
from harness.workloads.compared_figure import ComparedFigure
from harness.workloads.diarization.agreement import RANDOM_WEIGHTS, agree, chunk_of, turns_of
from harness.workloads.diarization.scoring import score
from harness.workloads.diarization.turns import own_overlaps, read_turns
from harness.workloads.error_rates import scores_of
from harness.workloads.workload import MEASURED_STAGES, Evidence, Figure, Unit, Workload

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


def has_accuracy(record: WorkloadRecord) -> bool:
    """Whether the turns and speakers of a profile mean anything."""
    return record.profile not in RANDOM_WEIGHTS


NO_ACCURACY = "random weights, no accuracy"
"""What every page says about a pipeline whose output means nothing"""
FASTEST = 100_000
"""Seconds of audio that no computer diarizes in one second: a day in less than one. GPUs reach some hundreds."""


def pipeline_options(plan: Plan) -> Mapping[str, Any]:
    """What the guest is told by every workload that loads a pipeline: its name, its batch sizes, and the workload's own options."""
    return {"pipeline": plan.workload.profile, **plan.workload.numbers, **plan.options}


class DiarizationWorkload(Workload):
    """Who speaks when in one recording: pyannote.audio's pipelines."""

    name = "diarization"
    subject = "speaker diarization"
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
        portion_name="an hour",
    )
    figures = ("Speakers", "DER")
    explanation = "DER is against the recording's reference, no collar, overlap scored."
    profile_title = "Pipeline"
    input_title = "Audio"
    free_amount = FREE_SECONDS
    why_free = f"{FREE_SECONDS} s of every recording add no chunk ({CHUNK_SECONDS} s long, one each {STEP_SECONDS} s)"
    cost_explanation = (
        f"A fixed cost below zero need not be an error: pyannote cuts chunks of {CHUNK_SECONDS} s, one a second, so that T seconds of audio "
        f"have T - {FREE_SECONDS} of them."
    )
    verb = "diarizes"
    load_parts = ("decode", "models", "to device")
    pass_parts = ("segmentation", "speaker counting", "embeddings", "clustering", "reconstruction")
    old_parts = ("clustering and reconstruction",)
    parts_explanation = "Reconstruction includes making turns of it."
    agreement_inputs = "image, pipeline, recording, models and batch sizes"
    agreement_explanation = (
        "DER is between the two outputs, speakers matched as well as can be. Cosine and largest difference are of what the two networks "
        "make of ten seconds from the middle of the recording, in the batches of the passes. Right is a DER of at most 1%, the same number "
        "of speakers, nothing that is not finite, a cosine of at least 0.999, and a difference of at most 0.01 of the CPU run's largest "
        "value."
    )
    compared_figures = ("DER", "Speakers")

    def shortest_pass_seconds(self, plan: Plan) -> float:
        """By `FASTEST`."""
        return plan.workload.amount / FASTEST

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """The pipeline and its batch sizes."""
        return pipeline_options(plan)

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """A count below zero."""
        return "speakers below zero" if journal.found("verify").count("speakers") is None else None

    def examine(self, plan: Plan, journal: Journal, truth: Path | None) -> Mapping[str, Any]:
        """The number of speakers and, where there is a reference, the errors; or why the turns cannot be scored.

        Where weights are random the turns mean nothing, and nothing is found out about them.
        """
        output = journal.found("verify")
        if not output or not has_accuracy(plan.workload) or (plan.guest_scored and truth is None):
            return {}
        turns = turns_of(output)
        if isinstance(turns, str):
            return {"unreadable": turns}
        found: dict[str, Any] = {"speakers": len({speaker for _, _, speaker in turns})}
        if truth is None:
            return found
        reference = read_turns(truth.read_text(encoding="utf-8-sig", errors="replace"))
        if isinstance(reference, str):
            return {**found, "remarks": [f"no DER: the reference cannot be scored by: {reference}"]}
        found["der"] = msgspec.to_builtins(score(reference=reference, hypothesis=turns))
        overlaps = own_overlaps(reference)
        if overlaps:
            found["remarks"] = [f"{overlaps} turn(s) of the reference overlap another of the same speaker; they were merged"]
        return found

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """Wrong where something is not finite, the passes differ, or the error is too large."""
        output = evidence.journal.found("verify")
        findings = output if plan.guest_scored and not evidence.findings else evidence.findings
        wrong = _wrong(output, findings, plan.workload.highest_error)
        return Verdict(status="wrong output", stage=plan.last_stage, summary=wrong) if wrong is not None else None

    def remark(self, record: WorkloadRecord) -> str:
        """That the weights of a profile are random."""
        return "" if has_accuracy(record) else NO_ACCURACY

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

    def called(self, parts: Iterable[str]) -> Mapping[str, str]:
        """Old guests did not time reconstruction and counted it as clustering."""
        known = dict(super().called(parts))
        lumped = "clustering" in known and "reconstruction" not in known
        return known | ({"clustering": self.old_parts[0]} if lumped else {})

    def flop_of_parts(self, record: WorkloadRecord, work: Fields) -> Mapping[str, float]:
        """From the recording's length and the guest's counts of the networks' work."""
        chunks = chunks_of(record.amount)
        segmentation, resnet34 = work.number("segmentation_chunk_flop"), work.number("resnet34_item_flop")
        counted = {"segmentation": chunks * segmentation} if segmentation and segmentation > 0 else {}
        if resnet34 and resnet34 > 0 and record.profile in WITH_RESNET34:
            counted["embeddings"] = chunks * SPEAKERS_OF_A_CHUNK * resnet34
        return counted

    def figures_of(self, launch: Launch) -> tuple[Figure, ...]:
        """The number of speakers and the error rate, where they mean something."""
        speakers = _found(launch).count("speakers") if has_accuracy(launch.plan.workload) else None
        return (
            Figure(name="Speakers", value=speakers, kind="count"),
            Figure(name="DER", value=der_of(launch), kind="share"),
        )

    def agree(self, launch: Launch, reference: Launch) -> Agreement | None:
        """The turns and what the networks make of one fixed chunk."""
        return agree(launch, reference)

    def compared_figures_of(self, agreements: Sequence[Agreement]) -> tuple[ComparedFigure, ...]:
        """DER between the outputs, and how many speakers each has; nothing where weights are random."""
        rates = {each.der for each in agreements if each.der is not None}
        ours = {each.speakers for each in agreements if each.speakers is not None}
        theirs = [each.reference_speakers for each in agreements if each.reference_speakers is not None]
        return (
            ComparedFigure(name="DER", values=tuple(sorted(rates)), kind="share"),
            ComparedFigure(name="Speakers", values=tuple(sorted(ours)), reference=theirs[-1] if theirs else None, kind="count"),
        )

    def why_no_reference(self, launch: Launch) -> str:
        """That it has no fixed chunk."""
        return "" if chunk_of(launch) is not None else "kept nothing of the fixed chunk"


def der_of(launch: Launch) -> float | None:
    """Diarization error rate against the reference, 0.05 is 5%; ``None`` without one, or where weights are random.

    (missed + false alarm + confusion) / total, no collar, overlap scored
    (https://pyannote.github.io/pyannote-metrics/reference.html#diarization). In records from before the host scored, the guest did.
    """
    scores = scores_of(_found(launch).fields("der")) if has_accuracy(launch.plan.workload) else None
    return scores.der if scores is not None else None


def _found(launch: Launch) -> Fields:
    """What the host found out about an output; in records from before it looked, what the guest said."""
    return Fields(launch.findings) if launch.findings else launch.said.found("verify")


def _wrong(output: Fields, findings: Fields, highest_error: float | None) -> str | None:
    """What is wrong with an output; ``None``: nothing that is known."""
    if output.flag("finite") is not True:
        turns = output.number("speech_seconds") is None  # not summed where a turn is not finite
        return "a speaker turn has no finite start or end" if turns else "a network put out values that are not finite"
    outputs, unreadable = output.count("distinct_outputs"), findings.text("unreadable")
    if outputs != 1:
        told = "an unknown number of" if outputs is None else outputs
        return f"the passes of one launch gave {told} different outputs for the same audio"
    if unreadable:
        return f"its turns cannot be scored: {unreadable}"
    scores = scores_of(findings.fields("der"))
    der = scores.der if scores is not None else None
    if highest_error is not None and (der is None or der > highest_error):
        shown = "unknown" if der is None else f"{der:.1%}"
        return f"DER {shown} against the reference; what computes right stays under {highest_error:.1%}"
    return None


WORKLOAD = DiarizationWorkload()
