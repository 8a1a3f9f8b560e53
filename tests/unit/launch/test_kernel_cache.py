"""Folders of compiled kernels. What is in them was put there by hand: no kernel was compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.errors import UsageError
from harness.launch import cache_folder, kept_caches, kernel_cache
from harness.records.outcome import CacheRecord
from harness.records.plan import Plan
from tests.unit.samples import WORKLOAD, a_plan

KEY = "rocm-0123456789ab"
KEPT = a_plan(caches="keep", cache_key=KEY)


def launch(plan: Plan = KEPT, *, writes: int = 0, came_through: bool = True, most_files: int = 100) -> CacheRecord:
    """What is recorded of a launch that writes files of ten bytes."""
    folder = kept_caches.files_of(plan.cache_key)
    record = kernel_cache.begin(plan, folder)
    for number in range(writes):
        (folder / "comgr" / f"{plan.id}-{number}").write_bytes(b"0123456789")
    ended = kernel_cache.finish(plan, folder, record, came_through=came_through, most_files=most_files)
    assert ended is not None
    return ended


def numbers(record: CacheRecord) -> tuple[int | None, ...]:
    return record.files_before, record.bytes_before, record.files_after, record.bytes_after


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
    longer = msgspec.structs.replace(KEPT, workload=msgspec.structs.replace(WORKLOAD, input_sha256="e" * 64))
    record = launch(longer)
    assert (record.files_before, record.seen_before) == (1, False)
    assert launch(longer).seen_before
    assert launch().seen_before


def test_a_launch_that_did_not_come_through_its_first_pass_has_filled_nothing() -> None:
    launch(writes=1, came_through=False)
    assert not launch().seen_before


def test_a_cache_that_was_emptied_by_hand_is_an_empty_one() -> None:
    launch(writes=1)
    cache_folder.remove_folder(kept_caches.files_of(KEY))
    assert not launch().seen_before


def test_a_cache_that_never_held_anything_has_still_been_seen() -> None:
    launch()
    record = launch()
    assert (record.files_before, record.seen_before) == (0, True)


def test_an_own_cache_is_gone_after_its_launch(tmp_path: Path) -> None:
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


def test_a_cache_above_its_limit_is_emptied_and_that_is_said() -> None:
    launch(writes=2, most_files=2)
    record = launch(msgspec.structs.replace(KEPT, id="another"), writes=1, most_files=2)
    assert record.files_after == 3
    assert record.remark == f"the kernel cache {KEY} held 3 files, 0.0 GiB: it was emptied, and its next launch is a cold one"
    assert (launch().files_before, launch().remark) == (0, "")


# What is ended while it compiles

OWN = a_plan(caches="empty", keeps_as=KEY, first_pass_seconds=3600.0)


def ended(
    folder: Path, plan: Plan = OWN, *, because: Any = "first pass", writes: int = 3, most_files: int = 100
) -> CacheRecord:
    """What is recorded of a launch with a folder of its own that was ended."""
    record = kernel_cache.begin(plan, folder)
    for number in range(writes):
        (folder / "miopen-kernels" / str(number)).write_bytes(b"0123456789")
    found = kernel_cache.finish(plan, folder, record, came_through=False, ended_because=because, most_files=most_files)
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
    assert (kept_caches.kept_folder() / KEY).stat().st_mode & 0o777 == 0o700
    (found,) = kept_caches.kept()
    assert (found.key, found.image, found.size.files) == (KEY, "cpu", 3)
    again = launch()
    assert (again.files_before, again.seen_before) == (3, False)  # half a cache is no warm one


def test_a_kept_cache_that_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    launch(writes=1)
    (kept,) = (path.name for path in (kept_caches.files_of(KEY) / "comgr").iterdir())
    record = ended(tmp_path / "own")
    assert record.kept_as == ""
    assert f"there is a kept cache {KEY} already" in record.remark
    assert [path.name for path in kept_caches.files_of(KEY).rglob("*") if path.is_file()] == [kept]
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
    assert kept_caches.kept() == ()
    assert not (tmp_path / "own").exists()


def test_a_folder_above_the_limit_is_not_kept(tmp_path: Path) -> None:
    record = ended(tmp_path / "own", most_files=2)
    assert "too many to be kept" in record.remark
    assert kept_caches.kept() == ()
    assert not (tmp_path / "own").exists()


def test_a_link_in_the_folder_s_place_is_not_moved_into_the_cache(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("not the launch's")
    folder = tmp_path / "own"
    record = kernel_cache.begin(OWN, folder)
    cache_folder.remove_folder(folder)
    folder.symlink_to(tmp_path / "elsewhere")
    found = kernel_cache.finish(OWN, folder, record, came_through=False, ended_because="first pass")
    assert found is not None
    assert found.kept_as == ""
    assert kept_caches.kept() == ()
    assert (tmp_path / "elsewhere" / "file").exists()


def test_links_in_the_folder_are_moved_as_links(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    record = kernel_cache.begin(OWN, tmp_path / "own")
    (tmp_path / "own" / "comgr" / "kernel").write_bytes(b"0123456789")
    (tmp_path / "own" / "link").symlink_to(tmp_path / "precious")
    assert kernel_cache.finish(OWN, tmp_path / "own", record, came_through=False, ended_because="first pass")
    assert (kept_caches.files_of(KEY) / "link").is_symlink()
    kept_caches.clear(kept_caches.kept())
    assert (tmp_path / "precious").read_text() == "kept"


def test_where_the_cache_cannot_be_written_the_message_says_how_to_keep_it_the_next_time(tmp_path: Path) -> None:
    kept_caches.kept_folder().parent.mkdir(parents=True)
    kept_caches.kept_folder().write_text("no folder")
    record = ended(tmp_path / "own")
    assert record.kept_as == ""
    assert "could not be kept" in record.remark
    assert "--caches keep" in record.remark


def test_a_kept_cache_stays_when_its_launch_is_ended_or_its_harness_dies() -> None:
    folder = kept_caches.files_of(KEY)
    record = kernel_cache.begin(KEPT, folder)
    (folder / "comgr" / "a").write_bytes(b"0123456789")
    assert kernel_cache.finish(KEPT, folder, record, came_through=False, ended_because="first pass") is not None
    kernel_cache.begin(KEPT, folder)
    (folder / "comgr" / "b").write_bytes(b"0123456789")  # and nobody comes to its end: SIGKILL
    again = kernel_cache.begin(KEPT, folder)
    assert again is not None
    assert (again.files_before, again.seen_before) == (2, False)
    (found,) = kept_caches.kept()
    assert found.size.files == 2
