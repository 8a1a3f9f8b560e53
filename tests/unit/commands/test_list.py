"""`list`: the images, their configurations, and the knobs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.catalog.load import load_catalog
from harness.catalog.select import select_variants, works
from harness.commands.catalog_table import image_rows, write_images
from tests.unit.command_line import Strixbench, overlay


def test_list_shows_every_image_with_its_pins(strixbench: Strixbench) -> None:
    title, *lines = strixbench("list").out.split("\n\n")[0].splitlines()
    assert title.split()[:5] == ["IMAGE", "FAMILY", "TORCH", "PYANNOTE", "GFX"]
    assert [line.split()[0] for line in lines] == list(load_catalog().images)
    (rocm62,) = (line for line in lines if line.startswith("rocm62 "))
    assert re.search(r"rocm +2\.5\.1\+rocm6\.2 +4\.0\.7 +gfx1100 +no +pinned", rocm62)
    (amd,) = (line for line in lines if line.startswith("rocm72-amd "))
    assert re.search(r"native gfx1100 +yes +pinned", amd)
    (open_tag,) = (line for line in lines if line.startswith("rocm64-amd "))
    assert re.search(r"gfx1100 +\? +TODO", open_tag)


def test_list_says_which_images_to_try_first_on_a_strix_halo_and_why(strixbench: Strixbench) -> None:
    _, order = strixbench("list").out.split("\n\n")
    assert order.startswith("On a Strix Halo, try first:\n  1. rocm72: ")
    known = load_catalog()
    names = [image.name for image in sorted(known.images.values(), key=lambda image: image.order or 0) if image.order]
    assert re.findall(r"^  \d\. ([a-z0-9-]+): ", order, re.MULTILINE) == names
    assert "try first" not in strixbench("list", "cpu").out


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_no_line_of_list_is_wider_than_the_terminal_and_nothing_is_lost(columns: int) -> None:
    rows = image_rows(load_catalog())
    lines = write_images(rows, width=columns)
    words = " ".join(" ".join(lines).split())
    assert all(len(line) <= columns or len(line.split()) == 1 for line in lines)
    for row in rows:
        assert {row["image"]} <= set(lines)
        for text in (row["description"], f"torch {row['torch']},", *row["obstacles"]):
            assert text in words, text


def test_list_shows_every_cell_of_the_catalog(strixbench: Strixbench) -> None:
    known = load_catalog()
    shown = [line.split()[0] for line in strixbench("list", "*/*").out.splitlines()]
    variants = [
        f"{image.name}/{variant.name}" for image in known.images.values() for variant in select_variants(known, image, None)
    ]
    assert shown == [f"{each}/{work}" for each in variants for work in works(known)]
    assert {f"{pipeline}/sample-30s" for pipeline in known.pipelines} <= set(works(known))
    assert {f"{row.name}/{name}" for row in known.workloads.values() for name in row.inputs} <= set(works(known))
    assert "local-cpu/cpu/embedded/sample-30s" in shown


def test_list_takes_patterns_on_images_and_on_cells(strixbench: Strixbench) -> None:
    def shown(*patterns: str) -> set[str]:
        table = strixbench("list", *patterns).out.split("\n\n")[0]
        return {line.split()[0] for line in table.splitlines()}

    of_rocm6 = {name for name in load_catalog().images if name.startswith("rocm6")}
    assert {"rocm62", "rocm64-amd-numpy1"} <= of_rocm6
    assert shown("rocm6*") == {"IMAGE", *of_rocm6}
    assert {cell.split("/")[2] for cell in shown("*/3.1/*")} == {"3.1"}
    assert shown("*/3.1/*") >= {"local-cpu/cpu/3.1/sample-30s", "cpu/cpu/3.1/sample-30s"}
    both = shown("cpu/*/3.1/sample-30s", "local-cpu/*/embedded/sample-30s")
    assert both == {"local-cpu/cpu/embedded/sample-30s", "cpu/cpu/3.1/sample-30s"}


def test_list_as_json_has_what_a_script_needs(strixbench: Strixbench) -> None:
    (image,) = json.loads(strixbench("list", "rocm714", "--json").out)
    assert (image["family"], image["expected"], image["variants"]) == ("therock", "7.14", ["native", "gfx1100"])
    assert (image["order"], image["evidence"].keys() >= {"base", "torch", "companions", "index"}) == (3, True)
    cells = json.loads(strixbench("list", "local-cpu/*", "--json").out)
    assert cells[0]["cell"] == "local-cpu/cpu/embedded/sample-30s"
    assert (cells[0]["family"], cells[0]["engine"]) == ("cpu", "local")


def test_list_shows_an_image_of_an_overlay_that_somebody_else_built(strixbench: Strixbench, tmp_path: Path) -> None:
    path = overlay(tmp_path, '[images.softab]\nreference = "softab:rocm62"\n')
    outcome = strixbench("list", "softab", "--catalog", path)
    assert outcome.code == 0
    assert "\nsoftab " in outcome.out
    assert "None" not in outcome.out
