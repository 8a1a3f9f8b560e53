"""Room for builds. The disks are made up: `FakeEngine` names a folder, and `a_place` says how much is free."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.catalog.rows import Image
from harness.engines.base import BuiltImage, Engine, Recipe, Storage
from harness.errors import NoRoomError
from harness.images.build import rebuild
from harness.images.build_needs import GB, Free
from harness.images.disk_space import UNCHECKED, Place, Room, place_of, read_free
from harness.text import Say
from tests.unit.campaigns import Bench
from tests.unit.samples import FakeEngine

IMAGE = msgspec.structs.replace(
    load_catalog().images["rocm62"], base_bytes=0, largest_layer_bytes=0, wheel_bytes=4 * GB, disk_bytes=15 * GB
)
"""Of 15 GB: Podman builds it in 60 GB and 30 GB of its temporary folder, Docker in 45 GB."""


def a_place(store_gb: float | None, spool_gb: float | None = 1000, *, engine: str = "podman") -> Callable[[Engine], Place]:
    """The same room whenever it is looked at, the temporary folder on a disk of its own."""
    store = None if store_gb is None else Free("/store", int(store_gb * GB), 1)
    spool = None if spool_gb is None else Free("/var/tmp", int(spool_gb * GB), 2)
    storage = Storage(folder="/store", spool="/var/tmp")
    return lambda _: Place(engine=engine, storage=storage, store=store, spool=spool)


def build(engine: FakeEngine, look: Callable[[Engine], Place], *, image: Image = IMAGE) -> list[str]:
    """Build it, and return what was announced."""
    announced: list[str] = []
    rebuild(image, engine, say=lambda _: None, room=Room(announced.append, look=look))
    return announced


def an_engine(name: str = "podman") -> FakeEngine:
    return FakeEngine(name=name, has_image=False)


def test_a_disk_that_is_too_small_refuses_before_anything_is_fetched() -> None:
    engine = an_engine()
    with pytest.raises(NoRoomError) as caught:
        build(engine, a_place(59))
    assert engine.builds == []
    said = str(caught.value)
    assert "no room to build rocm62 with podman: 59.0 GB are free in /store and about 60.0 GB are needed" in said
    assert "30.0 GB remain afterwards" in said
    for advice in ("strixbench images --prune", "podman system prune", "graphroot", f"{UNCHECKED}=1"):
        assert advice in said
    assert "\n" not in said


def test_a_disk_that_is_large_enough_says_nothing() -> None:
    engine = an_engine()
    assert build(engine, a_place(60)) == []
    assert len(engine.builds) == 1


def test_a_temporary_folder_that_is_too_small_refuses_and_is_named_alone() -> None:
    with pytest.raises(NoRoomError) as caught:
        build(an_engine(), a_place(100, 29))
    assert "29.0 GB are free in /var/tmp and about 30.0 GB are needed" in str(caught.value)
    assert "TMPDIR" in str(caught.value)
    assert "graphroot" not in str(caught.value)


def test_two_subvolumes_of_one_btrfs_share_its_room() -> None:
    """Fedora's default: the store in /home, the temporary folder in /. 60 and 30 GB are needed at the same time."""
    pool = "btrfs /dev/nvme0n1p3"
    store, spool = Free("/home/store", 70 * GB, 1, pool), Free("/var/tmp", 70 * GB, 2, pool)
    storage = Storage(folder=store.folder, spool=spool.folder)
    engine = an_engine()
    with pytest.raises(NoRoomError, match=r"70\.0 GB are free in /home/store and about 90\.0 GB are needed"):
        build(engine, lambda _: Place(engine="podman", storage=storage, store=store, spool=spool))
    assert engine.builds == []


def test_docker_s_advice_is_docker_s() -> None:
    with pytest.raises(
        NoRoomError, match=r"data-root.*docker system prune` frees more, but also removes your stopped containers"
    ):
        build(an_engine("docker"), a_place(44, None, engine="docker"))


@pytest.mark.parametrize(("store_gb", "spool_gb"), [(None, None), (None, 100), (100, None)])
def test_where_the_room_cannot_be_found_out_the_build_goes_on_and_says_so(
    store_gb: float | None, spool_gb: float | None
) -> None:
    engine = an_engine()
    announced = build(engine, a_place(store_gb, spool_gb))
    assert len(engine.builds) == 1
    assert len(announced) == (store_gb is None) + (spool_gb is None)
    assert all("cannot be found out from here: podman builds without that check" in line for line in announced)


def test_a_user_who_knows_better_can_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UNCHECKED, "1")
    engine = an_engine()
    assert build(engine, a_place(0)) == []
    assert len(engine.builds) == 1


def test_the_message_has_no_user_s_name_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    store = Free("/home/alice/.local/share/containers/storage", 0, 1)
    storage = Storage(folder=store.folder)
    with pytest.raises(NoRoomError) as caught:
        build(an_engine(), lambda _: Place(engine="podman", storage=storage, store=store, spool=None))
    assert "alice" not in str(caught.value)
    assert "~/.local/share/containers/storage" in str(caught.value)


def test_a_folder_is_looked_at_and_one_that_is_not_here_is_not_known(tmp_path: Path) -> None:
    engine = an_engine()
    engine.keeps = Storage(folder=str(tmp_path), spool=str(tmp_path / "on another host"))
    place = place_of(engine)
    assert place.store is not None
    assert (place.store.bytes > 0, place.store.device) == (True, tmp_path.stat().st_dev)
    assert place.spool is None
    assert read_free(None) is None


class WaitingEngine(FakeEngine):
    """A fake whose builds wait until they are told to end."""

    def __init__(self) -> None:
        super().__init__(has_image=False)
        self.has_begun, self.may_end = threading.Event(), threading.Event()

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        self.has_begun.set()
        assert self.may_end.wait(30)
        return super().build(recipe, log=log, say=say, announce=announce)


def test_builds_at_the_same_time_do_not_take_the_same_room() -> None:
    said = threading.Event()
    room = Room(lambda text: said.set() if "waits until another build makes room" in text else None, look=a_place(100))
    engines = WaitingEngine(), WaitingEngine()
    threads = [
        threading.Thread(target=rebuild, args=(IMAGE, engine), kwargs={"say": print, "room": room}, daemon=True)
        for engine in engines
    ]
    threads[0].start()
    assert engines[0].has_begun.wait(30)
    threads[1].start()
    assert said.wait(30)
    assert not engines[1].has_begun.is_set()
    engines[0].may_end.set()
    assert engines[1].has_begun.wait(30)
    engines[1].may_end.set()
    for thread in threads:
        thread.join(30)
    assert [len(engine.builds) for engine in engines] == [1, 1]


def test_a_bench_without_room_stores_an_obstacle_and_goes_on_with_what_fits(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    large = msgspec.structs.replace(load_catalog().images["cpu"], name="large", disk_bytes=10**18)
    small = msgspec.structs.replace(load_catalog().images["cpu"], base_bytes=0, wheel_bytes=1, disk_bytes=1000)
    engine = FakeEngine(has_image=False)
    engine.keeps = Storage(folder=str(tmp_path))
    campaign = bench.run(engine, images=(large, small))
    assert [recipe.image for recipe in engine.builds] == ["cpu"]
    assert {launch.plan.image.name: launch.verdict.cause for launch in campaign.launches} == {"large": "engine", "cpu": None}
    assert isinstance(campaign.environment_error, NoRoomError)
    (first, *_) = bench.listener.announced
    assert first == "to build: 2 of 2 images"
