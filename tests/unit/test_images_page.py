from __future__ import annotations

import re

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.catalog.rows import Image
from tests.generated import images_text
from tests.images_page import images_page

BUILT = [image for image in load_catalog().images.values() if image.reference is None]


@pytest.mark.parametrize("image", BUILT, ids=lambda image: image.name)
def test_every_image_says_who_says_that_its_pins_are_right_and_when(image: Image) -> None:
    needed = {"torch", "companions", "index"} | ({"base"} if image.engine != "local" else set())
    if image.base_bytes or image.largest_layer_bytes or image.wheel_bytes or image.disk_bytes:
        needed.add("size")
    assert needed <= image.evidence.keys(), f"{image.name} lacks evidence for {needed - image.evidence.keys()}"
    for part, sentence in image.evidence.items():
        assert sentence.endswith("."), f"{image.name}, {part}: no sentence: {sentence}"
        assert not re.search(r"\bf\d{8,}\b", sentence), f"{image.name}, {part}: a key that no reader can look up: {sentence}"
    for part in ("base", "torch"):  # an index's address or a lock has no day of its own
        assert part not in image.evidence or re.search(r"20\d\d|pytorch\.org", image.evidence[part]), (
            f"{image.name}, {part}: no date"
        )


def test_the_images_to_try_first_are_numbered_without_a_gap_and_each_has_its_reason() -> None:
    placed = [image for image in BUILT if image.order is not None]
    assert sorted(image.order or 0 for image in placed) == list(range(1, len(placed) + 1))
    assert all(image.order_reason for image in placed)
    assert all(not image.order_reason for image in BUILT if image.order is None)
    assert {image.family for image in placed} <= {"rocm", "therock"}


def test_a_layer_is_no_larger_than_its_base() -> None:
    for image in BUILT:
        if image.largest_layer_bytes is not None:
            assert image.base_bytes is not None, image.name
            assert image.largest_layer_bytes <= image.base_bytes, image.name


def test_the_page_has_a_section_for_every_image_and_no_table() -> None:
    text = images_text()
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == [image.name for image in BUILT]
    assert "\n|" not in text


def test_what_a_portable_build_cannot_prove_is_told_where_it_applies() -> None:
    text = images_page(load_catalog())
    section = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert "`libnuma-dev` can be installed on its base" in section["rocm714"]
    assert "Python, torch and torchaudio of its base" in section["rocm72"]
    assert "10.39 GB, 7.91 GB of it in one layer" in section["rocm72"]
    assert "without its own dependencies, such as triton" in section["rocm62"]
    assert "Which day of nightlies" in section["therock"]
    assert "Everything: it has no portable build" in section["seed-therock"]
    assert "GPU" not in section["cpu"].split("Unproved:")[1]


def test_what_was_chosen_on_this_machine_is_not_on_the_page() -> None:
    known = load_catalog()
    day = msgspec.structs.replace(known.images["therock"], torch="2.14.0+rocm10.2.0a20261003")
    assert "20261003" in images_page(msgspec.structs.replace(known, images={"therock": day}))
    assert "of the newest nightly when it is first built" in images_text()
