"""The folder that a launch may keep compiled kernels in: how it is made, measured and removed.

It is mounted writable, so its content is the image's doing: no link is followed, neither in counting nor in removing, and nothing
is ever made inside it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

import msgspec

from harness.catalog.kernel_cache_variables import FOLDERS
from harness.errors import HostError
from harness.tools import remove_tree

CACHES_IN_CONTAINER = "/caches"
"""Where a container sees the folder."""

MOST_COUNTED = 500_000
"""Entries after which the counting stops."""

LEAST_BLOCK_BYTES = 4096
"""A file may claim any length and hold nothing: it counts for no more than the blocks that it has, or this if that is more."""


class Size(msgspec.Struct, frozen=True):
    """What a folder holds."""

    files: int
    bytes: int
    remark: str = ""
    """Why there may be more; empty: that is all"""


def make_folder(folder: Path) -> None:
    """Make the folder with a place for each library. Any user of the container may write into it; the folder above is closed to
    other users of this host. A folder that is there already is left alone: a link in it may lead anywhere."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o700)
    if folder.is_symlink():
        folder.unlink()
    if folder.exists():
        return
    import tempfile  # with `random` 2 ms, which a second dry run does without

    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        whole = Path(made) / "whole"
        for path in (whole, *(whole / below for below in FOLDERS.values())):
            path.mkdir()
            path.chmod(0o777)
        os.rename(whole, folder)


def measure(folder: Path, *, most_entries: int = MOST_COUNTED) -> Size:
    """The plain files below a folder and what they take up; links and all else are neither followed nor counted."""
    files = taken = entries = 0
    remark = ""
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    entries += 1
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        folders.append(Path(entry.path))
                    elif stat.S_ISREG(status.st_mode):
                        files += 1
                        taken += min(status.st_size, max(512 * status.st_blocks, LEAST_BLOCK_BYTES))
        except OSError as error:  # closed to us, or too deep to have a name
            remark = f"and more that cannot be read ({error.strerror})"
        if entries > most_entries:
            return Size(files, taken, "and more that were not counted")
    return Size(files, taken, remark)


def remove_folder(folder: Path) -> bool:
    """Remove a folder and all that is in it, without following a link; returns whether it is gone. A link, or anything else in
    the folder's place, is removed itself."""
    _remove(folder)
    if os.path.lexists(folder):
        _open_up(folder)
        _remove(folder)
    return not os.path.lexists(folder)


def how_to_remove(folder: Path) -> str:
    """What a person can do about a folder that another user of a container wrote."""
    return f"another user of the container owns what is in it; try `podman unshare rm -rf {folder}` or `sudo rm -rf {folder}`"


def _remove(folder: Path) -> None:
    """Remove what can be removed."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            folder.unlink()
            return
    except OSError:  # it is gone, or it cannot be removed
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # folders in folders without end
        with contextlib.suppress(HostError):  # it takes too long
            remove_tree(folder)


def _open_up(folder: Path) -> None:
    """Open each folder that a container closed, to its owner. A link in a folder's place is left as it is."""
    folders = [folder]
    while folders:
        path = folders.pop()
        try:
            if not stat.S_ISDIR(path.lstat().st_mode):
                continue
            path.chmod(0o700)
            with os.scandir(path) as found:
                folders += [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
        except OSError:  # another user's: it stays, and the caller says so
            continue
