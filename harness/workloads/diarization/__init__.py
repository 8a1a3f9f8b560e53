"""Diarization: pyannote.audio's pipelines tell who speaks when in one recording, and the host tells how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.inputs.decoding import SAMPLE_RATE_HERTZ
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan
from harness.workloads.diarization.agreement import agree, chunk_of, turns_of
from harness.workloads.diarization.scoring import score
from harness.workloads.diarization.turns import own_overlaps, read_turns
from harness.workloads.error_rates import scores_of
from harness.workloads.workload import MEASURED_STAGES, Event, Evidence, Figure, Unit, Workload

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


FASTEST = 100_000
"""Seconds of audio that no computer diarizes in one second: a day in less than one. GPUs reach some hundreds."""


class DiarizationWorkload(Workload):
    """Who speaks when in one recording: pyannote.audio's pipelines."""

    name = "diarization"
    stages = MEASURED_STAGES
    unit = Unit(amount="audio seconds", rate_title="Realtime", rate_suffix="x")
    figures = ("Speakers", "DER")

    def shortest_pass_seconds(self, plan: Plan) -> float:
        """By `FASTEST`."""
        return plan.workload.amount / FASTEST

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """The pipeline and its batch sizes."""
        return {"pipeline": plan.workload.profile, **plan.workload.numbers}

    def lie(self, plan: Plan, journal: Sequence[Event], run_seconds: float | None) -> str | None:
        """A count below zero."""
        speakers = _output(journal).get("speakers")
        return "speakers below zero" if type(speakers) is not int or speakers < 0 else None

    def examine(self, plan: Plan, journal: Sequence[Event], truth: Path | None) -> Mapping[str, Any]:
        """The number of speakers and, where there is a reference, the errors; or why the turns cannot be scored.

        Where weights are random the turns mean nothing, and nothing is found out about them.
        """
        output = _output(journal)
        if not output or not plan.workload.has_accuracy:
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
        wrong = _wrong(_output(evidence.journal), evidence.findings, plan.workload.highest_error)
        return Verdict(status="wrong output", stage=plan.last_stage, summary=wrong) if wrong is not None else None

    def figures_of(self, launch: Launch) -> tuple[Figure, ...]:
        """The number of speakers and the error rate, where they mean something."""
        speakers = (launch.findings or launch.output).get("speakers") if launch.plan.workload.has_accuracy else None
        return (
            Figure(name="Speakers", value=speakers if type(speakers) is int else None, kind="count"),
            Figure(name="DER", value=der_of(launch), kind="share"),
        )

    def agree(self, launch: Launch, reference: Launch) -> Agreement | None:
        """The turns and what the networks make of one fixed chunk."""
        return agree(launch, reference)

    def why_no_reference(self, launch: Launch) -> str:
        """That it has no fixed chunk."""
        return "" if chunk_of(launch) is not None else "kept nothing of the fixed chunk"


def der_of(launch: Launch) -> float | None:
    """Diarization error rate against the reference, 0.05 is 5%; ``None`` without one, or where weights are random.

    (missed + false alarm + confusion) / total, no collar, overlap scored
    (https://pyannote.github.io/pyannote-metrics/reference.html#diarization). In records from before the host scored, the guest did.
    """
    scores = scores_of((launch.findings or launch.output).get("der")) if launch.plan.workload.has_accuracy else None
    return scores.der if scores is not None else None


def _output(journal: Sequence[Event]) -> Event:
    """What ``verify`` found; empty where it did not end well."""
    return next((event for event in journal if event.get("event") == "end" and event.get("stage") == "verify"), {})


def _wrong(output: Event, findings: Mapping[str, Any], highest_error: float | None) -> str | None:
    """What is wrong with an output; ``None``: nothing that is known."""
    if output.get("finite") is not True:
        turns = output.get("speech_seconds") is None  # not summed where a turn is not finite
        return "a speaker turn has no finite start or end" if turns else "a network put out values that are not finite"
    if output.get("distinct_outputs") != 1:
        return f"the passes of one launch gave {output.get('distinct_outputs')} different outputs for the same audio"
    if "unreadable" in findings:
        return f"its turns cannot be scored: {findings['unreadable']}"
    scores = scores_of(findings.get("der"))
    der = scores.der if scores is not None else None
    if highest_error is not None and (der is None or der > highest_error):
        shown = "unknown" if der is None else f"{der:.1%}"
        return f"DER {shown} against the reference; what computes right stays under {highest_error:.1%}"
    return None


WORKLOAD = DiarizationWorkload()
