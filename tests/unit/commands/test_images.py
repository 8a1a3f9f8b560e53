"""`images` on fake engines."""

from __future__ import annotations

import json

import msgspec
import pytest

from harness.campaign.request import OpenEngine
from harness.catalog.load import load_catalog
from harness.engines.base import Engine, Storage, StoredImage
from harness.errors import EngineError
from harness.images.build import recipe_of
from tests.unit.command_line import Strixbench, stored
from tests.unit.samples import FakeEngine, a_launch, a_plan

CPU = recipe_of(load_catalog().images["cpu"])


def a_built(image: str, *, recipe: str = CPU.hash) -> StoredImage:
    tag = f"localhost/strixbench/{image}:{recipe[:12]}"
    return StoredImage(
        id=f"sha256:{recipe}",
        image=image,
        name=image,
        recipe=recipe,
        tag=tag,
        size_bytes=2 * 10**9,
        created="2026-11-28T14:13:59",
    )


def engines(**here: FakeEngine) -> OpenEngine:
    """Opens fake engines by name; one that is not here refuses."""

    def open_engine(name: str) -> Engine:
        if name not in here:
            raise EngineError(f"{name} is not to be found")
        return here[name]

    return open_engine


def an_engine(name: str, *images: StoredImage) -> FakeEngine:
    engine = FakeEngine(name=name)
    engine.built, engine.keeps = images, Storage(folder="/proc")
    return engine


def test_the_images_of_all_engines_are_shown_with_size_state_and_last_use(strixbench: Strixbench) -> None:
    here = engines(
        podman=an_engine("podman", a_built("cpu"), a_built("cpu", recipe="0" * 64)),
        docker=an_engine("docker", a_built("mine", recipe="1" * 64)),
        local=an_engine("local"),
    )
    launch = a_launch(a_plan(1))
    image = msgspec.structs.replace(launch.plan.image, id=CPU.hash)
    stored(msgspec.structs.replace(launch, plan=msgspec.structs.replace(launch.plan, image=image)))
    rows = json.loads(strixbench("images", "--json", open_engine=here).out)
    assert [(row["engine"], row["image"], row["state"]) for row in rows] == [
        ("podman", "cpu", "current"),
        ("podman", "cpu", "old"),
        ("docker", "mine", "not in the catalog"),
    ]
    assert [row["last_used"] for row in rows] == [launch.plan.planned_at, None, None]
    shown = strixbench("images", open_engine=here)
    assert shown.code == 0
    assert "| cpu   | podman | current            | 2.0 GB | 2026-11-28 14:13 |" in shown.out
    assert "3 images in podman, docker, local" in shown.err


def test_an_engine_that_is_not_here_is_named_and_stops_no_other(strixbench: Strixbench) -> None:
    here = engines(docker=an_engine("docker", a_built("cpu")), local=an_engine("local"))
    shown = strixbench("images", open_engine=here)
    assert shown.code == 0
    assert "skipped podman: podman is not to be found" in shown.err
    assert "| docker | current" in shown.out


def test_an_engine_that_stops_answering_is_named_and_stops_no_other(strixbench: Strixbench) -> None:
    silent = FakeEngine(name="podman", refusal=EngineError("podman stopped answering"))
    here = engines(podman=silent, docker=an_engine("docker", a_built("cpu")), local=an_engine("local"))
    shown = strixbench("images", open_engine=here)
    assert shown.code == 3
    assert "podman: podman stopped answering" in shown.err
    assert "| docker | current" in shown.out


def test_the_one_engine_that_is_asked_for_must_be_here(strixbench: Strixbench) -> None:
    here = engines(docker=an_engine("docker"))
    assert strixbench("images", "--engine", "podman", open_engine=here).code == 3
    assert strixbench("images", "--engine", "docker", open_engine=here).code == 0


def test_pruning_keeps_the_catalog_s_recipes_and_says_what_it_freed(strixbench: Strixbench) -> None:
    podman = an_engine("podman")
    podman.stages = 3
    here = engines(podman=podman, local=an_engine("local"))
    done = strixbench("images", "--prune", open_engine=here)
    assert done.code == 0
    assert CPU.hash in podman.kept
    assert podman.stages == 0
    assert "removed from podman: localhost/strixbench/old:0, 3 stages of builds; that freed 0.0 MB" in done.err


@pytest.mark.parametrize("options", [("--prune",), ("--remove", "cpu")])
def test_an_engine_that_refuses_to_make_room_stops_no_other_and_ends_with_3(
    strixbench: Strixbench, options: tuple[str, ...]
) -> None:
    podman, docker = an_engine("podman", a_built("cpu")), an_engine("docker", a_built("cpu"))
    podman.removal_refusal = EngineError("podman failed at removing old images: image is in use")
    here = engines(podman=podman, docker=docker, local=an_engine("local"))
    done = strixbench("images", *options, open_engine=here)
    assert done.code == 3
    assert "podman: podman failed at removing old images: image is in use" in done.err
    assert "removed from docker: localhost/strixbench/old:0" in done.err
    assert "| docker | current" in done.out


def test_a_name_is_not_called_unknown_where_an_engine_did_not_say_what_it_has(strixbench: Strixbench) -> None:
    silent = FakeEngine(name="podman", refusal=EngineError("podman stopped answering"))
    here = engines(podman=silent, docker=an_engine("docker"), local=an_engine("local"))
    done = strixbench("images", "--remove", "cpu", open_engine=here)
    assert done.code == 3
    assert "no built image" not in done.err


def test_one_image_is_removed_by_its_name_and_a_name_that_nobody_has_is_wrong_usage(strixbench: Strixbench) -> None:
    podman, docker = an_engine("podman", a_built("cpu")), an_engine("docker")
    here = engines(podman=podman, docker=docker, local=an_engine("local"))
    done = strixbench("images", "--remove", "cpu", open_engine=here)
    assert done.code == 0
    assert podman.removed_names == {"cpu"}
    assert docker.removed_names == frozenset()
    wrong = strixbench("images", "--remove", "rocm62", open_engine=here)
    assert wrong.code == 2
    assert "no built image is called rocm62" in wrong.err


def test_without_images_there_is_nothing_to_show(strixbench: Strixbench) -> None:
    here = engines(local=an_engine("local"))
    shown = strixbench("images", open_engine=here)
    assert (shown.code, shown.out) == (0, "")
    assert "0 images in local" in shown.err
