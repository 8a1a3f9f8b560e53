"""Where libraries keep the kernels that they compile, between launches or for one alone, and how much lies there.

``empty``: each launch begins with an empty folder of its own, so that its first pass is a cold one. ``keep``: launches of one
image on one GPU and driver share a folder, which stays. Both are mounted writable, so what is in them is the image's
doing: no link is followed, whether it is counted or removed, and nothing but the folder itself is ever made in it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from harness import places
from harness.catalog.kernel_cache_variables import FOLDERS
from harness.errors import HostError, UsageError
from harness.records.host import HostRecord
from harness.records.outcome import CacheRecord, Ending
from harness.records.plan import EngineRecord, Plan
from harness.secrets import clean_text
from harness.text import counted
from harness.tools import remove_tree

CacheMode = Literal["empty", "keep"]

INSIDE = "/caches"
"""Where a container sees the folder."""


ABOUT = "about.json"
FILES = "files"

MOST_KEPT_BYTES = 8 << 30
MOST_KEPT_FILES = 100_000
"""A kept cache above either is emptied behind the launch that brought it there."""

MOST_COUNTED = 500_000
"""Entries; who makes more of them is counted no further."""

LEAST_BLOCK_BYTES = 4096
"""A file may claim any length and hold nothing: it counts for no more than this, or the blocks that it has."""


class Size(msgspec.Struct, frozen=True):
    """What a folder holds."""

    files: int
    bytes: int
    remark: str = ""
    """Why there may be more; empty: that is all"""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One kept cache."""

    key: str
    image: str
    engine: str
    gpus: tuple[str, ...]
    driver: str
    folder: str
    size: Size


class About(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """``about.json`` beside a kept cache's files, where no container can write."""

    image: str
    image_id: str = ""
    engine: str = ""
    gpus: tuple[str, ...] = ()
    driver: str = ""
    files: int = 0
    """When the last launch ended"""
    seen: tuple[str, ...] = ()
    """Works, see `work_of`, that came through their first pass with it"""


def parse_mode(text: str) -> CacheMode:
    """``empty`` or ``keep``; raises `UsageError`."""
    for mode in get_args(CacheMode):
        if text == mode:
            return mode  # type: ignore[no-any-return]
    raise UsageError(
        f"--caches {text}: it is empty (each launch compiles its kernels anew) or keep (they stay between launches)"
    )


def driver_of(host: HostRecord, root: Path = Path("/")) -> str:
    """What compiled kernels depend on below the image: the kernel, and the version of a GPU's module that has one of its
    own, as those built by DKMS do."""
    versions = [f"{name} {text}" for name in ("amdgpu", "nvidia") if (text := _line(root / "sys/module" / name / "version"))]
    return ", ".join((host.kernel, *versions))


def key_of(
    image: str,
    image_id: str,
    *,
    engine: EngineRecord,
    gpus: Collection[str],
    driver: str,
    variables: Mapping[str, str],
    knobs: Collection[str],
) -> str:
    """The name of a kept cache: an image by its id, the GPUs, the driver, and what a variant sets, such as another GFX
    target. The engine is in it, since each writes as another user."""
    told = [image_id, engine.name, engine.rootless, sorted(gpus), driver, sorted(variables.items()), sorted(knobs)]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', image)[-60:].strip('.-') or 'image'}-{digest[:12]}"


def work_of(plan: Plan) -> str:
    """What a launch computes, as far as kernels depend on it: another length of audio has other shapes."""
    work = plan.workload
    told = [plan.cell, work.pipeline, work.audio_sha256, work.segmentation_batch_size, work.embedding_batch_size, plan.device]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def kept_folder() -> Path:
    """Where kept caches lie, one folder each. All of it can be removed at any time but while a launch runs."""
    return places.cache() / "kernels"


def files_of(key: str) -> Path:
    """What is mounted of a kept cache."""
    return kept_folder() / key / FILES


def make_folder(folder: Path) -> None:
    """Make it with a place for each library. Any user of the container may write into it: the folder above is closed to
    others on this host. One that is there is left alone: a link in it may lead anywhere."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(0o700)
    if folder.is_symlink():
        folder.unlink()
    if folder.exists():
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        whole = Path(made) / "whole"
        for path in (whole, *(whole / below for below in FOLDERS.values())):
            path.mkdir()
            path.chmod(0o777)
        os.rename(whole, folder)


def begin(plan: Plan, folder: Path) -> CacheRecord | None:
    """Make the folder ready and say what is in it; ``None`` where the plan says nothing of caches."""
    if not plan.caches:
        return None
    make_folder(folder)
    before = measure(folder)
    if plan.caches != "keep":
        return CacheRecord(mode=plan.caches, files_before=before.files, bytes_before=before.bytes, remark=before.remark)
    about = _read_about(plan.cache_key)
    # Emptied by hand: what was seen is no longer in it.
    is_emptied = about is not None and about.files > 0 and before.files == 0
    seen = about is not None and work_of(plan) in about.seen and not is_emptied
    if about is None or is_emptied:
        _write_about(plan.cache_key, _about(plan))
    return CacheRecord(
        mode=plan.caches,
        key=plan.cache_key,
        files_before=before.files,
        bytes_before=before.bytes,
        seen_before=seen,
        remark=before.remark,
    )


def finish(
    plan: Plan,
    folder: Path,
    record: CacheRecord | None,
    *,
    came_through: bool,
    ended_because: Ending | None = None,
) -> CacheRecord | None:
    """Count what is there now, and let nothing of it grow without end. ``came_through``: the first pass ended well.

    An own folder is removed, unless the launch was ended in its first pass: then it becomes the kept cache of its key, where
    there is none yet, and the next launch with ``keep`` goes on from there.
    """
    if record is None:
        return None
    after = measure(folder)
    record = msgspec.structs.replace(
        record, files_after=after.files, bytes_after=after.bytes, remark=record.remark or after.remark
    )
    if record.mode != "keep":
        if ended_because == "first pass" and plan.keeps_as and after.files:
            record = _keep(plan, folder, record, after)
        remove_folder(folder)
        return record
    about = _read_about(plan.cache_key) or About(image=plan.image.name)
    if _is_too_large(after):
        held = _held(after)
        said = f"the kernel cache {plan.cache_key} held {held}: it was emptied, and its next launch is a cold one"
        if not remove_folder(folder):
            said = f"the kernel cache {plan.cache_key} holds {held}, and cannot be emptied: {how_to_remove(folder)}"
        _write_about(plan.cache_key, msgspec.structs.replace(about, seen=(), files=0))
        return msgspec.structs.replace(record, remark=said)
    seen = tuple(dict.fromkeys((*about.seen, work_of(plan)))) if came_through else about.seen
    _write_about(plan.cache_key, msgspec.structs.replace(about, seen=seen, files=after.files))
    return record


def _keep(plan: Plan, folder: Path, record: CacheRecord, after: Size) -> CacheRecord:
    """Make a launch's own folder the kept cache of its key. It is moved as a whole, so no link in it is followed, and to a place
    where nothing is: what another launch compiled is not given up for half of it."""
    target = files_of(plan.keeps_as)
    compiled = f"the kernels that it compiled until then ({_held(after)})"
    if _is_too_large(after):
        return msgspec.structs.replace(record, remark=f"{compiled} are too many to be kept")
    if os.path.lexists(target):
        there = f"there is a kept cache {plan.keeps_as} already, which `--caches keep` goes on with"
        return msgspec.structs.replace(record, remark=f"{compiled} were removed: {there}")
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):  # a process may put a link in its place
            raise NotADirectoryError(None, "it is no folder any more")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.parent.chmod(0o700)
        os.rename(folder, target)
    except OSError as error:
        why = "the results and the cache are on different file systems" if error.errno == errno.EXDEV else error.strerror
        said = f"{compiled} could not be kept ({why}): run again with --caches keep, which keeps them from the start"
        return msgspec.structs.replace(record, remark=said)
    _write_about(plan.keeps_as, msgspec.structs.replace(_about(plan), files=after.files))
    said = f"{compiled} are kept as {plan.keeps_as}: run again with --caches keep, which goes on with them"
    return msgspec.structs.replace(record, remark=said, kept_as=plan.keeps_as)


def _about(plan: Plan) -> About:
    """Of a cache that a launch begins."""
    engine = f"{plan.engine.name} rootless" if plan.engine.rootless else plan.engine.name
    return About(
        image=plan.image.name,
        image_id=plan.image.id or "",
        engine=engine,
        gpus=plan.host.gpus,
        driver=driver_of(plan.host),
    )


def _is_too_large(size: Size) -> bool:
    """Whether it is above what a kept cache may hold, or cannot be measured."""
    return bool(size.remark) or size.bytes > MOST_KEPT_BYTES or size.files > MOST_KEPT_FILES


def _held(size: Size) -> str:
    return f"{counted(size.files, 'file')}, {size.bytes / 2**30:.1f} GiB" + (f", {size.remark}" if size.remark else "")


def measure(folder: Path) -> Size:
    """Plain files below a folder and what they take up; links and all else are neither followed nor counted."""
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
        if entries > MOST_COUNTED:
            return Size(files, taken, "and more that were not counted")
    return Size(files, taken, remark)


def kept() -> tuple[Kept, ...]:
    """All kept caches, by name."""
    found = []
    for folder in sorted(kept_folder().glob("*")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        about = _read_about(folder.name) or About(image=folder.name.rpartition("-")[0])
        size = measure(folder / FILES) if (folder / FILES).is_dir() else Size(0, 0)
        found.append(
            Kept(
                key=folder.name,
                image=about.image,
                engine=about.engine,
                gpus=about.gpus,
                driver=about.driver,
                folder=str(folder),
                size=size,
            )
        )
    return tuple(found)


def clear(caches: Collection[Kept]) -> None:
    """Remove these. Raises `HostError` where one cannot be."""
    for cache in caches:
        if not remove_folder(kept_folder() / cache.key):
            raise HostError(f"{cache.folder} cannot be removed: {how_to_remove(Path(cache.folder))}")


def remove_folder(folder: Path) -> bool:
    """Remove a folder and all in it, no link followed; returns whether it is gone. Of a link, and of what is no folder,
    the name is removed."""
    _remove(folder)
    if os.path.lexists(folder):
        _open_up(folder)
        _remove(folder)
    return not os.path.lexists(folder)


def _remove(folder: Path) -> None:
    """Remove what can be."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            folder.unlink()
            return
    except OSError:  # it is gone, or it cannot be removed
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # folders in folders without end
        remove_tree(folder)


def _open_up(folder: Path) -> None:
    """Give its owner's rights back to each folder that a container closed to itself. A link in a folder's place is left."""
    folders = [folder]
    while folders:
        path = folders.pop()
        try:
            if not stat.S_ISDIR(path.lstat().st_mode):
                continue
            path.chmod(0o700)
            with os.scandir(path) as found:
                folders += [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]
        except OSError:  # another user's: what it holds stays, and that is told
            continue


def how_to_remove(folder: Path) -> str:
    """What a person can do where another user of a container wrote it."""
    return f"another user of the container owns what is in it; try `podman unshare rm -rf {folder}` or `sudo rm -rf {folder}`"


def _read_about(key: str) -> About | None:
    """``None`` where there is none that can be read."""
    try:
        return msgspec.json.decode((kept_folder() / key / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.DecodeError):
        return None


def _write_about(key: str, about: About) -> None:
    """Whole or not at all."""
    path = kept_folder() / key / ABOUT
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(about))
    os.replace(part, path)


def _line(path: Path) -> str:
    """The text of a small file; empty where there is none."""
    try:
        return clean_text(path.read_text(encoding="utf-8", errors="replace")).strip()[:100]
    except OSError:
        return ""


def as_json(caches: Collection[Kept]) -> list[dict[str, Any]]:
    """For ``--json``."""
    return [msgspec.to_builtins(cache) for cache in caches]
