"""The fixed chunk: what is cut out of a recording, and what is kept of a network's output. No torch is needed here."""

from __future__ import annotations

import array
import base64
import json
import math
from pathlib import Path

import pytest

from benchmarks.workloads.diarization.chunk import (
    CHUNK_SAMPLES,
    MASK_FRAMES,
    SAMPLED_VALUES,
    as_in_the_passes,
    describe,
    fixed_mask,
    middle_of,
)

from .stubs import Ended, Stubs, run_guest


def floats(*values: float) -> array.array[float]:
    return array.array("f", values)


def test_the_chunk_is_the_middle_of_the_recording() -> None:
    samples = array.array("f", range(CHUNK_SAMPLES + 2000))
    cut, start = middle_of(samples)
    assert (start, len(cut)) == (1000, CHUNK_SAMPLES)
    assert (cut[0], cut[-1]) == (1000.0, 1000.0 + CHUNK_SAMPLES - 1)


def test_a_short_recording_is_taken_whole_and_padded_with_silence() -> None:
    cut, start = middle_of(floats(0.5, -0.5))
    assert (start, len(cut)) == (0, CHUNK_SAMPLES)
    assert cut[:3] == floats(0.5, -0.5, 0.0)
    assert not any(cut[2:])


@pytest.mark.parametrize(
    ("seconds", "batches"), [(5, (1, 3)), (10, (1, 3)), (11, (2, 6)), (30, (21, 63)), (41, (32, 96)), (3600, (32, 96))]
)
def test_the_batches_are_no_larger_than_those_of_the_passes(seconds: int, batches: tuple[int, int]) -> None:
    assert as_in_the_passes(seconds * 16_000, (32, 96)) == batches


def test_the_mask_has_speech_and_gaps() -> None:
    mask = fixed_mask()
    assert len(mask) == MASK_FRAMES
    assert set(mask) == {0.0, 1.0}
    assert mask[39:42] == [1.0, 0.0, 0.0]


def test_the_last_item_is_kept_to_the_bit_and_the_others_by_how_far_they_lie_from_it() -> None:
    found = describe([[1.0, 2.0, 3.0], [1.0, 2.5, 3.0], [1.0, 2.0, 3.25]], keep=128)
    assert base64.b64decode(found["sampled"]) == b"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x50\x40"
    assert (found["values"], found["not_finite"], found["spread"]) == (3, 0, 0.5)


def test_the_values_kept_of_a_long_output_are_evenly_spread() -> None:
    found = describe([[float(number) for number in range(4123)]], keep=128)
    values = array.array("f", base64.b64decode(found["sampled"]))
    assert len(values) == 128
    assert list(values) == [4123 * number // 128 for number in range(128)]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_anywhere_in_the_batch_is_counted_and_can_be_journaled(odd: float) -> None:
    found = describe([[odd, 1.0], [0.0, 1.0]], keep=128)
    assert (found["not_finite"], found["spread"]) == (1, None)
    json.dumps(found, allow_nan=False)


def test_a_launch_s_chunk_takes_at_most_two_kilobytes_and_a_half_of_the_store() -> None:
    sizes = {"segmentation": 4123, "embedding": 256}
    found = {name: describe([[0.1] * size], keep=SAMPLED_VALUES[name]) for name, size in sizes.items()}
    assert len(json.dumps(found)) < 2500


def test_every_whole_run_has_it(whole: Ended) -> None:
    chunk = whole.end("verify")["chunk"]
    assert chunk["batches"] == [1, 1]
    assert {chunk[name]["values"] for name in ("segmentation", "embedding")} == {4}


def test_a_nan_that_a_network_puts_out_is_wrong_output_though_no_turn_shows_it(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"chunk embedding": "output.items = [[float('nan')] * 4]"}))
    assert ended.end("verify")["chunk"]["embedding"]["not_finite"] == 4
    verdict = ended.verdict()
    assert verdict.status == "wrong output"
    assert "not finite" in verdict.summary
