from __future__ import annotations

from typing import Any

import pytest

from harness.catalog.load import laid_over, load_catalog

ROW: dict[str, Any] = {
    "base": "a",
    "base_bytes": 1,
    "largest_layer_bytes": 1,
    "torch": "2.9.1",
    "torchaudio": "2.9.1",
    "wheel_bytes": 2,
    "disk_bytes": 3,
    "evidence": {"base": "b", "torch": "t", "companions": "c", "index": "i", "size": "s", "gfx1151": "g"},
}


def test_what_a_row_says_replaces_and_the_rest_stays() -> None:
    over = laid_over(ROW, {"torchaudio": "2.9.0", "description": "mine"})
    assert (over["torchaudio"], over["description"], over["base"], over["wheel_bytes"]) == ("2.9.0", "mine", "a", 2)


@pytest.mark.parametrize(
    ("above", "gone", "silent"),
    [
        ({"base": "b"}, {"base_bytes", "largest_layer_bytes", "disk_bytes"}, {"base", "size", "gfx1151"}),
        ({"torch": "2.10.0"}, {"wheel_bytes", "disk_bytes"}, {"torch", "size", "gfx1151"}),
        ({"torch_index": "https://x"}, {"wheel_bytes", "disk_bytes"}, {"index", "size", "gfx1151"}),
        ({"packages": ["x"]}, set(), {"base"}),
        ({"lock": "other.txt"}, set(), {"companions"}),
        ({"base": "a", "torch": "2.9.1"}, set(), set()),
    ],
    ids=["base", "torch", "index", "packages", "lock", "the same"],
)
def test_what_was_known_of_a_field_lapses_when_the_field_changes(
    above: dict[str, Any], gone: set[str], silent: set[str]
) -> None:
    over = laid_over(ROW, above)
    assert ROW.keys() - over.keys() == gone
    assert ROW["evidence"].keys() - over["evidence"].keys() == silent


def test_evidence_is_replaced_part_by_part() -> None:
    over = laid_over(ROW, {"base": "b", "evidence": {"base": "new"}})
    assert over["evidence"] == {"base": "new", "torch": "t", "companions": "c", "index": "i"}


def test_an_image_like_another_takes_over_neither_its_order_nor_the_size_of_other_wheels() -> None:
    images = load_catalog().images
    assert images["rocm62"].order is not None
    assert images["rocm62"].wheel_bytes is not None
    for name in ("rocm64", "rocm62-pyannote3", "cuda"):
        assert (images[name].order, images[name].order_reason) == (None, "")
    assert images["rocm64"].wheel_bytes is None
    assert images["rocm62-pyannote3"].wheel_bytes == images["rocm62"].wheel_bytes
