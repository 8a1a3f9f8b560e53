"""Folders of compiled kernels. What is in them was put there by hand: no kernel was compiled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import places
from harness.catalog import kernel_cache_variables
from harness.errors import UsageError
from harness.launch import kernel_cache
from harness.records.host import HostRecord
from harness.records.outcome import CacheRecord
from harness.records.plan import EngineRecord, Plan
from tests.unit.samples import HOST, WORKLOAD, a_plan

PODMAN = EngineRecord(name="podman", version="5.7.0")
KEY = "rocm-0123456789ab"
KEPT = a_plan(caches="keep", cache_key=KEY)


def key(**changes: Any) -> str:
    told: dict[str, Any] = {
        "image": "rocm",
        "image_id": "sha256:1",
        "engine": PODMAN,
        "gpus": ("0x1002:0x1586", "gfx1151"),
        "driver": "6.18.4",
        "variables": {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"},
        "knobs": (),
        **changes,
    }
    return kernel_cache.key_of(told.pop("image"), told.pop("image_id"), **told)


def launch(plan: Plan = KEPT, *, writes: int = 0, came_through: bool = True) -> CacheRecord:
    """What is recorded of a launch that writes files of ten bytes."""
    folder = kernel_cache.files_of(plan.cache_key)
    record = kernel_cache.begin(plan, folder)
    for number in range(writes):
        (folder / "comgr" / f"{plan.id}-{number}").write_bytes(b"0123456789")
    ended = kernel_cache.finish(plan, folder, record, came_through=came_through)
    assert ended is not None
    return ended


def numbers(record: CacheRecord) -> tuple[int | None, ...]:
    return record.files_before, record.bytes_before, record.files_after, record.bytes_after


# The key


def test_one_image_gpu_and_driver_have_one_cache_under_a_name_that_a_person_knows() -> None:
    assert key() == key()
    assert key().startswith("rocm-")
    assert key(gpus=("gfx1151", "0x1002:0x1586")) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "sha256:2"},
        {"gpus": ("gfx1100",)},
        {"driver": "6.18.5"},
        {"variables": {}},
        {"knobs": ("miopen-off",)},
        {"engine": EngineRecord(name="docker")},
        {"engine": EngineRecord(name="podman", rootless=True)},
    ],
)
def test_whatever_changes_a_kernel_or_its_owner_is_another_cache(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize("image", ["../../etc", "registry.io/a/b:c", "", "..", "x" * 500])
def test_an_image_s_name_leads_to_no_other_folder(image: str) -> None:
    name = key(image=image)
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) < 80


def test_the_driver_is_the_kernel_and_the_version_of_a_module_of_its_own(tmp_path: Path) -> None:
    host = HostRecord(kernel="6.18.4")
    assert kernel_cache.driver_of(host, tmp_path) == "6.18.4"
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    (tmp_path / "sys/module/amdgpu/version").write_text("6.14.14\n")
    assert kernel_cache.driver_of(host, tmp_path) == "6.18.4, amdgpu 6.14.14"


def test_every_variable_leads_into_the_folder() -> None:
    found = kernel_cache_variables.environment("/caches")
    assert found.pop("AMD_COMGR_CACHE") == "1"
    assert set(found) == set(kernel_cache_variables.FOLDERS)
    assert all(value.startswith("/caches/") for value in found.values())


def test_modes_are_two() -> None:
    assert (kernel_cache.parse_mode("keep"), kernel_cache.parse_mode("empty")) == ("keep", "empty")
    with pytest.raises(UsageError, match="--caches warm: it is empty"):
        kernel_cache.parse_mode("warm")


# What a launch finds and leaves


def test_a_kept_cache_is_empty_once_and_then_holds_what_was_compiled() -> None:
    first, second = launch(writes=2), launch(writes=1)
    assert (numbers(first), first.seen_before) == ((0, 0, 2, 20), False)
    assert (numbers(second), second.seen_before) == ((2, 20, 2, 20), True)
    assert (first.mode, first.key, first.remark) == ("keep", KEY, "")


def test_other_work_has_not_been_seen_though_the_cache_is_full() -> None:
    launch(writes=1)
    longer = msgspec.structs.replace(KEPT, workload=msgspec.structs.replace(WORKLOAD, audio_sha256="e" * 64))
    record = launch(longer)
    assert (record.files_before, record.seen_before) == (1, False)
    assert launch(longer).seen_before
    assert launch().seen_before


def test_a_launch_that_did_not_come_through_its_first_pass_has_filled_nothing() -> None:
    launch(writes=1, came_through=False)
    assert not launch().seen_before


def test_a_cache_that_was_emptied_by_hand_is_an_empty_one() -> None:
    launch(writes=1)
    kernel_cache.remove_folder(kernel_cache.files_of(KEY))
    assert not launch().seen_before


def test_a_cache_that_never_held_anything_has_still_been_seen() -> None:
    launch()
    record = launch()
    assert (record.files_before, record.seen_before) == (0, True)


def test_an_own_cache_is_gone_behind_its_launch(tmp_path: Path) -> None:
    plan, folder = a_plan(caches="empty"), tmp_path / "launch" / "caches"
    record = kernel_cache.begin(plan, folder)
    (folder / "miopen-kernels" / "a").write_bytes(b"abc")
    ended = kernel_cache.finish(plan, folder, record, came_through=True)
    assert ended == CacheRecord(mode="empty", files_before=0, bytes_before=0, files_after=1, bytes_after=3)
    assert not folder.exists()


def test_a_plan_from_before_there_was_a_choice_has_no_cache(tmp_path: Path) -> None:
    assert kernel_cache.begin(a_plan(), tmp_path / "caches") is None
    assert kernel_cache.finish(a_plan(), tmp_path / "caches", None, came_through=True) is None
    assert not (tmp_path / "caches").exists()


def test_a_cache_above_its_limit_is_emptied_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "MOST_KEPT_FILES", 2)
    launch(writes=2)
    record = launch(msgspec.structs.replace(KEPT, id="another"), writes=1)
    assert record.files_after == 3
    assert record.remark == f"the kernel cache {KEY} held 3 files, 0.0 GiB: it was emptied, and its next launch is a cold one"
    assert (launch().files_before, launch().remark) == (0, "")


# What is ended while it compiles

OWN = a_plan(caches="empty", keeps_as=KEY, first_pass_seconds=3600.0)


def ended(folder: Path, plan: Plan = OWN, *, because: Any = "first pass", writes: int = 3) -> CacheRecord:
    """What is recorded of a launch with a folder of its own that was ended."""
    record = kernel_cache.begin(plan, folder)
    for number in range(writes):
        (folder / "miopen-kernels" / str(number)).write_bytes(b"0123456789")
    found = kernel_cache.finish(plan, folder, record, came_through=False, ended_because=because)
    assert found is not None
    return found


def test_what_an_ended_first_pass_compiled_becomes_the_kept_cache_and_the_next_launch_goes_on_with_it(tmp_path: Path) -> None:
    record = ended(tmp_path / "own")
    assert record.kept_as == KEY
    assert record.remark == (
        f"the kernels that it compiled until then (3 files, 0.0 GiB) are kept as {KEY}: run again with --caches keep, "
        "which goes on with them"
    )
    assert not (tmp_path / "own").exists()
    assert (kernel_cache.kept_folder() / KEY).stat().st_mode & 0o777 == 0o700
    (found,) = kernel_cache.kept()
    assert (found.key, found.image, found.size.files) == (KEY, "cpu", 3)
    again = launch()
    assert (again.files_before, again.seen_before) == (3, False)  # half a cache is no warm one


def test_a_kept_cache_that_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    launch(writes=1)
    (kept,) = (path.name for path in (kernel_cache.files_of(KEY) / "comgr").iterdir())
    record = ended(tmp_path / "own")
    assert record.kept_as == ""
    assert f"there is a kept cache {KEY} already" in record.remark
    assert [path.name for path in kernel_cache.files_of(KEY).rglob("*") if path.is_file()] == [kept]
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    ("plan", "because", "writes"),
    [
        (OWN, None, 3),
        (OWN, "time", 3),
        (OWN, "gpu fault", 3),
        (OWN, "first pass", 0),
        (a_plan(caches="empty"), "first pass", 3),
    ],
    ids=["it ended by itself", "later", "of a fault", "nothing compiled", "a plan from before"],
)
def test_nothing_else_of_an_own_folder_is_kept(tmp_path: Path, plan: Plan, because: Any, writes: int) -> None:
    assert ended(tmp_path / "own", plan, because=because, writes=writes).kept_as == ""
    assert kernel_cache.kept() == ()
    assert not (tmp_path / "own").exists()


def test_a_folder_above_the_limit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "MOST_KEPT_FILES", 2)
    record = ended(tmp_path / "own")
    assert "too many to be kept" in record.remark
    assert kernel_cache.kept() == ()
    assert not (tmp_path / "own").exists()


def test_a_link_in_the_folder_s_place_is_not_moved_into_the_cache(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("not the launch's")
    folder = tmp_path / "own"
    record = kernel_cache.begin(OWN, folder)
    kernel_cache.remove_folder(folder)
    folder.symlink_to(tmp_path / "elsewhere")
    found = kernel_cache.finish(OWN, folder, record, came_through=False, ended_because="first pass")
    assert found is not None
    assert found.kept_as == ""
    assert kernel_cache.kept() == ()
    assert (tmp_path / "elsewhere" / "file").exists()


def test_links_in_the_folder_are_moved_as_links(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    record = kernel_cache.begin(OWN, tmp_path / "own")
    (tmp_path / "own" / "comgr" / "kernel").write_bytes(b"0123456789")
    (tmp_path / "own" / "link").symlink_to(tmp_path / "precious")
    assert kernel_cache.finish(OWN, tmp_path / "own", record, came_through=False, ended_because="first pass")
    assert (kernel_cache.files_of(KEY) / "link").is_symlink()
    kernel_cache.clear(kernel_cache.kept())
    assert (tmp_path / "precious").read_text() == "kept"


def test_where_the_cache_cannot_be_written_the_message_says_how_to_keep_it_the_next_time(tmp_path: Path) -> None:
    kernel_cache.kept_folder().parent.mkdir(parents=True)
    kernel_cache.kept_folder().write_text("no folder")
    record = ended(tmp_path / "own")
    assert record.kept_as == ""
    assert "could not be kept" in record.remark
    assert "--caches keep" in record.remark


def test_a_kept_cache_stays_when_its_launch_is_ended_or_its_harness_dies() -> None:
    folder = kernel_cache.files_of(KEY)
    record = kernel_cache.begin(KEPT, folder)
    (folder / "comgr" / "a").write_bytes(b"0123456789")
    assert kernel_cache.finish(KEPT, folder, record, came_through=False, ended_because="first pass") is not None
    kernel_cache.begin(KEPT, folder)
    (folder / "comgr" / "b").write_bytes(b"0123456789")  # and nobody comes to its end: SIGKILL
    again = kernel_cache.begin(KEPT, folder)
    assert again is not None
    assert (again.files_before, again.seen_before) == (2, False)
    (found,) = kernel_cache.kept()
    assert found.size.files == 2


# What a container may have put there


def test_the_folder_is_open_to_any_user_of_a_container_and_closed_to_others_of_this_host() -> None:
    kernel_cache.make_folder(kernel_cache.files_of(KEY))
    assert kernel_cache.files_of(KEY).stat().st_mode & 0o777 == 0o777
    assert (kernel_cache.files_of(KEY) / "miopen-databases").stat().st_mode & 0o777 == 0o777
    assert (kernel_cache.kept_folder() / KEY).stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (kernel_cache.kept_folder() / KEY).iterdir()) == ["files"]


def test_no_link_is_followed_when_it_is_counted_or_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 1000)
    launch(writes=1)
    folder = kernel_cache.files_of(KEY)
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "precious")
    (folder / "round").symlink_to(folder)
    assert kernel_cache.measure(folder) == kernel_cache.Size(1, 10)
    kernel_cache.clear(kernel_cache.kept())
    assert not (kernel_cache.kept_folder() / KEY).exists()
    assert (outside / "precious").exists()


@pytest.mark.parametrize("leads_to", ["outside", "outside/file", "nowhere"])
def test_a_link_is_removed_itself_and_what_it_leads_to_is_left_as_it_is(tmp_path: Path, leads_to: str) -> None:
    inner = tmp_path / "outside/inner"
    inner.mkdir(parents=True)
    (tmp_path / "outside/file").write_bytes(b"x")
    for folder in (inner, inner.parent):
        folder.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / leads_to)
    assert kernel_cache.remove_folder(link)
    assert not link.is_symlink()
    assert [folder.stat().st_mode & 0o777 for folder in (inner, inner.parent)] == [0o755, 0o755]
    assert (tmp_path / "outside/file").exists()


def test_nothing_is_made_through_a_link_that_a_container_left(tmp_path: Path) -> None:
    launch()
    folder = kernel_cache.files_of(KEY)
    (folder / "comgr").rmdir()
    (folder / "comgr").symlink_to(tmp_path / "made")
    kernel_cache.make_folder(folder)
    assert not (tmp_path / "made").exists()


def test_a_folder_in_whose_place_is_a_link_is_made_anew(tmp_path: Path) -> None:
    launch()
    folder = kernel_cache.files_of(KEY)
    kernel_cache.remove_folder(folder)
    folder.symlink_to(tmp_path)
    kernel_cache.make_folder(folder)
    assert not folder.is_symlink()


def test_a_file_that_claims_a_length_without_holding_it_counts_for_little(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    (tmp_path / "small").write_bytes(b"abc")
    size = kernel_cache.measure(tmp_path)
    assert size.files == 2
    assert size.bytes <= kernel_cache.LEAST_BLOCK_BYTES + 3


def test_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert kernel_cache.measure(tmp_path) == kernel_cache.Size(0, 0)


def test_counting_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "MOST_COUNTED", 3)
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"")
    assert kernel_cache.measure(tmp_path).remark == "and more that were not counted"


def test_what_is_not_there_is_told_and_no_zero_without_a_word(tmp_path: Path) -> None:
    assert kernel_cache.measure(tmp_path / "nothing").remark == "and more that cannot be read (No such file or directory)"


def test_a_folder_that_a_container_closed_to_itself_is_removed(tmp_path: Path) -> None:
    (tmp_path / "caches/a/b").mkdir(parents=True)
    (tmp_path / "caches/a/b/file").write_bytes(b"")
    (tmp_path / "caches/a/b").chmod(0)
    (tmp_path / "caches/a").chmod(0)
    assert kernel_cache.remove_folder(tmp_path / "caches")


@pytest.mark.parametrize("text", ["", "[]", '{"image": 1}', "{"])
def test_an_unreadable_about_is_no_about(text: str) -> None:
    launch(writes=1)
    (kernel_cache.kept_folder() / KEY / kernel_cache.ABOUT).write_text(text)
    (found,) = kernel_cache.kept()
    assert (found.image, found.size) == ("rocm", kernel_cache.Size(1, 10))
    assert not launch().seen_before


# What there is


def test_kept_caches_are_listed_with_what_they_are_for() -> None:
    assert kernel_cache.kept() == ()
    launch(writes=1)
    (kernel_cache.kept_folder() / "stray").write_text("no cache")
    (found,) = kernel_cache.kept()
    assert (found.key, found.image, found.engine, found.driver) == (KEY, "cpu", "podman", HOST.kernel)
    assert found.size == kernel_cache.Size(1, 10)
    assert places.cache() in Path(found.folder).parents
