"""A launch's output and the CPU run's -> how far they agree, and what is wrong where they do not. Pure.

The CPU run uses the same image, pipeline, recording, models and batch sizes. Only the device differs, and what a variant
switches. Everything that is compared came out of a container and may hold anything.
"""

from __future__ import annotations

import array
import base64
import binascii
import math
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from harness.catalog.rows import Catalog, Cell, Variant
from harness.catalog.select import with_fixes
from harness.records.fields import Fields
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan
from harness.workloads.diarization import Turns, error_rate, read_turns

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

_SAMPLED = Annotated[str, msgspec.Meta(max_length=4096)]


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What one network made of the fixed chunk: see `benchmarks.workloads.diarization.chunk.describe`."""

    values: Annotated[int, msgspec.Meta(ge=1)]
    not_finite: Annotated[int, msgspec.Meta(ge=0)]
    spread: float | None = None
    sampled: _SAMPLED

    @property
    def floats(self) -> tuple[float, ...] | None:
        """The sampled values; ``None`` where the text does not hold such values."""
        try:
            data = base64.b64decode(self.sampled, validate=True)
            values = array.array("f", data)
        except (binascii.Error, ValueError):
            return None
        if sys.byteorder == "big":
            values.byteswap()
        return tuple(values) or None


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """The fixed chunk of a launch."""

    input_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    segmentation: Values
    embedding: Values


class CpuReference(msgspec.Struct, frozen=True):
    """The CPU run that a cell's launches are compared with."""

    launch: Launch | None = None
    why_not: str = ""
    """Why there is none"""


def as_reference(launch: Launch) -> CpuReference:
    """A CPU run as what others are compared with; without its launch where that failed or is itself not right."""
    verdict = launch.verdict
    if verdict.status != "pass":
        how = "failed" if verdict.status == "fail" else f"has {verdict.status}"
        return CpuReference(why_not=f"the CPU run of the same image {how} in {verdict.stage}: {verdict.summary}")
    if chunk_of(launch) is None:
        return CpuReference(why_not="the CPU run of the same image kept nothing of the fixed chunk")
    return CpuReference(launch)


def compared(launch: Launch, reference: CpuReference | None) -> Launch:
    """The launch with the result of the comparison; unchanged where there is no reference, or the launch has no output.

    One that would pass but does not agree gets the verdict wrong output.
    """
    if reference is None or launch.verdict.status == "fail":
        return launch
    if reference.launch is None:
        return msgspec.structs.replace(launch, agreement=Agreement(why_not=reference.why_not))
    agreement, verdict = agree(launch, reference.launch), launch.verdict
    if verdict.status == "pass" and agreement.reasons:
        said = f"not what the CPU of the same image puts out: {'; '.join(agreement.reasons)}"
        verdict = Verdict(status="wrong output", stage=verdict.stage, summary=said)
    return msgspec.structs.replace(launch, verdict=verdict, agreement=agreement)


def agree(launch: Launch, reference: Launch) -> Agreement:
    """How a launch's output agrees with that of the CPU run. ``reasons`` say what is wrong and are empty where nothing is.

    Speaker labels are matched as well as possible, so that other names for the same speakers are no difference. With random
    weights only the networks' numbers are compared: who seems to speak means nothing then, and the last digit may change it.
    """
    reasons: list[str] = []
    found: dict[str, Any] = {"reference": reference.id}
    if launch.said.found("verify").flag("finite") is not True:
        reasons.append("something that is not finite (NaN or infinite) was put out")
    if launch.plan.workload.has_accuracy:
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


def reference_cell(cell: Cell, catalog: Catalog) -> Cell:
    """The cell of the CPU run: the variant without a GPU, with no override and no knob.

    Its batch sizes are the pipeline's, not the cell's. A CPU computes the same at any of them but for the last digits
    (`benchmarks.workloads.ladder` says how near), and a GPU that does not is to be found.

    Fixes that a CPU needs as well stay: those without which a checkpoint does not load.
    """
    fixes = (catalog.variants[name] for name in cell.variant.fixes if name in catalog.variants)
    plain = with_fixes(catalog.variants["cpu"], (fix for fix in fixes if "load" in fix.mends))
    row = catalog.pipelines[cell.profile.name].profile
    return msgspec.structs.replace(cell, variant=plain, profile=row, knobs=(), arm="")


def needs_reference(device: str, variant: Variant, reference: Variant) -> bool:
    """Whether the output has to be compared: always on a GPU, and on a CPU where a variant may change what is computed.

    Otherwise the launch is itself the CPU run.
    """
    return device != "cpu" or (variant.environment, variant.guest) != (reference.environment, reference.guest)


def find_reference(launches: Iterable[Launch], wanted: Plan) -> Launch | None:
    """The latest launch that stands for what the plan of a CPU run would give; ``None``: there is none yet.

    A result of a CPU cell serves as well as a launch that was made for reference.
    """
    fitting = [launch for launch in launches if launch.verdict.status == "pass" and _key(launch.plan) == _key(wanted)]
    return next((launch for launch in reversed(fitting) if chunk_of(launch) is not None), None)


def _key(plan: Plan) -> tuple[object, ...]:
    """What two CPU runs must have in common to stand for each other."""
    workload = plan.workload
    return (
        (plan.image.id, plan.device, plan.variant, tuple(sorted(plan.environment.items())), plan.task, plan.last_stage),
        (workload.profile, workload.input_sha256, workload.models),
        tuple(sorted(workload.numbers.items())),
    )


def _compare_turns(output: Fields, reference: Fields, reasons: list[str]) -> dict[str, Any]:
    """DER between the two hypotheses and their numbers of speakers; what is wrong goes to ``reasons``."""
    ours, theirs = _turns(output), _turns(reference)
    if ours is None or theirs is None:
        reasons.append(f"the {'output' if ours is None else 'CPU run'}'s turns cannot be read")
        return {}
    speakers, wanted = len({who for _, _, who in ours}), len({who for _, _, who in theirs})
    if speakers != wanted:
        reasons.append(f"{speakers} speaker(s), the CPU run has {wanted}")
    der = error_rate(reference=theirs, hypothesis=ours)
    if der is not None and not math.isfinite(der):  # sums of huge turns overflow, and NaN is above no limit
        reasons.append("the DER against the CPU run is no number")
        der = None
    elif der is None or der > MOST_DER:
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
    cosine = _cosine(ours.embedding, theirs.embedding)
    if cosine is None or cosine < LEAST_COSINE:
        shown = "unknown" if cosine is None else f"{cosine:.6f}"
        reasons.append(
            f"the fixed chunk's embedding has a cosine of {shown} to the CPU run's; at least {LEAST_COSINE} is right"
        )
    absolute, relative = _difference(ours.segmentation, theirs.segmentation)
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


def _cosine(ours: Values, theirs: Values) -> float | None:
    """Cosine of the angle between two vectors; ``None`` where it cannot be told."""
    a, b = _pair(ours, theirs)
    lengths = math.sqrt(math.fsum(value * value for value in a)) * math.sqrt(math.fsum(value * value for value in b))
    if not lengths or not math.isfinite(lengths):
        return None
    return min(1.0, math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths)


def _difference(ours: Values, theirs: Values) -> tuple[float | None, float | None]:
    """The largest difference, absolute and as a share of their largest value. The spread among the items of our batch counts too.
    ``None`` where it cannot be told."""
    a, b = _pair(ours, theirs)
    if not a or ours.spread is None:
        return None, None
    absolute = max(ours.spread, *(abs(x - y) for x, y in zip(a, b, strict=True)))
    scale = max(abs(value) for value in b)
    relative = absolute / scale if scale else absolute
    return (absolute, relative) if math.isfinite(relative) else (None, None)


def _pair(ours: Values, theirs: Values) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both outputs' sampled values; empty where their lengths differ or a value is not finite."""
    a, b = ours.floats or (), theirs.floats or ()
    comparable = len(a) == len(b) and ours.values == theirs.values and all(map(math.isfinite, (*a, *b)))
    return (a, b) if comparable else ((), ())


def _turns(output: Fields) -> Turns | None:
    """The turns of an output; ``None`` where its RTTM cannot be read."""
    text = output.text("rttm")
    return read_turns(text) if text is not None else None
