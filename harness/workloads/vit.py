"""Image throughput: a ViT-B/16 with random weights classifies images, and its logits are held against the CPU's in float32.

It is a small workload with torch alone: where it is as fast as it should be and a diarization is not, the GPU is not to blame.
`benchmarks.workloads.vit` says what is run. What comes from there may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan, WorkloadRecord
from harness.workloads.kernels import MOST_FLOP_A_SECOND
from harness.workloads.sampled_values import Values, cosine_of, largest_difference
from harness.workloads.workload import MEASURED_STAGES, Evidence, Unit, Workload

WIDTH, HIDDEN, BLOCKS, CLASSES = 768, 3072, 12, 1000
PATCHES, PATCH_VALUES = 14 * 14, 3 * 16 * 16

MOST_IMAGES = 32
"""How many different images a pass has at most: ``DISTINCT`` of `benchmarks.workloads.vit`"""

PRECISIONS = ("float32", "float16", "bfloat16")


class Tolerance(msgspec.Struct, frozen=True):
    """How near logits must be to those of the CPU in float32."""

    most_turned: float
    """The largest 1 - cosine of all sampled logits"""
    most_difference: float
    """The largest difference of one logit, as a share of the largest one of the CPU. It also bounds the difference between two
    logits of the same image and class within a launch"""


TOLERANCES: Mapping[str, Tolerance] = {
    "float32": Tolerance(1e-8, 1e-4),
    "float16": Tolerance(2e-5, 0.01),
    "bfloat16": Tolerance(3e-4, 0.05),
}
"""Measured on a CPU (AVX-512 and AMX) with torch 2.13.0 and 2.5.1, five sets of 8 images at batches 1 and 8 and one of 32 at batch 32,
with torch's own attention and with an explicit softmax in the same precision:

========= ============================ ==================================
precision 1 - cosine                   share of the largest logit
========= ============================ ==================================
float32   up to 3e-13                  up to 1.1e-6
float16   5e-7 to 1.2e-6               0.0009 to 0.0019
bfloat16  3.6e-5 to 7.4e-5             0.009 to 0.0151
========= ============================ ==================================

A fault makes about the same difference in any precision. Attention with its softmax over the queries: 0.6 and 1.1, and in a single
block 0.07 and 0.44 or more. Without 1/sqrt(d): 0.13 and 0.53, in the last block alone 0.0029 and 0.086. Without one bias, of 18 that
were tried: 0.0009 and 0.038 or more. So the limits of float16 and bfloat16 for 1 - cosine are 17 and 4 times what is right, and a 46th
and a third of the least fault. float32's is far above what is right and still refuses rounding to TF32's 10 bits: 2e-7 and 0.0007, in
the patches alone 4e-8 and 0.0004.
"""


def _of_each(limit: str) -> str:
    """A limit in each precision, in words."""
    return ", ".join(f"{getattr(TOLERANCES[precision], limit):g}" for precision in PRECISIONS)


_CLASS = Annotated[int, msgspec.Meta(ge=0, lt=CLASSES)]


class Logits(msgspec.Struct, frozen=True, kw_only=True):
    """What the end of ``verify`` tells: see `benchmarks.workloads.vit`."""

    precision: str
    finite: bool
    distinct_outputs: Annotated[int, msgspec.Meta(ge=1)]
    logits: Values
    top: Annotated[tuple[_CLASS, ...], msgspec.Meta(max_length=MOST_IMAGES)]
    input_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Vit(Workload):
    """ViT-B/16 on made-up images."""

    name = "vit"
    stages = MEASURED_STAGES
    unit = Unit(
        amount="images",
        rate_title="Images/s",
        rate_suffix=" images/s",
        portion=1000.0,
        portion_title="1000 images",
        portion_brief="1000 images",
        portion_name="1000 images",
    )
    subject = "image throughput"
    verb = "classifies"
    load_parts = ("models", "to device")
    explanation = (
        "Images/s are those of the network alone: the images lie on the device. The first table cites 725 img/s for PyTorch ViT on "
        "TheRock 7.11, without its batch, precision or size."
    )
    agreement_inputs = "image, weights, images and batch size"
    agreement_explanation = (
        "The CPU run is in float32, whatever the precision. Cosine and largest difference are of the logits of the pass's own images; the "
        "difference also counts the logits that one image got in different passes. Right is, in float32, float16 and bfloat16, a 1 - cosine "
        f"of at most {_of_each('most_turned')}, and a difference of at most {_of_each('most_difference')} of the CPU run's largest logit."
    )

    def shortest_pass_seconds(self, plan: Plan) -> float:
        """By the FLOP of its images."""
        return flop_of_image() * plan.workload.amount / MOST_FLOP_A_SECOND

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """The batch, the images of a pass and the precision."""
        return {**plan.workload.numbers, "images": int(plan.workload.amount), "precision": precision_of(plan)}

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """Logits of other images than those asked for, or in another precision."""
        told = _read(journal)
        images = min(MOST_IMAGES, int(plan.workload.amount))
        if told is None or told.logits.floats is None or len(told.top) != images or told.logits.values != images * CLASSES:
            return f"its logits are not those of {images} images"
        if told.precision != precision_of(plan):
            return f"its logits are {told.precision[:20]}; {precision_of(plan)} was asked for"
        return None

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """Wrong where a logit is not finite, where the same image got different ones, or where all images got the same class. Two
        logits of an image may differ in their last bits, as a GPU adds up in any order."""
        told = _read(evidence.journal)
        if told is None or not told.finite or told.logits.not_finite:
            return _wrong(plan, "it put out logits that are not finite")
        _, spread = largest_difference(told.logits, told.logits)
        most = TOLERANCES[precision_of(plan)].most_difference
        if spread is None or spread > most:
            shown = "an unknown share" if spread is None else f"{spread:.2g}"
            said = f"the same image got logits that differ by {shown} of the largest; at most {most:g} is right in {precision_of(plan)}"
            return _wrong(plan, said)
        if len(told.top) > 1 and len(set(told.top)) == 1:
            return _wrong(plan, f"all of {len(told.top)} different images got the same class")
        return None

    def remark(self, record: WorkloadRecord) -> str:
        """That the classes mean nothing."""
        return "random weights, no accuracy"

    def agree(self, launch: Launch, reference: Launch) -> Agreement | None:
        """The sampled logits against those of the CPU in float32, by the tolerance of the launch's own precision."""
        ours, theirs = _read(launch.said), _read(reference.said)
        if ours is None or theirs is None or ours.input_sha256 != theirs.input_sha256:
            return Agreement(
                reference=reference.id, reasons=("the logits cannot be compared: they are not of the same images",)
            )
        precision = precision_of(launch.plan)
        allowed = TOLERANCES[precision]
        cosine = cosine_of(ours.logits, theirs.logits)
        absolute, relative = largest_difference(ours.logits, theirs.logits)
        reasons = []
        if cosine is None or 1.0 - cosine > allowed.most_turned:
            shown = "unknown" if cosine is None else f"{1.0 - cosine:.1e}"
            reasons.append(f"1 - cosine of the logits is {shown}; at most {allowed.most_turned:g} is right in {precision}")
        if relative is None or relative > allowed.most_difference:
            shown = "an unknown share" if relative is None else f"{relative:.2g}"
            most = f"at most {allowed.most_difference:g} is right in {precision}"
            reasons.append(f"a logit is off by {shown} of the CPU run's largest; {most}")
        return Agreement(
            reference=reference.id,
            cosine=cosine,
            difference=absolute,
            relative_difference=relative,
            sampled=len(theirs.logits.floats or ()),
            reasons=tuple(reasons),
        )

    def reference_key(self, plan: Plan) -> tuple[object, ...]:
        """Also the precision."""
        return (*super().reference_key(plan), precision_of(plan))

    def why_no_reference(self, launch: Launch) -> str:
        """That it has no logits."""
        return "" if _read(launch.said) is not None else "kept no logits"


def precision_of(plan: Plan) -> str:
    """The precision of a plan; float32 where none was asked for."""
    asked = plan.options.get("precision")
    return asked if asked in PRECISIONS else PRECISIONS[0]


def flop_of_image() -> int:
    """FLOP of ViT-B/16 for one image: two for each multiplication and addition of its matrix products, nothing for the rest."""
    tokens = PATCHES + 1
    dense = tokens * WIDTH * (4 * WIDTH + 2 * HIDDEN)
    attention = 2 * tokens * tokens * WIDTH
    return 2 * (PATCHES * PATCH_VALUES * WIDTH + BLOCKS * (dense + attention) + WIDTH * CLASSES)


def _read(journal: Journal) -> Logits | None:
    """What a launch tells of its logits; ``None`` where it is of another shape."""
    try:
        return msgspec.convert(journal.found("verify").raw, Logits)
    except msgspec.ValidationError:
        return None


def _wrong(plan: Plan, said: str) -> Verdict:
    return Verdict(status="wrong output", stage=plan.last_stage, summary=said)


WORKLOAD = Vit()
