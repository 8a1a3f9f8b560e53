"""`list` and `build` without an engine."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from harness import places
from harness.campaign.recovery import campaign_lock
from harness.catalog.load import load_catalog
from harness.catalog.select import is_portable, portable, select_variants
from harness.commands import common
from harness.commands.listing import image_rows, write_images
from harness.engines.base import Storage
from harness.errors import BuildFailed, EngineError, HostError
from harness.images.build import recipe_of
from harness.records.store import Store
from tests.unit.command_line import Strixbench, overlay
from tests.unit.samples import FakeEngine


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
    assert shown == [f"{each}/{pipeline}/sample-30s" for each in variants for pipeline in known.pipelines]
    assert "local-cpu/cpu/embedded/sample-30s" in shown


def test_list_takes_patterns_on_images_and_on_cells(strixbench: Strixbench) -> None:
    def shown(*patterns: str) -> set[str]:
        table = strixbench("list", *patterns).out.split("\n\n")[0]
        return {line.split()[0] for line in table.splitlines()}

    of_rocm6 = {f"rocm{name}" for name in ("62", "64", "64-amd", "64-amd-numpy1", "62-pyannote3", "64-pyannote3")}
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


def test_a_portable_build_can_be_looked_at(strixbench: Strixbench) -> None:
    rows = json.loads(strixbench("build", "rocm7*", "--portable", "--dry-run", "--json").out)
    assert {row["image"] for row in rows} == {
        f"rocm{name}-portable" for name in ("72", "72-amd", "72-pytorch", "714", "714-amd", "72-pyannote3")
    }
    assert {row["arguments"]["FAMILY"] for row in rows} == {"portable"}
    assert {row["arguments"]["TORCH"] for row in rows} == {"2.7.1", "2.9.1", "2.12.0", "2.13.0"}


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
    assert row["needs"]["fetched_bytes"] > 100_000_000
    assert set(row["needs"]["room"]) == {"podman", "docker"}


def test_a_dry_run_says_what_is_fetched_and_how_large_it_is(strixbench: Strixbench) -> None:
    outcome = strixbench("build", "rocm72", "cpu", "--dry-run")
    assert outcome.code == 0
    first, second = outcome.out.split("\n\n")
    assert first.startswith("rocm72: ")
    assert second.startswith("cpu: ")
    for block in (first, second):
        assert re.search(r"in all +~?[\d.]+ [GM]B to fetch: \d+ min at 50 Mbit/s", block)
        assert re.search(r"disk +~?[\d.]+ GB for the finished image", block)


def test_a_dry_run_asks_no_engine(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "open_engine", lambda name: pytest.fail(f"it asked {name}"))
    assert strixbench("build", "rocm*", "--dry-run").code == 0


LARGE = '[images.large]\nlike = "rocm72"\ndisk_bytes = 1_000_000_000_000_000_000\n'


def test_an_image_that_does_not_fit_stops_no_other_and_ends_with_3(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = FakeEngine(has_image=False)
    engine.keeps = Storage(folder=str(tmp_path))
    monkeypatch.setattr(common, "open_engine", lambda name: engine)
    small = "[images.cpu]\nbase_bytes = 0\nwheel_bytes = 1\ndisk_bytes = 1000\n"
    outcome = strixbench("build", "large", "cpu", "--json", "--catalog", overlay(tmp_path, LARGE + small))
    assert outcome.code == 3
    large, cpu = json.loads(outcome.out)
    assert (large["cause"], "error" in cpu) == ("engine", False)
    assert large["error"].startswith("no room to build large with podman: ")
    assert [recipe.image for recipe in engine.builds] == ["cpu"]
    (stored,) = Store(places.store_url()).launches(cell_like="large/native/%")
    assert stored.verdict.cause == "engine"
    assert "to build: 2 of 2 images" in outcome.err
    assert re.search(r"large .* no: [\d.]+ [GM]B free", outcome.err)


def test_a_build_of_one_prints_no_table(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "open_engine", lambda name: FakeEngine(has_image=False))
    assert "to build" not in strixbench("build", "cpu").err


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
    monkeypatch.setattr(common, "open_engine", lambda name: failing)
    outcome = strixbench("build", "rocm62", "rocm64", "--jobs", "2", "--json")
    assert outcome.code == 1
    assert [row["error"] for row in json.loads(outcome.out)] == ["exit 1", "exit 1"]
    stored = Store(places.store_url()).launches()
    assert {launch.plan.cell for launch in stored} == {f"rocm{name}/gfx1100/embedded/sample-30s" for name in ("62", "64")}
    assert {launch.verdict.cause for launch in stored} == {"build"}
    assert {launch.verdict.signature for launch in stored} == {"pip-unresolvable"}


def test_a_failed_build_says_why_once_and_its_log_line_by_line(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    why = "the registry has no such image, and " + "much advice " * 30
    failure = BuildFailed(why, "".join(f"step {number}\n" for number in range(100)))
    monkeypatch.setattr(common, "open_engine", lambda name: FakeEngine(has_image=False, build_failure=failure))
    outcome = strixbench("build", "rocm72")
    assert outcome.code == 1
    assert outcome.err.count("the registry has no such image") == 1
    assert "  | step 98\n  | step 99\n" in outcome.err
    assert "step 79\n" not in outcome.err
    assert outcome.out.count("much advice") < 20


def test_a_failed_build_says_what_is_known_of_it(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied: unknown"
    monkeypatch.setattr(common, "open_engine", lambda name: FakeEngine(has_image=False, build_failure=BuildFailed(said, "")))
    outcome = strixbench("build", "rocm62")
    assert outcome.code == 1
    assert "known as lxc-sysctl" in outcome.err
    assert "lxc-pve" in outcome.err


def test_a_registry_that_cannot_be_reached_is_the_environment_s_failure(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = EngineError("podman cannot fetch docker.io/x:1: no such host")
    monkeypatch.setattr(common, "open_engine", lambda name: FakeEngine(has_image=False, build_failure=unreachable))
    outcome = strixbench("build", "rocm62")
    assert outcome.code == 3
    assert "rocm62: the build failed: podman cannot fetch docker.io/x:1: no such host" in outcome.err
    assert {launch.verdict.cause for launch in Store(places.store_url()).launches()} == {"engine"}


def test_old_images_are_pruned_and_no_current_one(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    engine.stages, engine.keeps = 2, Storage(folder="/proc")  # whose free room is 0 always
    monkeypatch.setattr(common, "open_engine", lambda name: engine)
    outcome = strixbench("build", "cpu", "--prune")
    assert outcome.code == 0
    assert "removed from podman: localhost/strixbench/old:0, 2 stages of builds; that freed 0.0 MB" in outcome.err
    known = load_catalog()
    built = [image for image in known.images.values() if image.reference is None]
    assert engine.kept >= {recipe_of(image).hash for image in built if not image.lacks_day}
    assert engine.kept >= {recipe_of(portable(image, known)).hash for image in built if is_portable(image)}


def test_nothing_is_pruned_from_under_another_strixbench(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Removing(FakeEngine):
        """A fake that looks whether another strixbench could begin while it removes."""

        def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
            with pytest.raises(HostError, match="another strixbench runs"), campaign_lock():
                pass
            return super().remove_built(keep, names)

    monkeypatch.setattr(common, "open_engine", lambda name: Removing())
    outcome = strixbench("build", "cpu", "--prune")
    assert outcome.code == 0
    assert "removed from podman" in outcome.err


def test_a_removal_that_is_refused_ends_with_3_and_the_build_is_told(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    engine.removal_refusal = EngineError("podman failed at removing old images: image is in use")
    monkeypatch.setattr(common, "open_engine", lambda name: engine)
    outcome = strixbench("build", "cpu", "--prune", "--json")
    assert outcome.code == 3
    assert "podman: podman failed at removing old images" in outcome.err
    assert json.loads(outcome.out)[0]["id"].startswith("sha256:")
