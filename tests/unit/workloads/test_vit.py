"""What the host makes of image throughput: what cannot be true, what is wrong, what agrees. Every number is made up."""

from __future__ import annotations

import array
import base64
import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.inputs.launch_inputs import row_inputs
from harness.records.launch import Launch
from harness.records.outcome import Verdict
from harness.records.plan import Plan, WorkloadRecord
from harness.workloads.vit import CLASSES, PRECISIONS, TOLERANCES, WORKLOAD, flop_of_image
from harness.workloads.workload import workload_named
from tests.unit.samples import a_launch, a_plan, passing_journal

RECORD = WorkloadRecord(
    name="vit", profile="vit", input="batch-8", amount=8.0, input_sha256="d" * 64, numbers={"batch_size": 8}
)

LOGITS = tuple(math.sin(7.0 * number) * 4.0 for number in range(768))
"""They look as random as logits of random weights, and are the same in each run."""


def a_vit_plan(precision: str = "float32", **changes: Any) -> Plan:
    options = {} if precision == "float32" else {"precision": precision}
    return a_plan(**{"workload": RECORD, "options": options, **changes})


def sampled(values: Sequence[float]) -> str:
    return base64.b64encode(array.array("f", values).tobytes()).decode()


def told(output: Sequence[float] = LOGITS, precision: str = "float32", **changes: Any) -> dict[str, Any]:
    """What the end of ``verify`` tells; ``changes`` are of the logits where they have such a field."""
    logits = {"values": 8 * CLASSES, "not_finite": 0, "spread": 0.0, "sampled": sampled(output)}
    found = {
        "precision": precision,
        "finite": True,
        "distinct_outputs": 1,
        "top": [1, 2, 3, 4, 5, 6, 7, 8],
        "input_sha256": "e" * 64,
        "logits": {**logits, **{name: value for name, value in changes.items() if name in logits}},
    }
    return {**found, **{name: value for name, value in changes.items() if name not in logits}}


def a_vit_launch(output: Sequence[float] = LOGITS, precision: str = "float32", **changes: Any) -> Launch:
    """A launch that ended; its verdict is the judge's."""
    journal = passing_journal(warm=(2.0,), der=None, **told(output, precision, **changes))
    return a_launch(a_vit_plan(precision), journal=journal)


def turned(share: float) -> list[float]:
    """The logits with an error of this length, as a share of their own length, at a right angle to them: 1 - cosine is half its
    square."""
    error = [value * (-1) ** number for number, value in enumerate(LOGITS)]
    dot = math.fsum(a * b for a, b in zip(error, LOGITS, strict=True)) / math.fsum(value * value for value in LOGITS)
    straight = [e - dot * value for e, value in zip(error, LOGITS, strict=True)]
    scale = share * math.sqrt(math.fsum(v * v for v in LOGITS) / math.fsum(e * e for e in straight))
    return [value + scale * e for value, e in zip(LOGITS, straight, strict=True)]


def off_by(share: float) -> list[float]:
    """The logits, one of which is off by a share of the largest."""
    return [*LOGITS[:-1], LOGITS[-1] + share * max(map(abs, LOGITS))]


# What is run


def test_the_guest_is_told_the_batch_the_images_and_the_precision() -> None:
    assert WORKLOAD.guest_options(a_vit_plan()) == {"batch_size": 8, "images": 8, "precision": "float32"}
    assert WORKLOAD.guest_options(a_vit_plan("bfloat16"))["precision"] == "bfloat16"
    assert workload_named("vit") is WORKLOAD


def test_each_input_of_the_catalog_is_whole_batches() -> None:
    known = load_catalog()
    inputs = row_inputs(known.workloads["vit"])
    assert [(given.name, given.numbers["batch_size"]) for given in inputs] == [("batch-1", 1), ("batch-8", 8), ("batch-32", 32)]
    assert all(given.amount % given.numbers["batch_size"] == 0 for given in inputs)


def test_the_knob_has_each_precision_and_no_other() -> None:
    values = load_catalog().knobs["precision"].values
    assert tuple(values) == PRECISIONS == tuple(TOLERANCES)
    assert all(value.options.get("precision", "float32") == name for name, value in values.items())


def test_an_image_is_17_6_billion_multiplications_and_additions() -> None:
    # torch 2.13's FlopCounterMode counts as many: tests/local/test_vit.py compares.
    assert flop_of_image() == 35_127_656_448


# What cannot be true


@dataclasses.dataclass(frozen=True)
class Lie:
    """A journal that cannot be true, and what is said of it."""

    said: str
    journal: dict[str, Any] = dataclasses.field(default_factory=dict)
    found: dict[str, Any] = dataclasses.field(default_factory=dict)


LIES = {
    "a warm pass beyond any device": Lie(
        "a pass took no time: 2.7e-05 s, and no computer needs less than 2.81e-05 s", {"warm": (2.0, 2.7e-5)}
    ),
    "a cold pass beyond any device": Lie("a pass took no time: 2e-06 s, ", {"cold": 2e-6}),
    "no logits": Lie("its logits are not those of 8 images", found={"logits": None}),
    "logits as a text": Lie("its logits are not those", found={"logits": "many"}),
    "logits of other images": Lie("its logits are not those of 8 images", found={"values": 9 * CLASSES}),
    "logits that are no numbers": Lie("its logits are not those of 8 images", found={"sampled": "%"}),
    "too many logits": Lie("its logits are not those of 8 images", found={"sampled": "A" * 4100}),
    "too few classes": Lie("its logits are not those of 8 images", found={"top": [1]}),
    "more classes than images": Lie("its logits are not those of 8 images", found={"top": [1] * 5000}),
    "a class that there is not": Lie("its logits are not those of 8 images", found={"top": [1, 2, 3, 4, 5, 6, 7, 1000]}),
    "another precision": Lie("its logits are float16; float32 was asked for", found={"precision": "float16"}),
    "a count below zero": Lie("its logits are not those of 8 images", found={"not_finite": -1}),
    "a spread of words": Lie("its logits are not those of 8 images", found={"spread": "none"}),
    "no hash": Lie("its logits are not those of 8 images", found={"input_sha256": "e" * 63}),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_is_a_failure_and_named(lie: Lie) -> None:
    journal = passing_journal(**{"warm": (2.0,), "der": None, **lie.journal, **told(**lie.found)})
    verdict = a_launch(a_vit_plan(), journal=journal).verdict
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert verdict.summary.startswith("the journal cannot be true: ")
    assert lie.said in verdict.summary


def test_what_a_device_could_just_do_is_believed() -> None:
    journal = passing_journal(warm=(3e-5,), cold=3e-5, der=None, **told())  # 8 images are 2.8e11 FLOP: 9.4e15 a second
    assert a_launch(a_vit_plan(), journal=journal).verdict == Verdict(status="pass", stage="verify")


# Right or wrong


@pytest.mark.parametrize("precision", PRECISIONS)
def test_finite_logits_that_do_not_spread_pass_in_each_precision(precision: str) -> None:
    assert a_vit_launch(precision=precision).verdict == Verdict(status="pass", stage="verify")
    assert a_vit_launch(precision=precision, distinct_outputs=4).verdict.status == "pass", "last bits may differ"


@pytest.mark.parametrize(
    "changes", [{"finite": False}, {"not_finite": 3, "spread": None}, {"finite": False, "not_finite": 3, "spread": None}]
)
def test_logits_that_are_not_finite_are_wrong(changes: dict[str, Any]) -> None:
    verdict = a_vit_launch(**changes).verdict
    assert (verdict.status, verdict.summary) == ("wrong output", "it put out logits that are not finite")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_image_with_two_answers_is_wrong_beyond_the_tolerance_of_the_precision(precision: str) -> None:
    most = TOLERANCES[precision].most_difference * max(map(abs, LOGITS))
    assert a_vit_launch(precision=precision, spread=0.9 * most).verdict.status == "pass"
    verdict = a_vit_launch(precision=precision, spread=1.1 * most).verdict
    assert verdict.status == "wrong output"
    assert "the same image got logits that differ by " in verdict.summary
    assert f"at most {TOLERANCES[precision].most_difference:g} is right in {precision}" in verdict.summary


def test_a_network_that_says_the_same_of_all_images_is_wrong() -> None:
    verdict = a_vit_launch(top=[7] * 8).verdict
    assert (verdict.status, verdict.summary) == ("wrong output", "all of 8 different images got the same class")


# Agreement with the CPU


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_precision_has_its_own_limit_for_all_logits(precision: str) -> None:
    limit = math.sqrt(2.0 * TOLERANCES[precision].most_turned)
    reference = a_vit_launch()
    for share, is_right in ((0.9, True), (1.1, False)):
        found = WORKLOAD.agree(a_vit_launch(turned(share * limit), precision), reference)
        assert found is not None
        assert any("cosine" in reason for reason in found.reasons) != is_right
        assert found.reference == reference.id
        assert found.sampled == 768
    assert f"1 - cosine of the logits is {0.5 * (1.1 * limit) ** 2:.1e}" in found.reasons[0]
    assert found.reasons[0].endswith(f"is right in {precision}")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_precision_has_its_own_limit_for_one_logit(precision: str) -> None:
    most = TOLERANCES[precision].most_difference
    for share, is_right in ((0.9, True), (1.1, False)):
        found = WORKLOAD.agree(a_vit_launch(off_by(share * most), precision), a_vit_launch())
        assert found is not None
        assert found.relative_difference == pytest.approx(share * most, rel=1e-2)
        assert any("a logit is off by" in reason for reason in found.reasons) != is_right


def test_the_tolerances_are_the_wider_the_fewer_digits_there_are() -> None:
    wide = [TOLERANCES[precision] for precision in ("float32", "float16", "bfloat16")]
    assert [each.most_turned for each in wide] == sorted({each.most_turned for each in wide})
    assert [each.most_difference for each in wide] == sorted({each.most_difference for each in wide})


def test_logits_of_other_images_or_weights_are_not_compared() -> None:
    found = WORKLOAD.agree(a_vit_launch(input_sha256="f" * 64), a_vit_launch())
    assert found is not None
    assert found.reasons == ("the logits cannot be compared: they are not of the same images",)
    assert found.cosine is None


@pytest.mark.parametrize("values", [[0.0] * 768, [math.nan] * 768, [math.inf] * 768, [1e30] * 768, LOGITS[:100]])
def test_a_hostile_output_never_agrees(values: Sequence[float]) -> None:
    found = WORKLOAD.agree(a_vit_launch(values), a_vit_launch())
    assert found is not None
    assert found.reasons
    assert not found.is_right


def test_a_cpu_run_of_another_guest_or_precision_does_not_stand_for_this_one() -> None:
    key = WORKLOAD.reference_key(a_vit_plan(guest_sha256="1"))
    assert key == WORKLOAD.reference_key(a_vit_plan(guest_sha256="1", campaign=2))
    assert key != WORKLOAD.reference_key(a_vit_plan(guest_sha256="2"))
    assert key != WORKLOAD.reference_key(a_vit_plan("bfloat16", guest_sha256="1"))
    other = msgspec.structs.replace(RECORD, input="batch-1", numbers={"batch_size": 1})
    assert key != WORKLOAD.reference_key(a_vit_plan(guest_sha256="1", workload=other))


def test_a_cpu_run_without_logits_is_no_reference() -> None:
    assert WORKLOAD.why_no_reference(a_vit_launch()) == ""
    assert WORKLOAD.why_no_reference(a_vit_launch(logits=None)) == "kept no logits"
