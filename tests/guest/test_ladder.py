"""The ladder's chunks, without torch: `tests/local/test_verify.py` climbs it for real."""

from __future__ import annotations

import array

import pytest

from benchmarks.workloads import ladder as guest
from benchmarks.workloads.diarization.chunk import CHUNK_SAMPLES
from harness.workloads import ladder as host


@pytest.mark.parametrize("samples", [1, 16_000, CHUNK_SAMPLES, CHUNK_SAMPLES + 5, 30 * 16_000])
def test_the_chunks_are_whole_and_no_two_are_alike(samples: int) -> None:
    recording = array.array("f", range(1, samples + 1))
    chunks = guest.chunks_of(recording)
    assert len(chunks) == guest.DISTINCT
    assert {len(chunk) for chunk in chunks} == {CHUNK_SAMPLES}
    assert len({chunk.tobytes() for chunk in chunks}) == guest.DISTINCT
    for chunk in chunks[1:]:
        assert sum(a != b for a, b in zip(chunk, chunks[0], strict=True)) >= min(samples, CHUNK_SAMPLES // 4)


def test_the_chunks_of_a_long_recording_reach_from_its_beginning_to_its_end() -> None:
    recording = array.array("f", range(30 * 16_000))
    chunks = guest.chunks_of(recording)
    assert (chunks[0][0], chunks[-1][-1]) == (0.0, 30 * 16_000 - 1)


def test_both_sides_call_the_same_right() -> None:
    assert guest.BATCHES == host.BATCHES
    assert guest.TOLERANCES == host.MOST_DIFFERENCE
    assert guest.LEAST_COSINE == host.LEAST_COSINE
