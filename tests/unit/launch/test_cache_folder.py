"""Folders of compiled kernels, with what a container may have put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.catalog import kernel_cache_variables
from harness.launch import cache_folder, kept_caches
from tests.unit.launch.test_kernel_cache import KEY, launch


def test_every_variable_leads_into_the_folder() -> None:
    found = kernel_cache_variables.environment("/caches")
    assert found.pop("AMD_COMGR_CACHE") == "1"
    assert set(found) == set(kernel_cache_variables.FOLDERS)
    assert all(value.startswith("/caches/") for value in found.values())


def test_the_folder_is_open_to_any_user_of_a_container_and_closed_to_others_of_this_host() -> None:
    cache_folder.make_folder(kept_caches.files_of(KEY))
    assert kept_caches.files_of(KEY).stat().st_mode & 0o777 == 0o777
    assert (kept_caches.files_of(KEY) / "miopen-databases").stat().st_mode & 0o777 == 0o777
    assert (kept_caches.kept_folder() / KEY).stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (kept_caches.kept_folder() / KEY).iterdir()) == ["files"]


def test_no_link_is_followed_when_it_is_counted_or_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 1000)
    launch(writes=1)
    folder = kept_caches.files_of(KEY)
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "precious")
    (folder / "round").symlink_to(folder)
    assert cache_folder.measure(folder) == cache_folder.Size(1, 10)
    kept_caches.clear(kept_caches.kept())
    assert not (kept_caches.kept_folder() / KEY).exists()
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
    assert cache_folder.remove_folder(link)
    assert not link.is_symlink()
    assert [folder.stat().st_mode & 0o777 for folder in (inner, inner.parent)] == [0o755, 0o755]
    assert (tmp_path / "outside/file").exists()


def test_nothing_is_made_through_a_link_that_a_container_left(tmp_path: Path) -> None:
    launch()
    folder = kept_caches.files_of(KEY)
    (folder / "comgr").rmdir()
    (folder / "comgr").symlink_to(tmp_path / "made")
    cache_folder.make_folder(folder)
    assert not (tmp_path / "made").exists()


def test_a_folder_in_whose_place_is_a_link_is_made_anew(tmp_path: Path) -> None:
    launch()
    folder = kept_caches.files_of(KEY)
    cache_folder.remove_folder(folder)
    folder.symlink_to(tmp_path)
    cache_folder.make_folder(folder)
    assert not folder.is_symlink()


def test_a_file_that_claims_a_length_without_holding_it_counts_for_little(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1 << 40)
    (tmp_path / "small").write_bytes(b"abc")
    size = cache_folder.measure(tmp_path)
    assert size.files == 2
    assert size.bytes <= cache_folder.LEAST_BLOCK_BYTES + 3


def test_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    assert cache_folder.measure(tmp_path) == cache_folder.Size(0, 0)


def test_counting_ends(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"")
    assert cache_folder.measure(tmp_path, most_entries=3).remark == "and more that were not counted"


def test_what_is_not_there_is_told_and_no_zero_without_a_word(tmp_path: Path) -> None:
    assert cache_folder.measure(tmp_path / "nothing").remark == "and more that cannot be read (No such file or directory)"


def test_a_folder_that_a_container_closed_to_itself_is_removed(tmp_path: Path) -> None:
    (tmp_path / "caches/a/b").mkdir(parents=True)
    (tmp_path / "caches/a/b/file").write_bytes(b"")
    (tmp_path / "caches/a/b").chmod(0)
    (tmp_path / "caches/a").chmod(0)
    assert cache_folder.remove_folder(tmp_path / "caches")
