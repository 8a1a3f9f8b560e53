from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.analysis.fingerprint_rows import fingerprint_rows
from harness.analysis.numeric_fingerprints import Fingerprint, compare, describe, fingerprint_of
from harness.analysis.rows import rows_of
from harness.records.launch import Launch
from reports.markdown.render import render_benchmarks
from tests.unit.samples import WORKLOAD, a_launch, a_plan, passing_journal

SYNTHETIC = msgspec.structs.replace(WORKLOAD, profile="synthetic", truth_sha256=None, highest_error=None)


def an_output(digit: str = "a", *sample: float | None) -> dict[str, Any]:
    return {"sha256": digit * 64, "values": 4123, "not_finite": 0, "mean": 0.0, "sample": list(sample or (1.0, 2.0))}


def a_fingerprint(**fields: Any) -> dict[str, Any]:
    """A fingerprint as the guest journals it."""
    made = {"torch": "2.13.0+cpu", "device": "cpu", "threads": 1, "cpu_capability": "AVX512"}
    return {**made, "segmentation": an_output("a"), "embedding": an_output("b"), **fields}


def taken(**fields: Any) -> Fingerprint:
    return msgspec.convert(a_fingerprint(**fields), Fingerprint)


def a_synthetic_launch(number: int = 1, *, image: str = "cpu", fingerprint: Any = None, **output: Any) -> Launch:
    journal = passing_journal()
    verify = next(event for event in journal if event["event"] == "end" and event["stage"] == "verify")
    verify |= {"fingerprint": a_fingerprint() if fingerprint is None else fingerprint, **output}
    return a_launch(a_plan(number, image=image, workload=SYNTHETIC), journal=journal)


def test_the_same_bits_are_identical_whatever_computed_them() -> None:
    assert describe(compare(taken(), taken(torch="2.8.0", device="cuda"))) == "identical"


def test_other_bits_differ_by_the_largest_difference_of_what_was_sampled() -> None:
    found = compare(taken(), taken(segmentation=an_output("c", 1.0, 2.5), embedding=an_output("d", 0.75, 2.0)))
    assert (found.segmentation, found.embedding, found.identical) == (0.5, 0.25, False)
    assert describe(found) == "differ: segmentation 5.0e-01, embedding 2.5e-01"


def test_other_bits_are_not_identical_where_the_sampled_values_are() -> None:
    found = compare(taken(), taken(embedding=an_output("d")))
    assert not found.identical
    assert describe(found) == "differ: segmentation 0.0e+00, embedding 0.0e+00"


@pytest.mark.parametrize(
    "other",
    [an_output("d", 1.0), an_output("d", 1.0, None), {**an_output("d"), "values": 7}],
    ids=["fewer sampled", "not finite", "another length"],
)
def test_what_cannot_be_compared_says_so(other: dict[str, Any]) -> None:
    assert describe(compare(taken(), taken(embedding=other))) == "not comparable: embedding"


@pytest.mark.parametrize(
    "odd",
    [
        "a text",
        7,
        [],
        {},
        {"torch": "2"},
        {**a_fingerprint(), "segmentation": {**an_output(), "sha256": "../../etc"}},
        {**a_fingerprint(), "segmentation": {**an_output(), "sample": ["NaN"]}},
        {**a_fingerprint(), "segmentation": {**an_output(), "sample": []}},
        {**a_fingerprint(), "segmentation": {**an_output(), "sample": [0.0] * 65}},
        {**a_fingerprint(), "torch": "x" * 5000},
    ],
    ids=str,
)
def test_a_fingerprint_of_another_shape_is_none(odd: Any) -> None:
    launch = a_synthetic_launch(fingerprint=odd)
    assert fingerprint_of(launch) is None
    assert "## Numeric fingerprint" not in render_benchmarks([launch])


def test_a_launch_without_a_fingerprint_has_none() -> None:
    assert fingerprint_of(a_launch()) is None
    assert "## Numeric fingerprint" not in render_benchmarks([a_launch()])


def test_rows_are_compared_with_the_first_that_was_computed_on_a_cpu() -> None:
    on_gpu = a_fingerprint(device="cuda", embedding=an_output("d", 1.0, 2.125))
    launches = [
        a_synthetic_launch(1, image="a-gpu", fingerprint=on_gpu),
        a_synthetic_launch(2, image="b"),
        a_synthetic_launch(3, image="c"),
    ]
    told = {each.row.image: each.against for each in fingerprint_rows(rows_of(launches))}
    assert told == {"a-gpu": "differ: segmentation 0.0e+00, embedding 1.2e-01", "b": "reference", "c": "identical"}


def test_launches_of_one_row_that_compute_different_numbers_are_told() -> None:
    launches = [a_synthetic_launch(1, fingerprint=a_fingerprint(segmentation=an_output("e", 1.0, 3.0))), a_synthetic_launch(2)]
    (only,) = fingerprint_rows(rows_of(launches))
    assert only.against == "reference; its own launches differ: segmentation 1.0e+00, embedding 0.0e+00"


def test_the_page_has_a_line_of_each_fingerprint() -> None:
    page = render_benchmarks([a_synthetic_launch(1), a_synthetic_launch(2, image="other")])
    assert "| cpu | podman | cpu | 2.13.0+cpu | cpu | AVX512 | `aaaaaaaaaaaa` | `bbbbbbbbbbbb` | reference |" in page
    assert "| other | podman | cpu | 2.13.0+cpu | cpu | AVX512 | `aaaaaaaaaaaa` | `bbbbbbbbbbbb` | identical |" in page


def test_what_random_weights_put_out_is_never_shown_as_an_accuracy() -> None:
    der = {"missed_seconds": 0.0, "false_alarm_seconds": 0.0, "confusion_seconds": 0.25, "total_seconds": 1.0}
    launch = a_synthetic_launch(der=der, speakers=97)
    (row,) = rows_of([launch])
    assert [figure.value for figure in row.figures] == [None, None]
    page = render_benchmarks([launch])
    assert "### synthetic on sample-30s: 30.0 s of audio; random weights, no accuracy" in page
    assert "- **Workload**: pipeline `synthetic` on sample-30s, 30.0 s of audio; random weights, no accuracy\n" in page
    assert "(30.0 s of audio; random weights, no accuracy)" in page
    assert "- **Fastest**: cpu" in page
    for word in ("that is right", "25.0%", "97"):
        assert word not in page
