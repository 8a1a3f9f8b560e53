"""A launch's turns and its fixed chunk against the CPU run's -> how far they agree, and what is wrong where they do not. Pure.

Everything that is compared came out of a container and may hold anything.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from harness.records.fields import Fields
from harness.records.launch import Launch
from harness.records.outcome import Agreement
from harness.workloads.diarization.scoring import rate
from harness.workloads.diarization.turns import Turns, read_turns
from harness.workloads.sampled_values import Values, cosine_of, largest_difference

RANDOM_WEIGHTS = ("synthetic",)
"""Pipelines whose weights are random: their output is timed and compared bit by bit, and never scored."""

MOST_DER = 0.01
"""The largest DER of the hypothesis against the CPU run's. pyannote's output moves a little with the version of the kernels
(https://github.com/pyannote/pyannote-audio/issues/1370); a real fault, such as an LSTM without its bias, moves it much more."""

LEAST_COSINE = 0.999
"""The smallest cosine of the fixed chunk's embedding. A port of such a network to another runtime was reported to reach 0.99997
(google-ai-edge/litert-samples#188); the embeddings of two speakers are far below."""

MOST_DIFFERENCE = 0.01
"""The largest difference of the fixed chunk's segmentation, as a share of the CPU run's largest value. The values are logarithms
of probabilities, from 0 to some -20: a hundredth of that moves no likely class. Where MIOpen's LSTM begins to lose its bias, values
are off by that much on average, and some by far more (https://github.com/pytorch/pytorch/issues/177834)."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """The fixed chunk of a launch."""

    input_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    segmentation: Values
    embedding: Values


def agree(launch: Launch, reference: Launch) -> Agreement:
    """How a launch's output agrees with that of the CPU run. ``reasons`` say what is wrong and are empty where nothing is.

    Speaker labels are matched as well as possible, so that other names for the same speakers are no difference. With random
    weights only the networks' numbers are compared: who seems to speak means nothing then, and the last digit may change it.
    """
    reasons: list[str] = []
    found: dict[str, Any] = {"reference": reference.id}
    if launch.said.found("verify").flag("finite") is not True:
        reasons.append("something that is not finite (NaN or infinite) was put out")
    if launch.plan.workload.profile not in RANDOM_WEIGHTS:
        found |= _compare_turns(launch.said.found("verify"), reference.said.found("verify"), reasons)
    found |= _compare_chunks(chunk_of(launch), chunk_of(reference), reasons)
    return Agreement(**found, reasons=tuple(reasons))


def chunk_of(launch: Launch) -> Chunk | None:
    """The launch's fixed chunk; ``None`` where it has none, or where what the image wrote has another shape."""
    try:
        chunk = msgspec.convert(launch.said.found("verify").fields("chunk").raw, Chunk)
    except msgspec.ValidationError:
        return None
    return None if chunk.segmentation.floats is None or chunk.embedding.floats is None else chunk


def _compare_turns(output: Fields, reference: Fields, reasons: list[str]) -> dict[str, Any]:
    """DER between the two hypotheses and their numbers of speakers; what is wrong goes to ``reasons``."""
    ours, theirs = turns_of(output), turns_of(reference)
    if isinstance(ours, str) or isinstance(theirs, str):
        whose, why = ("output", ours) if isinstance(ours, str) else ("CPU run", theirs)
        reasons.append(f"the {whose}'s turns cannot be compared: {why}")
        return {}
    speakers, wanted = len({who for _, _, who in ours}), len({who for _, _, who in theirs})
    if speakers != wanted:
        reasons.append(f"{speakers} speaker(s), the CPU run has {wanted}")
    der = rate(reference=theirs, hypothesis=ours)
    if der is None or der > MOST_DER:
        said = "speech where the CPU run has none" if der is None else f"DER {der:.1%} against the CPU run"
        reasons.append(f"{said}; at most {MOST_DER:.0%} is allowed")
    return {"der": der, "speakers": speakers, "reference_speakers": wanted}


def _compare_chunks(ours: Chunk | None, theirs: Chunk | None, reasons: list[str]) -> dict[str, Any]:
    """Cosine of the embeddings and difference of the segmentations; what is wrong goes to ``reasons``."""
    if ours is None or theirs is None or ours.input_sha256 != theirs.input_sha256:
        reasons.append("what the networks made of the fixed chunk cannot be compared")
        return {}
    for name in ("segmentation", "embedding"):
        not_finite = getattr(ours, name).not_finite
        if not_finite:
            reasons.append(f"{not_finite} value(s) of the fixed chunk's {name} are not finite")
    cosine = cosine_of(ours.embedding, theirs.embedding)
    if cosine is None or cosine < LEAST_COSINE:
        shown = "unknown" if cosine is None else f"{cosine:.6f}"
        reasons.append(
            f"the fixed chunk's embedding has a cosine of {shown} to the CPU run's; at least {LEAST_COSINE} is right"
        )
    absolute, relative = largest_difference(ours.segmentation, theirs.segmentation)
    if relative is None or relative > MOST_DIFFERENCE:
        shown = "unknown" if relative is None else f"{relative:.2g}"
        reasons.append(
            f"the fixed chunk's segmentation is off by {shown} times the CPU run's largest value; at most {MOST_DIFFERENCE:g} is allowed"
        )
    return {
        "cosine": cosine,
        "difference": absolute,
        "relative_difference": relative,
        "sampled": len(theirs.segmentation.floats or ()),
    }


def turns_of(output: Fields) -> Turns | str:
    """The turns of an output, or the reason why they cannot be scored."""
    text = output.text("rttm")
    return "there are none" if text is None else read_turns(text)
