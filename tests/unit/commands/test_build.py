"""`build` on fake engines, and as far as it comes without one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import pytest

from harness import places
from harness.campaign.recovery import campaign_lock
from harness.catalog.load import load_catalog
from harness.catalog.select import is_portable, portable
from harness.engines.base import Storage
from harness.errors import BuildFailed, EngineError, HostError
from harness.images.build import recipe_of
from harness.records.store import Store
from tests.unit.command_line import Strixbench, overlay
from tests.unit.samples import FakeEngine


def test_a_portable_build_can_be_looked_at(strixbench: Strixbench) -> None:
    rows = json.loads(strixbench("build", "rocm7*", "--portable", "--dry-run", "--json").out)
    assert {row["image"] for row in rows} == {
        f"rocm{name}-portable" for name in ("72", "72-amd", "72-pytorch", "714", "714-amd", "72-pyannote3")
    }
    assert {row["arguments"]["FAMILY"] for row in rows} == {"portable"}
    assert {row["arguments"]["TORCH"] for row in rows} == {"2.7.1", "2.9.1", "2.12.0", "2.13.0"}


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


def test_a_dry_run_asks_no_engine(strixbench: Strixbench) -> None:
    asked = []
    assert strixbench("build", "rocm*", "--dry-run", open_engine=asked.append).code == 0
    assert asked == []


LARGE = '[images.large]\nlike = "rocm72"\ndisk_bytes = 1_000_000_000_000_000_000\n'


def test_an_image_that_does_not_fit_stops_no_other_and_ends_with_3(strixbench: Strixbench, tmp_path: Path) -> None:
    engine = FakeEngine(has_image=False)
    engine.keeps = Storage(folder=str(tmp_path))
    small = "[images.cpu]\nbase_bytes = 0\nwheel_bytes = 1\ndisk_bytes = 1000\n"
    outcome = strixbench(
        "build", "large", "cpu", "--json", "--catalog", overlay(tmp_path, LARGE + small), open_engine=lambda name: engine
    )
    assert outcome.code == 3
    large, cpu = json.loads(outcome.out)
    assert (large["cause"], "error" in cpu) == ("engine", False)
    assert large["error"].startswith("no room to build large with podman: ")
    assert [recipe.image for recipe in engine.builds] == ["cpu"]
    (stored,) = Store(places.store_url()).launches(cell_like="large/native/%")
    assert stored.verdict.cause == "engine"
    assert "to build: 2 of 2 images" in outcome.err
    assert re.search(r"large .* no: [\d.]+ [GM]B free", outcome.err)


def test_a_build_of_one_prints_no_table(strixbench: Strixbench) -> None:
    assert "to build" not in strixbench("build", "cpu", open_engine=lambda name: FakeEngine(has_image=False)).err


def test_an_image_that_somebody_else_built_cannot_be_built_and_the_error_says_why(
    strixbench: Strixbench, tmp_path: Path
) -> None:
    path = overlay(tmp_path, '[images.softab]\nreference = "softab:rocm62"\n')
    outcome = strixbench("build", "softab", "--catalog", path)
    assert outcome.code == 2
    assert "softab:rocm62" in outcome.err
    assert "did you mean 'softab'" not in outcome.err


def test_a_failed_build_is_on_record_though_nothing_was_fetched(strixbench: Strixbench) -> None:
    failing = FakeEngine(has_image=False, build_failure=BuildFailed("exit 1", "ERROR: ResolutionImpossible\n"))
    outcome = strixbench("build", "rocm62", "rocm64", "--jobs", "2", "--json", open_engine=lambda name: failing)
    assert outcome.code == 1
    assert [row["error"] for row in json.loads(outcome.out)] == ["exit 1", "exit 1"]
    stored = Store(places.store_url()).launches()
    assert {launch.plan.cell for launch in stored} == {f"rocm{name}/gfx1100/embedded/sample-30s" for name in ("62", "64")}
    assert {launch.verdict.cause for launch in stored} == {"build"}
    assert {launch.verdict.signature for launch in stored} == {"pip-unresolvable"}


def test_a_failed_build_says_why_once_and_its_log_line_by_line(strixbench: Strixbench) -> None:
    why = "the registry has no such image, and " + "much advice " * 30
    failure = BuildFailed(why, "".join(f"step {number}\n" for number in range(100)))
    outcome = strixbench("build", "rocm72", open_engine=lambda name: FakeEngine(has_image=False, build_failure=failure))
    assert outcome.code == 1
    assert outcome.err.count("the registry has no such image") == 1
    assert "  | step 98\n  | step 99\n" in outcome.err
    assert "step 79\n" not in outcome.err
    assert outcome.out.count("much advice") < 20


def test_a_failed_build_says_what_is_known_of_it(strixbench: Strixbench) -> None:
    said = "open sysctl net.ipv4.ip_unprivileged_port_start file: reopen fd 8: permission denied: unknown"
    outcome = strixbench(
        "build", "rocm62", open_engine=lambda name: FakeEngine(has_image=False, build_failure=BuildFailed(said, ""))
    )
    assert outcome.code == 1
    assert "known as lxc-sysctl" in outcome.err
    assert "lxc-pve" in outcome.err


def test_a_registry_that_cannot_be_reached_is_the_environment_s_failure(strixbench: Strixbench) -> None:
    unreachable = EngineError("podman cannot fetch docker.io/x:1: no such host")
    outcome = strixbench("build", "rocm62", open_engine=lambda name: FakeEngine(has_image=False, build_failure=unreachable))
    assert outcome.code == 3
    assert "rocm62: the build failed: podman cannot fetch docker.io/x:1: no such host" in outcome.err
    assert {launch.verdict.cause for launch in Store(places.store_url()).launches()} == {"engine"}


def test_old_images_are_pruned_and_no_current_one(strixbench: Strixbench) -> None:
    engine = FakeEngine()
    engine.stages, engine.keeps = 2, Storage(folder="/proc")  # whose free room is 0 always
    outcome = strixbench("build", "cpu", "--prune", open_engine=lambda name: engine)
    assert outcome.code == 0
    assert "removed from podman: localhost/strixbench/old:0, 2 stages of builds; that freed 0.0 MB" in outcome.err
    known = load_catalog()
    built = [image for image in known.images.values() if image.reference is None]
    assert engine.kept >= {recipe_of(image).hash for image in built if not image.lacks_day}
    assert engine.kept >= {recipe_of(portable(image, known)).hash for image in built if is_portable(image)}


def test_nothing_is_pruned_from_under_another_strixbench(strixbench: Strixbench) -> None:
    class Removing(FakeEngine):
        """A fake that looks whether another strixbench could begin while it removes."""

        def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
            with pytest.raises(HostError, match="another strixbench runs"), campaign_lock():
                pass
            return super().remove_built(keep, names)

    outcome = strixbench("build", "cpu", "--prune", open_engine=lambda name: Removing())
    assert outcome.code == 0
    assert "removed from podman" in outcome.err


def test_a_removal_that_is_refused_ends_with_3_and_the_build_is_told(strixbench: Strixbench) -> None:
    engine = FakeEngine()
    engine.removal_refusal = EngineError("podman failed at removing old images: image is in use")
    outcome = strixbench("build", "cpu", "--prune", "--json", open_engine=lambda name: engine)
    assert outcome.code == 3
    assert "podman: podman failed at removing old images" in outcome.err
    assert json.loads(outcome.out)[0]["id"].startswith("sha256:")
