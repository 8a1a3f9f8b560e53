"""The options of image throughput and the order of its images, without torch: `tests/local/test_vit.py` classifies for real."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from benchmarks.wire import ProtocolError
from benchmarks.workloads import vit as guest
from harness.workloads import vit as host


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"precision": "float64"}, "no precision 'float64': there are float32, float16, bfloat16"),
        ({"precision": None}, "no precision None"),
        ({"batch_size": 0}, "batch_size must be a positive integer, not 0"),
        ({"batch_size": True}, "batch_size must be a positive integer, not True"),
        ({"images": 64.0}, "images must be a positive integer, not 64.0"),
        ({"images": None}, "images must be a positive integer, not None"),
        ({"batch_size": 7}, "64 images are no whole number of batches of 7"),
    ],
)
def test_options_that_cannot_be_are_refused_and_named(changes: dict[str, Any], named: str) -> None:
    options = {"batch_size": 8, "images": 64, "precision": "float32"}
    assert guest.read_options(options) == guest.Options(8, 64, "float32")
    with pytest.raises(ProtocolError, match=named):
        guest.read_options({**options, **changes})


@pytest.mark.parametrize(("batch", "images"), [(1, 1), (1, 64), (8, 8), (8, 64), (32, 64), (5, 35), (64, 64), (48, 96)])
def test_a_pass_begins_with_each_image_once_and_in_order(batch: int, images: int) -> None:
    options = guest.Options(batch, images, "float32")
    assert options.order[: options.distinct] == list(range(options.distinct))
    assert len(options.order) == images
    assert max(options.firsts) + batch <= options.distinct + batch, "the images on the device are longer by a batch"


def test_an_image_changes_its_place_in_the_batches() -> None:
    options = guest.Options(8, 128, "float32")
    assert Counter(options.order) == dict.fromkeys(range(32), 4)
    places = [{place % 8 for place, image in enumerate(options.order) if image == which} for which in range(32)]
    assert all(len(each) == 4 for each in places)


def test_both_sides_mean_the_same() -> None:
    assert guest.PRECISIONS == host.PRECISIONS == tuple(host.TOLERANCES)
    assert guest.DISTINCT == host.MOST_IMAGES
