"""What is built, held against the catalog and the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.catalog.select import portable
from harness.engines.base import IMAGE_LABEL, OVERLAY_LABEL, PORTABLE_LABEL, RECIPE_LABEL, Recipe, StoredImage
from harness.engines.container import stages_in, stored_images
from harness.engines.local import COMPLETE, Local
from harness.images.build import rebuild, recipe_of
from harness.images.built import Removed, built_rows, current_recipes, last_uses, prune_engine, removed_text
from harness.images.disk_space import Room
from tests.unit.samples import FakeEngine, a_launch, a_plan

CPU = recipe_of(load_catalog().images["cpu"])


def listed(recipe: Recipe = CPU, *tags: str, **changes: Any) -> dict[str, Any]:
    """A row of ``GET /images/json`` as Docker 20.10 and Podman 4.3.1 have it."""
    labels = {RECIPE_LABEL: recipe.hash, IMAGE_LABEL: "cpu"}
    row = {"Id": "sha256:" + "1" * 64, "RepoTags": [*(tags or (recipe.tag,))], "Size": 1_900_000_000, "Created": 1_795_875_239}
    return row | {"Labels": labels} | changes


def test_an_image_of_ours_is_known_by_its_label_and_the_name_that_we_gave_it() -> None:
    (found,) = stored_images([listed()])
    assert (found.image, found.name, found.recipe, found.tag) == ("cpu", "cpu", CPU.hash, CPU.tag)
    assert (found.size_bytes, found.created) == (1_900_000_000, "2026-11-28T14:13:59+00:00")


def test_another_name_of_it_and_an_image_that_somebody_built_upon_it_are_left_out() -> None:
    assert len(stored_images([listed(CPU, CPU.tag, "localhost/somebody:1")])) == 1
    assert stored_images([listed(CPU, "localhost/somebody/child:1")]) == ()
    assert stored_images([listed(CPU, f"localhost/strixbench/cpu:{'0' * 12}")]) == ()


def test_stages_without_a_name_and_what_has_no_labels_are_no_images_of_ours() -> None:
    assert stored_images([listed(RepoTags=None), listed(RepoTags=["<none>:<none>"]), listed(Labels=None)]) == ()


def test_a_stage_is_without_a_name_in_both_engines_words() -> None:
    rows = [{"Id": "a", "RepoTags": None}, {"Id": "b", "RepoTags": ["<none>:<none>"]}, {"Id": "c", "RepoTags": ["named:1"]}]
    assert stages_in(rows) == {"a", "b"}


def stored(**changes: Any) -> StoredImage:
    (image,) = stored_images([listed()])
    return msgspec.structs.replace(image, **changes)


def test_an_image_is_current_old_or_of_no_row() -> None:
    images = stored(), stored(recipe="0" * 64), stored(recipe="0" * 64, image="Mine", name="mine")
    rows = built_rows("podman", images, current_recipes(load_catalog()), {})
    assert [row.state for row in rows] == ["current", "old", "not in the catalog"]


def test_a_portable_build_of_the_catalog_is_current_and_says_that_it_is_portable() -> None:
    known = load_catalog()
    recipe = recipe_of(portable(known.images["rocm72"], known))
    (image,) = stored_images([listed(recipe, Labels={RECIPE_LABEL: recipe.hash, PORTABLE_LABEL: "rocm72"})])
    (row,) = built_rows("docker", [image], current_recipes(known), {})
    assert (row.state, row.stored.portable_of) == ("current", "rocm72")
    assert row.cells[2] == "current, portable"


def test_its_last_use_is_the_last_launch_with_that_very_image() -> None:
    launches = []
    for number, (time, image) in enumerate(
        (("2026-11-01", "1"), ("2026-11-03", "1"), ("2026-11-02", "1"), ("2026-12-01", "2"))
    ):
        launch = a_launch(a_plan(number + 1))
        record = msgspec.structs.replace(launch.plan.image, id=image * 64)
        plan = msgspec.structs.replace(launch.plan, image=record, planned_at=f"{time}T10:11:12+00:00")
        launches.append(msgspec.structs.replace(launch, plan=plan))
    (row,) = built_rows("podman", [stored()], [CPU], last_uses(launches))
    assert row.last_used == "2026-11-03T10:11:12+00:00"
    assert row.cells == ("cpu", "podman", "current", "1.9 GB", "2026-11-28 14:13", "2026-11-03 10:11")
    (other,) = built_rows("podman", [stored(id="3" * 64)], [CPU], last_uses(launches))
    assert other.cells[-1] == "never"


def test_what_was_removed_says_how_much_room_that_freed() -> None:
    removed = Removed(engine="podman", tags=("localhost/strixbench/cpu:1",), stages=1, freed_bytes=3_240_000_000)
    assert removed_text(removed) == ("removed from podman: localhost/strixbench/cpu:1, 1 stage of a build; that freed 3.2 GB")
    assert "not visible from here" in removed_text(msgspec.structs.replace(removed, freed_bytes=None))
    nothing = msgspec.structs.replace(removed, tags=(), stages=0)
    assert removed_text(nothing) == "removed from podman: nothing"


def test_what_an_overlay_made_is_no_old_image_of_the_catalog() -> None:
    (row,) = built_rows("podman", [stored(recipe="f" * 64, is_of_overlay=True)], current_recipes(load_catalog()), {})
    assert row.state == "of an overlay"
    (old,) = built_rows("podman", [stored(recipe="f" * 64)], current_recipes(load_catalog()), {})
    assert old.state == "old"


def test_a_prune_leaves_what_an_overlay_made() -> None:
    engine = FakeEngine()
    engine.built = (stored(recipe="a" * 64, is_of_overlay=True), stored(recipe="b" * 64))
    prune_engine(engine, [CPU])
    assert engine.kept == {CPU.hash, "a" * 64}


def test_an_environment_remembers_that_an_overlay_made_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path))
    for name, more in (("a", {"is_of_overlay": True}), ("b", {})):
        folder = tmp_path / "environments" / f"local-cpu-{name * 12}"
        folder.mkdir(parents=True)
        (folder / COMPLETE).write_text(json.dumps({"recipe": name * 64, "arguments": {}, **more}))
    assert [image.is_of_overlay for image in Local().list_built()] == [True, False]


def test_a_build_of_an_overlay_s_row_says_so_on_the_image() -> None:
    shipped = load_catalog().images["cpu"]
    for image, labels in ((shipped, []), (msgspec.structs.replace(shipped, base="registry.example/python:3.12"), ["1"])):
        engine = FakeEngine(has_image=False)
        rebuild(image, engine, say=print, room=Room(print))
        assert [recipe.labels[OVERLAY_LABEL] for recipe in engine.builds if OVERLAY_LABEL in recipe.labels] == labels
