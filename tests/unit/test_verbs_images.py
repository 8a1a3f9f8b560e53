"""`list` and `build` without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness import places
from harness.build import recipe_of
from harness.catalog import is_portable, load_catalog, portable, select_variants
from harness.errors import BuildFailed, EngineError
from harness.store import Store
from harness.verbs import base
from tests.unit.command_line import Strixbench, overlay
from tests.unit.samples import FakeEngine


def test_list_shows_every_image_with_its_pins(strixbench: Strixbench) -> None:
    title, *lines = strixbench("list").out.splitlines()
    assert title.split()[:5] == ["IMAGE", "FAMILY", "TORCH", "PYANNOTE", "GFX"]
    assert [line.split()[0] for line in lines] == list(load_catalog().images)
    (rocm62,) = (line for line in lines if line.startswith("rocm62 "))
    assert re.search(r"rocm +2\.5\.1\+rocm6\.2 +4\.0\.7 +gfx1100 +no +pinned", rocm62)
    (amd,) = (line for line in lines if line.startswith("rocm72-amd "))
    assert re.search(r"native gfx1100 +yes +TODO", amd)


def test_list_shows_every_cell_of_the_catalog(strixbench: Strixbench) -> None:
    known = load_catalog()
    shown = [line.split()[0] for line in strixbench("list", "*/*").out.splitlines()]
    variants = [
        f"{image.name}/{variant.name}" for image in known.images.values() for variant in select_variants(known, image, None)
    ]
    assert shown == [f"{each}/{pipeline}/sample-30s" for each in variants for pipeline in known.pipelines]
    assert "local-cpu/cpu/embedded/sample-30s" in shown


def test_list_takes_patterns_on_images_and_on_cells(strixbench: Strixbench) -> None:
    def shown(*patterns: str) -> set[str]:
        return {line.split()[0] for line in strixbench("list", *patterns).out.splitlines()}

    assert shown("rocm6*") == {"IMAGE", "rocm62", "rocm64", "rocm64-amd", "rocm62-pyannote3", "rocm64-pyannote3"}
    assert {cell.split("/")[2] for cell in shown("*/3.1/*")} == {"3.1"}
    assert shown("*/3.1/*") >= {"local-cpu/cpu/3.1/sample-30s", "cpu/cpu/3.1/sample-30s"}
    both = shown("cpu/*/3.1/sample-30s", "local-cpu/*/embedded/sample-30s")
    assert both == {"local-cpu/cpu/embedded/sample-30s", "cpu/cpu/3.1/sample-30s"}


def test_list_as_json_has_what_a_script_needs(strixbench: Strixbench) -> None:
    (image,) = json.loads(strixbench("list", "rocm714", "--json").out)
    assert (image["family"], image["expected"], image["variants"]) == ("therock", "7.14", ["native", "gfx1100"])
    cells = json.loads(strixbench("list", "local-cpu/*", "--json").out)
    assert cells[0]["cell"] == "local-cpu/cpu/embedded/sample-30s"
    assert (cells[0]["family"], cells[0]["engine"]) == ("cpu", "local")


def test_a_portable_build_can_be_looked_at(strixbench: Strixbench) -> None:
    rows = json.loads(strixbench("build", "rocm7*", "--portable", "--dry-run", "--json").out)
    assert {row["image"] for row in rows} == {f"rocm{name}-portable" for name in ("72", "72-amd", "714", "72-pyannote3")}
    assert {row["arguments"]["FAMILY"] for row in rows} == {"portable"}
    assert {row["arguments"]["TORCH"] for row in rows} == {"2.7.1", "2.9.1", "2.12.0"}


def test_list_shows_an_image_of_an_overlay_that_somebody_else_built(strixbench: Strixbench, tmp_path: Path) -> None:
    path = overlay(tmp_path, '[images.softab]\nreference = "softab:rocm62"\n')
    outcome = strixbench("list", "softab", "--catalog", path)
    assert outcome.code == 0
    assert "\nsoftab " in outcome.out
    assert "None" not in outcome.out


def test_a_build_can_be_looked_at_without_building(strixbench: Strixbench) -> None:
    (row,) = json.loads(strixbench("build", "cpu", "--dry-run", "--json").out)
    assert row["image"] == "cpu"
    assert row["tag"].startswith("localhost/strixbench/cpu:")
    assert row["arguments"]["TORCH"] == load_catalog().images["cpu"].torch
    assert row["files"] == ["finish.py", "lock.txt"]


def test_an_image_that_somebody_else_built_cannot_be_built_and_the_error_says_why(
    strixbench: Strixbench, tmp_path: Path
) -> None:
    path = overlay(tmp_path, '[images.softab]\nreference = "softab:rocm62"\n')
    outcome = strixbench("build", "softab", "--catalog", path)
    assert outcome.code == 2
    assert "softab:rocm62" in outcome.err
    assert "did you mean 'softab'" not in outcome.err


def test_a_failed_build_is_on_record_though_nothing_was_fetched(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = FakeEngine(has_image=False, build_failure=BuildFailed("exit 1", "ERROR: ResolutionImpossible\n"))
    monkeypatch.setattr(base, "open_engine", lambda name: failing)
    outcome = strixbench("build", "rocm62", "rocm64", "--jobs", "2", "--json")
    assert outcome.code == 1
    assert [row["error"] for row in json.loads(outcome.out)] == ["exit 1", "exit 1"]
    stored = Store(places.store_url()).launches()
    assert {launch.plan.cell for launch in stored} == {f"rocm{name}/gfx1100/embedded/sample-30s" for name in ("62", "64")}
    assert {launch.verdict.cause for launch in stored} == {"build"}
    assert {launch.verdict.signature for launch in stored} == {"pip-unresolvable"}


def test_a_registry_that_cannot_be_reached_is_the_environment_s_failure(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = EngineError("podman cannot fetch docker.io/x:1: no such host")
    monkeypatch.setattr(base, "open_engine", lambda name: FakeEngine(has_image=False, build_failure=unreachable))
    outcome = strixbench("build", "rocm62")
    assert outcome.code == 3
    assert "rocm62: the build failed: podman cannot fetch docker.io/x:1: no such host" in outcome.err
    assert {launch.verdict.cause for launch in Store(places.store_url()).launches()} == {"engine"}


def test_old_images_are_pruned_and_no_current_one(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(base, "open_engine", lambda name: engine)
    outcome = strixbench("build", "cpu", "--prune")
    assert outcome.code == 0
    assert "removed from auto: localhost/strixbench/old:0" in outcome.err
    known = load_catalog()
    built = [image for image in known.images.values() if image.reference is None]
    assert engine.kept >= {recipe_of(image).hash for image in built}
    assert engine.kept >= {recipe_of(portable(image, known)).hash for image in built if is_portable(image)}
