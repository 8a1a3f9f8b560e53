from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.catalog.load import load_catalog
from harness.catalog.rows import Image
from harness.catalog.select import portable
from harness.errors import CatalogError, PackageIndexError
from harness.images.build import recipe_of
from harness.images.built import current_recipes
from harness.images.nightlies import choices_file, settle, with_day, with_kept_day, with_new_day, with_settled_day
from tests.unit.command_line import Strixbench
from tests.unit.package_index import FakeIndex, fake_index, wheels

OLD, NEW = "rocm10.2.0a20261003", "rocm10.2.0a20261005"


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with fake_index() as running:
        offer(running, OLD)
        yield running


def offer(index: FakeIndex, *builds: str) -> None:
    index.has("torch", *wheels("torch", "2.14.0", *builds))
    index.has("torchaudio", *wheels("torchaudio", "2.11.0.3", *builds))


def nightly(index: FakeIndex, **changes: Any) -> Image:
    image = load_catalog().images["therock"]
    return msgspec.structs.replace(image, **{"torch_index": index.address, **changes})


def quiet(text: str) -> None:
    """Say nothing."""


def test_what_was_chosen_is_kept_until_it_is_asked_anew(index: FakeIndex) -> None:
    image = nightly(index)
    assert with_kept_day(image) is image
    assert with_day(image, say=quiet).torch == f"2.14.0+{OLD}"
    offer(index, OLD, NEW)
    index.asked.clear()
    assert with_day(image, say=quiet).torch == with_kept_day(image).torch == with_settled_day(image).torch == f"2.14.0+{OLD}"
    assert index.asked == []
    assert with_new_day(image, say=quiet).torchaudio == f"2.11.0.3+{NEW}"
    assert with_kept_day(image).torch == f"2.14.0+{NEW}"


def test_the_image_of_the_day_before_stays_current_and_the_way_back_is_told(index: FakeIndex) -> None:
    image, said = nightly(index), list[str]()
    first = recipe_of(with_day(image, say=said.append))
    assert not any("before" in line for line in said)
    offer(index, NEW)
    second = recipe_of(with_new_day(image, say=said.append))
    assert f"was built of torch 2.14.0+{OLD}, torchaudio 2.11.0.3+{OLD} before. That image stays" in said[-1]
    with_new_day(image, say=said.append)  # there is nothing newer: what was before stays before
    known = load_catalog()
    known = msgspec.structs.replace(known, images=known.images | {image.name: image})
    hashes = {recipe.hash for recipe in current_recipes(known)}
    assert {first.hash, second.hash} <= hashes


def test_choices_of_two_commands_at_the_same_time_are_both_kept(index: FakeIndex) -> None:
    """Neither writes while another command does."""
    days = ("20261003", "newest")
    images = [nightly(index, torch_day=day) for day in days]
    with choices_file_locked():
        threads = [threading.Thread(target=with_new_day, args=(image,), kwargs={"say": quiet}, daemon=True) for image in images]
        for thread in threads:
            thread.start()
        threads[0].join(0.2)  # time to go wrong in: with the lock held neither ends, however long this is
        assert all(thread.is_alive() for thread in threads)
        assert not choices_file().exists()
    for thread in threads:
        thread.join(30)
    assert [with_kept_day(image).lacks_day for image in images] == [False, False]


@contextlib.contextmanager
def choices_file_locked() -> Iterator[None]:
    """As by another command that is about to write it."""
    file = choices_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    "changes", [{"torch": "2.13.0", "torchaudio": "2.11.0.2"}, {"torch_index": "http://127.0.0.1:1"}, {"torch_day": "20261003"}]
)
def test_a_choice_is_for_one_index_one_pair_and_one_wish(index: FakeIndex, changes: dict[str, str]) -> None:
    with_day(nightly(index), say=quiet)
    assert with_kept_day(nightly(index, **changes)).lacks_day


def test_the_day_is_part_of_the_recipe(index: FakeIndex) -> None:
    image = nightly(index)
    first = recipe_of(with_day(image, say=quiet))
    offer(index, NEW)
    again = recipe_of(with_new_day(image, say=quiet))
    assert first.hash != again.hash
    assert again.arguments["TORCH"] == f"2.14.0+{NEW}"


def test_an_image_whose_day_is_not_chosen_has_no_recipe_and_says_how_to_choose(index: FakeIndex) -> None:
    for refuse in (recipe_of, with_settled_day):
        with pytest.raises(PackageIndexError, match=r"not chosen yet. `strixbench build therock --plan` asks http://127"):
            refuse(nightly(index))
    assert index.asked == []


def test_exact_versions_of_an_overlay_ask_nobody(index: FakeIndex) -> None:
    image = nightly(index, torch=f"2.14.0+{OLD}", torchaudio=f"2.11.0.3+{OLD}")
    assert with_new_day(image, say=quiet) is image
    assert recipe_of(image).arguments["TORCH"] == f"2.14.0+{OLD}"
    assert index.asked == []


@pytest.mark.parametrize("changes", [{"torch": f"2.14.0+{OLD}"}, {"torchaudio": f"2.11.0.3+{OLD}"}])
def test_a_day_of_one_of_the_two_is_refused(index: FakeIndex, changes: dict[str, str]) -> None:
    for refuse in (recipe_of, partial(with_new_day, say=quiet)):
        with pytest.raises(CatalogError, match=r"images\.therock: .*name the day of both"):
            refuse(nightly(index, **changes))


def test_a_portable_build_needs_no_day() -> None:
    known = load_catalog()
    plain = portable(known.images["therock"], known)
    assert (plain.torch, plain.torchaudio, plain.lacks_day) == ("2.14.0", "2.11.0", False)
    assert recipe_of(plain).arguments["TORCH"] == "2.14.0"


def test_one_image_whose_index_refuses_does_not_stop_the_others(index: FakeIndex) -> None:
    cpu = load_catalog().images["cpu"]
    settled, refused = settle([nightly(index, torch="2.13.0"), cpu], partial(with_day, say=quiet))
    assert settled == (cpu,)
    assert "no nightly of both torch 2.13.0" in str(refused["therock"])


def test_choices_that_cannot_be_read_are_told_with_what_to_do(index: FakeIndex) -> None:
    choices_file().parent.mkdir(parents=True)
    choices_file().write_text('{"a": 1}')
    with pytest.raises(PackageIndexError, match=r"nightlies\.json cannot be read .*: remove it"):
        with_kept_day(nightly(index))


def test_a_choice_that_cannot_be_kept_is_told(index: FakeIndex, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(PackageIndexError):
        with_new_day(nightly(index), say=quiet)


@pytest.fixture
def therock(index: FakeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeIndex:
    """The catalog's own row, with its index on this machine."""
    overlay = tmp_path / "index.toml"
    overlay.write_text(f'[images.therock]\ntorch_index = "{index.address}"\n')
    monkeypatch.setenv("STRIXBENCH_CATALOG", str(overlay))
    return index


def test_build_plan_prints_what_it_chose_and_builds_nothing(therock: FakeIndex, strixbench: Strixbench) -> None:
    assert "2.14.0, newest nightly" in strixbench("list", "therock").out
    planned = strixbench("build", "therock", "--plan")
    assert planned.code == 0, planned.err
    assert planned.out == (f"image=therock  torch=2.14.0+{OLD}  torchaudio=2.11.0.3+{OLD}  index={therock.address}\n")
    assert f"2.14.0+{OLD}" in strixbench("list", "therock").out


def test_a_dry_run_asks_no_index_and_takes_what_was_planned(therock: FakeIndex, strixbench: Strixbench) -> None:
    before = strixbench("build", "therock", "--dry-run")
    assert before.code == 0
    assert "of a nightly that is still to be chosen" in before.out
    assert "strixbench build therock --plan" in before.out
    assert therock.asked == []
    strixbench("build", "therock", "--plan")
    after = strixbench("build", "therock", "--dry-run")
    assert (after.code, f"2.14.0+{OLD}" in after.out) == (0, True)


def test_bench_dry_run_leaves_out_what_is_not_chosen_and_says_so(
    therock: FakeIndex, strixbench: Strixbench, recording: Path, podman: Path
) -> None:
    alone = strixbench("bench", "therock", "--dry-run", "--audio", str(recording), "--pipeline", "synthetic")
    assert (alone.code, "strixbench build therock --plan" in alone.err) == (3, True)
    both = strixbench("bench", "local-cpu", "therock", "--dry-run", "--audio", str(recording), "--pipeline", "synthetic")
    assert both.code == 0, both.err
    assert "therock is left out: image therock: which nightly" in both.err
    assert therock.asked == []
