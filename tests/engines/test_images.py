"""Room and what builds leave behind, in real engines and on real disks that are too small."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.catalog.load import load_catalog
from harness.engines.base import IMAGE_LABEL, STAGE_LABEL, Recipe
from harness.engines.container import ContainerEngine
from harness.engines.discovery import find_engine
from harness.errors import NoRoomError
from harness.images.build import rebuild
from harness.images.built import prune_engine
from harness.images.disk_space import Room, place_of
from tests.commands import Workplace, wait_until

ADDED_BYTES = 20_000_000

TWO_STAGES = f"""ARG BASE
FROM ${{BASE}} AS build
LABEL {STAGE_LABEL}=build
RUN mkdir /opt/room && head -c {ADDED_BYTES} /dev/urandom > /opt/room/blob
FROM ${{BASE}}
COPY --from=build /opt/room /opt/room
"""


def a_recipe(engine: ContainerEngine, number: int) -> Recipe:
    """Of two stages, as the Containerfiles of the catalog are, on its base."""
    name = f"room-{engine.record.name}"
    base = str(load_catalog().images["cpu"].base)
    text = f"{TWO_STAGES}LABEL number={number}\n"
    return Recipe(
        image=name, hash=str(number) * 64, containerfile=text, arguments={"BASE": base}, files={}, labels={IMAGE_LABEL: name}
    )


def test_an_engine_names_folders_of_this_host_with_their_room(engine: ContainerEngine) -> None:
    place = place_of(engine)
    assert place.store is not None
    assert Path(place.store.folder).is_dir()
    assert place.store.bytes > 0
    assert (place.spool is not None) == (engine.record.name == "podman")


def test_a_stage_that_a_build_leaves_is_ours_by_its_label_and_is_pruned_with_old_images(
    engine: ContainerEngine, tmp_path: Path
) -> None:
    old, current = a_recipe(engine, 1), a_recipe(engine, 2)
    api = engine.connection.api
    child = f"localhost/somebody/child-of-{old.image}"
    before = engine.stages()
    try:
        for recipe in (old, current):
            built = engine.build(recipe, log=tmp_path / "build.log", say=lambda line: None)
        stages = engine.stages() - before
        assert stages
        upon_it = Recipe(
            image="of-somebody",
            hash="3" * 64,
            containerfile=f"FROM {built.id.removeprefix('sha256:')}\nRUN echo 1 > /tmp/1\n",
            arguments={},
            files={},
        )
        engine.build(upon_it, log=tmp_path / "child.log", say=lambda line: None)
        api.tag(upon_it.tag, child, "1")
        api.remove_image(upon_it.tag)
        ours = [image for image in engine.list_built() if image.image == old.image]
        assert [(image.recipe, image.tag) for image in ours] == [(old.hash, old.tag), (current.hash, current.tag)]
        assert all(image.size_bytes > ADDED_BYTES for image in ours)

        removed = prune_engine(engine, [current])

        assert removed.tags == (old.tag,)
        assert removed.stages >= len(stages)
        assert removed.freed_bytes is not None
        assert not stages & engine.stages(), "another build of this machine may have left its own since"
        assert engine.find_built(current) is not None
        assert engine.find_reference(f"{child}:1") is not None
    finally:
        for tag in (f"{child}:1", "localhost/strixbench/of-somebody:333333333333", old.tag, current.tag):
            with contextlib.suppress(Exception):
                api.remove_image(tag)
        engine.remove_stages()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)), check=True)
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def test_a_podman_whose_store_is_too_small_refuses_before_anything_is_fetched(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    with tempfile.TemporaryDirectory() as short:  # Podman takes no runroot of more than 50 characters
        socket = Path(short) / "podman.sock"
        places = ("--root", str(small_disk / "store"), "--runroot", f"{short}/run", "--storage-driver", "vfs")
        with subprocess.Popen(("podman", *places, "system", "service", "--time=60", f"unix://{socket}")) as service:
            try:
                with contextlib.closing(opened_podman(socket)) as engine:
                    with pytest.raises(
                        NoRoomError, match=r"no room to build cpu with podman: [\d.]+ MB are free in .*small/store"
                    ):
                        rebuild(load_catalog().images["cpu"], engine, say=print, room=Room(print))
                    assert engine.connection.api.images(all=True) == []
                assert not list((tmp_path / "results").rglob("*.log"))
            finally:
                service.terminate()


def opened_podman(socket: Path) -> ContainerEngine:
    """The engine on a socket, once somebody answers there."""
    environment = {"CONTAINER_HOST": f"unix://{socket}"}
    wait_until(lambda: find_engine("podman", environment=environment).socket == str(socket), what="Podman's service")
    return ContainerEngine(find_engine("podman", environment=environment))


def test_an_environment_whose_disk_is_too_small_is_refused_before_anything_is_fetched(small_disk: Path, tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "results", {"STRIXBENCH_CACHE": str(small_disk / "cache")})
    done = workplace.run("build", "local-cpu", "--json")
    assert done.code == 3, done.stderr
    (row,) = json.loads(done.stdout)
    assert re.match(r"no room to build local-cpu with local: [\d.]+ MB are free in ", row["error"])
    assert not (small_disk / "cache" / "environments").exists()
