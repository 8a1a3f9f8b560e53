"""What a fingerprint is made of. No network and no torch here: `tests.local.test_synthetic` has both."""

from __future__ import annotations

import array
import hashlib
import json
import math

import pytest

from benchmarks.workloads.diarization.fingerprint import SAMPLED_VALUES, chunk, describe


def floats(*values: float) -> array.array[float]:
    """32-bit floats, as torch has them."""
    return array.array("f", values)


def test_the_chunk_of_sound_is_the_one_that_it_always_was() -> None:
    samples = chunk()
    assert len(samples) == 160_000
    # Whoever changes it makes every stored fingerprint incomparable.
    assert hashlib.sha256(samples.tobytes()).hexdigest() == "da260e177ecf23339dbfac80288a339147a4d5a346e8b27a6426d8c20fabedb6"
    assert max(samples) < 1
    assert min(samples) > -1
    assert len({round(math.fsum(abs(v) for v in samples[i : i + 4000]), 3) for i in range(0, 32_000, 4000)}) == 8


def test_the_statistics_are_those_of_the_values() -> None:
    found = describe(floats(3.0, -4.0, 0.0, 0.0))
    assert (found["values"], found["not_finite"]) == (4, 0)
    assert (found["min"], found["max"], found["norm"], found["mean"]) == (-4.0, 3.0, 5.0, -0.25)
    assert found["std"] == pytest.approx(math.sqrt(6.1875))
    assert found["sample"] == [3.0, -4.0, 0.0, 0.0]


def test_one_bit_changes_the_hash() -> None:
    one, other = 1.0, math.nextafter(1.0, 2.0) + 2**-23
    assert describe(floats(one))["sha256"] != describe(floats(other))["sha256"]
    assert describe(floats(one))["sha256"] == hashlib.sha256(b"\x00\x00\x80\x3f").hexdigest()


def test_a_sampled_value_is_the_32_bit_float_to_the_last_bit() -> None:
    values = floats(*(math.sqrt(number) for number in range(SAMPLED_VALUES)))
    assert floats(*describe(values)["sample"]) == values


def test_a_long_output_has_as_many_sampled_values_as_any() -> None:
    found = describe(floats(*range(4123)))
    assert len(found["sample"]) == SAMPLED_VALUES
    assert found["sample"] == sorted(set(found["sample"]))
    assert found["sample"][-1] > 4000


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_counted_and_can_be_journaled(odd: float) -> None:
    found = describe(floats(1.0, odd))
    assert found["not_finite"] == 1
    assert found["sample"] == [1.0, None]
    assert found["norm"] is None
    json.dumps(found, allow_nan=False)
