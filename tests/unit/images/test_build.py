from __future__ import annotations

import hashlib
import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.stack import MALICIOUS
from harness import places
from harness.catalog.load import load_catalog
from harness.catalog.rows import Image
from harness.catalog.select import is_portable, portable
from harness.errors import BuildFailed, CatalogError, EngineError
from harness.images.build import (
    build_all,
    build_log,
    ensure_built,
    fetches_text,
    known_wheels,
    rebuild,
    recipe_of,
    remember_wheels,
    torch_options,
)
from harness.images.disk_space import Room
from tests.unit.samples import FakeEngine

REFERENCE = re.compile(r"localhost/strixbench/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*:[\w.-]{1,128}")
"""What an engine takes for a name: https://github.com/distribution/reference/blob/main/reference.go"""


def an_image(**changes: Any) -> Image:
    return msgspec.structs.replace(load_catalog().images["cpu"], **changes)


def a_local_image(**changes: Any) -> Image:
    return msgspec.structs.replace(load_catalog().images["local-cpu"], **changes)


def a_wheel(folder: Path, name: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    return str(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"torch": "2.10.0"},
        {"torchaudio": "2.10.0"},
        {"torch_index": None},
        {"base": "localhost/other"},
        {"family": "rocm"},
        {"torch_extra": "[device-gfx1151]"},
        {"torch_from": "links"},
        {"torch_dependencies": True},
        {"expected": "7.2"},
        {"packages": ("python3-venv",)},
        {"lock": "pyannote3.txt"},
        {"portable_of": "cpu"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_decides_what_an_image_holds_decides_its_recipe(changes: dict[str, Any]) -> None:
    assert recipe_of(an_image(**changes)).hash != recipe_of(an_image()).hash


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "other"},
        {"variants": ("native",)},
        {"user": "0:0"},
        {"python": "python3.12"},
        {"build_network": "host"},
        {"evidence": {"base": "somebody, 2026."}},
        {"base_bytes": 1},
        {"order": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_does_not_decide_what_it_holds_does_not(changes: dict[str, Any]) -> None:
    assert recipe_of(an_image(**changes)).hash == recipe_of(an_image()).hash


def test_a_wheel_at_hand_belongs_to_the_recipe_by_its_name_and_not_by_its_folder(tmp_path: Path) -> None:
    here = recipe_of(an_image(wheels=a_wheel(tmp_path / "a", "torch-2.13.0-cp312-none-any.whl")))
    there = recipe_of(an_image(wheels=a_wheel(tmp_path / "b", "torch-2.13.0-cp312-none-any.whl")))
    other = recipe_of(an_image(wheels=a_wheel(tmp_path / "c", "torch-2.13.1-cp312-none-any.whl")))
    assert here.hash == there.hash
    assert len({here.hash, other.hash, recipe_of(an_image()).hash}) == 3
    assert "wheels/torch-2.13.0-cp312-none-any.whl" in here.files


def test_a_container_s_recipe_has_its_containerfile_lock_and_base() -> None:
    recipe = recipe_of(an_image())
    assert "FROM" in recipe.containerfile
    assert recipe.arguments["BASE"] == an_image().base
    assert all(path.is_file() for path in recipe.files.values())
    assert set(recipe.files) == {"lock.txt", "finish.py"}


def test_an_environment_s_recipe_has_no_containerfile_and_needs_no_base() -> None:
    recipe = recipe_of(a_local_image())
    assert recipe.containerfile == ""
    assert "BASE" not in recipe.arguments


@pytest.mark.parametrize("name", ["family", "torch", "torchaudio", "lock", "containerfile", "base"])
def test_an_image_that_lacks_a_field_is_refused_with_the_field(name: str) -> None:
    with pytest.raises(CatalogError, match=rf"images\.cpu lacks {name}: it cannot be built"):
        recipe_of(an_image(**{name: None}))


@pytest.mark.parametrize(
    "changes", [{"lock": "none.txt"}, {"containerfile": "none.Containerfile"}], ids=["lock", "containerfile"]
)
def test_a_file_that_is_not_there_is_refused_with_its_row_and_path(changes: dict[str, str]) -> None:
    with pytest.raises(CatalogError, match=r"images\.cpu: cannot read .*none\..*: No such file"):
        recipe_of(an_image(**changes))


def test_a_folder_of_wheels_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"wheels = .* is not a folder"):
        recipe_of(an_image(wheels=str(tmp_path / "none")))


@pytest.mark.parametrize("name", ["cpu", "GPU Box", "Ünïcode", "..", "a..b", "a._b", "_x_", "日本", "a/b:c", "-", "x" * 60])
def test_any_name_becomes_a_tag_that_an_engine_takes(name: str) -> None:
    tag = recipe_of(an_image(name=name)).tag
    assert REFERENCE.fullmatch(tag), tag


def test_an_image_that_is_built_already_is_not_built_again() -> None:
    engine = FakeEngine()
    built = ensure_built(an_image(), engine, say=lambda _: None, room=Room(print))
    assert built.id == f"sha256:{recipe_of(an_image()).hash}"
    assert engine.builds == []


def test_an_image_that_is_not_built_yet_is_built() -> None:
    engine = FakeEngine(has_image=False)
    ensure_built(an_image(), engine, say=lambda _: None, room=Room(print))
    assert engine.builds == [recipe_of(an_image())]


def test_what_a_build_fetches_and_how_big_it_is_is_announced_before_it_begins() -> None:
    engine, announced = FakeEngine(has_image=False), list[str]()
    image = an_image(base="docker.io/library/python:3.12@sha256:1", base_bytes=45_000_000, wheel_bytes=3_900_000_000)
    ensure_built(image, engine, say=lambda _: None, room=Room(print), announce=announced.append)
    (line,) = announced
    assert line.startswith("building cpu with podman, which takes minutes: ")
    assert f"it fetches the base docker.io/library/python:3.12 (45 MB), then torch {image.torch} (3.9 GB) and pyannote" in line
    assert line.endswith(f"; log: {build_log(recipe_of(image))}")


def test_a_size_that_the_catalog_lacks_is_estimated_as_a_dry_run_has_it() -> None:
    image = an_image(base="docker.io/rocm/pytorch:7.2", torch_from="base", base_bytes=None)
    assert fetches_text(image, is_base_here=False).startswith(
        "it fetches the base docker.io/rocm/pytorch:7.2 (~10.4 GB), then pyannote.audio with what it needs (~220 MB)"
    )


def test_a_base_that_is_here_or_that_no_registry_has_is_not_said_to_be_fetched() -> None:
    here = fetches_text(an_image(base="docker.io/rocm/pytorch:7.2", base_bytes=10_400_000_000), is_base_here=True)
    assert here.startswith("it fetches torch ")
    assert here.endswith("; its base docker.io/rocm/pytorch:7.2 is here")
    assert "base" not in fetches_text(an_image(base="localhost/mine:1"), is_base_here=False)
    assert "base" not in fetches_text(load_catalog().images["local-cpu"], is_base_here=False)


def test_a_build_that_fails_says_so_with_the_end_of_its_log() -> None:
    engine = FakeEngine(has_image=False, build_failure=BuildFailed("exit 1", "no space left\n"))
    with pytest.raises(BuildFailed) as caught:
        ensure_built(an_image(), engine, say=lambda _: None, room=Room(print))
    assert caught.value.log_tail == "no space left\n"


def test_two_recipes_of_one_image_have_logs_of_their_own(tmp_path: Path) -> None:
    first, second = build_log(recipe_of(an_image())), build_log(recipe_of(an_image(torch="2.10.0")))
    assert first != second
    assert first.parent == second.parent == tmp_path / "results" / "builds"


@pytest.mark.parametrize(
    ("image", "options"),
    [
        ("cpu", "--no-input --extra-index-url https://download.pytorch.org/whl/cpu --no-deps"),
        ("rocm62", "--no-input --index-url https://download.pytorch.org/whl/rocm6.2 --no-deps"),
        ("rocm714", "--no-input --index-url https://repo.amd.com/rocm/whl-multi-arch/"),
        ("rocm72-amd", "--no-input --find-links https://repo.radeon.com/rocm/manylinux/rocm-rel-7.2/ --no-deps"),
        ("rocm72", ""),
    ],
)
def test_torch_comes_from_where_the_row_says(image: str, options: str) -> None:
    assert torch_options(load_catalog().images[image]) == options


def test_only_a_base_that_brings_torch_leaves_the_options_empty() -> None:
    image = an_image(torch_index=None, torch_dependencies=True)
    assert torch_options(image) == "--no-input"
    assert torch_options(msgspec.structs.replace(image, torch_from="base")) == ""


def test_every_image_of_the_catalog_and_its_portable_form_has_a_recipe_of_its_own() -> None:
    known = load_catalog()
    images = [image for image in known.images.values() if not image.lacks_day]
    hashes = {image.name: recipe_of(image).hash for image in images}
    assert len(set(hashes.values())) == len(images)
    for image in filter(is_portable, known.images.values()):
        assert recipe_of(portable(image, known)).hash not in hashes.values()


def test_an_image_says_what_it_is_made_of() -> None:
    known = load_catalog()
    labels = recipe_of(known.images["rocm62"]).labels
    assert labels["org.opencontainers.image.base.name"] == "docker.io/library/python:3.12-slim-bookworm"
    assert labels["org.opencontainers.image.base.digest"].startswith("sha256:")
    lock = (places.CONTAINERS / "locks" / "pyannote4-torch25.txt").read_bytes()
    assert labels["io.strixbench.lock"] == hashlib.sha256(lock).hexdigest()
    assert "io.strixbench.portable-of" not in labels
    assert recipe_of(portable(known.images["rocm62"], known)).labels["io.strixbench.portable-of"] == "rocm62"
    assert "org.opencontainers.image.base.digest" not in recipe_of(known.images["rocm64-amd"]).labels


def test_a_wheel_that_was_seen_once_is_known_to_the_next_build() -> None:
    engine = FakeEngine(has_image=False)
    engine.build_log = (
        f"STEP 9\nstrixbench wheel: torch-2.5.1+rocm6.2-cp312-linux_x86_64.whl {'a' * 64}\nnot strixbench wheel: x\n"
    )
    assert "known-wheels.txt" not in recipe_of(an_image()).files
    before = recipe_of(an_image()).hash
    ensure_built(an_image(), engine, say=print, room=Room(print))
    assert known_wheels().read_text() == f"torch-2.5.1+rocm6.2-cp312-linux_x86_64.whl {'a' * 64}\n"
    recipe = recipe_of(an_image())
    assert recipe.files["known-wheels.txt"] == known_wheels()
    assert recipe.hash == before
    # What was seen first stays: finish.py is the one that refuses another.
    engine.build_log = f"strixbench wheel: torch-2.5.1+rocm6.2-cp312-linux_x86_64.whl {'b' * 64}\n"
    rebuild(an_image(), engine, say=print, room=Room(print))
    assert "b" * 64 not in known_wheels().read_text()


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_build_that_fails_stops_no_other(jobs: int) -> None:
    engines = {
        "cpu": FakeEngine(has_image=False),
        "rocm62": FakeEngine(has_image=False, build_failure=BuildFailed("exit 1", "no such wheel\n")),
        "rocm64": FakeEngine(has_image=False, refusal=EngineError("podman stopped answering")),
    }
    images = [load_catalog().images[name] for name in engines]
    outcomes = build_all(
        images, open_engine=lambda image: engines[image.name], again=False, jobs=jobs, say=lambda text: None, room=Room(print)
    )
    found = {outcome.image.name: outcome for outcome in outcomes}
    assert found["cpu"].built is not None
    assert (found["rocm62"].cause, found["rocm62"].log_tail) == ("build", "no such wheel\n")
    assert found["rocm64"].cause == "engine"
    assert all(engine.is_closed for engine in engines.values())


def test_a_bug_in_a_build_s_thread_is_not_swallowed() -> None:
    def broken(image: Image) -> FakeEngine:
        raise ZeroDivisionError

    images = [load_catalog().images["cpu"]] * 2
    with pytest.raises(ZeroDivisionError):
        list(build_all(images, open_engine=broken, again=False, jobs=2, say=print, room=Room(print)))


def test_builds_that_end_at_once_lose_no_hash(tmp_path: Path) -> None:
    logs = []
    for number in range(40):
        log = tmp_path / f"{number}.log"
        log.write_text(f"strixbench wheel: torch-{number}.tar.gz {number:064d}\n")
        logs.append(log)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remember_wheels, logs))
    assert {line.split()[0] for line in known_wheels().read_text().splitlines()} == {f"torch-{n}.tar.gz" for n in range(40)}


def test_a_wheelhouse_of_the_command_line_is_read_and_no_part_of_the_recipe(tmp_path: Path) -> None:
    folder = a_wheel(tmp_path / "house", "torch-2.13.0-cp312-none-any.whl")
    with_house = recipe_of(an_image(wheelhouse=folder))
    assert with_house.hash == recipe_of(an_image()).hash
    assert "wheels/torch-2.13.0-cp312-none-any.whl" in with_house.files


def test_the_releases_that_are_malware_are_the_same_for_builds_seeds_and_launches() -> None:
    specification = importlib.util.spec_from_file_location("finish", places.CONTAINERS / "finish.py")
    assert specification is not None
    assert specification.loader is not None
    finish = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(finish)
    assert {name: versions for name, versions, _ in MALICIOUS} == finish.MALWARE
    seed = (places.CONTAINERS / "seed.Containerfile").read_text()
    for name, versions, _ in MALICIOUS:
        assert name + ",".join(f"!={version}" for version in versions) in seed
