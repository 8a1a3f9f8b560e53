"""The compiled kernels that one launch finds and leaves.

``empty``: each launch begins with an empty folder of its own, so that its first pass is a cold one. ``keep``: launches of one
image on one GPU and driver share a folder, which stays.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UsageError
from harness.launch.cache_folder import Size, how_to_remove, make_folder, measure, remove_folder
from harness.launch.kept_caches import About, about_of, files_of, read_about, write_about
from harness.records.outcome import CacheRecord, Ending
from harness.records.plan import Plan
from harness.text import counted

CacheMode = Literal["empty", "keep"]

MOST_KEPT_BYTES = 8 << 30
MOST_KEPT_FILES = 100_000
"""A kept cache above either is emptied after the launch that brought it there."""


def parse_mode(text: str) -> CacheMode:
    """``empty`` or ``keep``; raises `UsageError`."""
    modes: tuple[CacheMode, ...] = ("empty", "keep")
    if text not in modes:
        raise UsageError(
            f"--caches {text}: it is empty (each launch compiles its kernels anew) or keep (they stay between launches)"
        )
    return text


def begin(plan: Plan, folder: Path) -> CacheRecord | None:
    """Make the folder ready and say what is in it; ``None``: the plan says nothing about caches."""
    if not plan.caches:
        return None
    make_folder(folder)
    before = measure(folder)
    if plan.caches != "keep":
        return CacheRecord(mode=plan.caches, files_before=before.files, bytes_before=before.bytes, remark=before.remark)
    about = read_about(plan.cache_key)
    # Emptied by hand: what was seen is no longer in it.
    is_emptied = about is not None and about.files > 0 and before.files == 0
    seen = about is not None and work_of(plan) in about.seen and not is_emptied
    if about is None or is_emptied:
        write_about(plan.cache_key, about_of(plan))
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
    most_files: int = MOST_KEPT_FILES,
) -> CacheRecord | None:
    """Count what is there now, and empty what has grown too large. ``came_through``: the first pass ended well.

    A launch's own folder is removed. If the launch was ended in its first pass, the folder becomes the kept cache of its key,
    unless there is one, and the next launch with ``keep`` goes on from there.
    """
    if record is None:
        return None
    after = measure(folder)
    record = msgspec.structs.replace(
        record, files_after=after.files, bytes_after=after.bytes, remark=record.remark or after.remark
    )
    if record.mode != "keep":
        if ended_because == "first pass" and plan.keeps_as and after.files:
            record = _keep(plan, folder, record, after, most_files)
        remove_folder(folder)
        return record
    about = read_about(plan.cache_key) or About(image=plan.image.name)
    if _is_too_large(after, most_files):
        held = _held(after)
        said = f"the kernel cache {plan.cache_key} held {held}: it was emptied, and its next launch is a cold one"
        if not remove_folder(folder):
            said = f"the kernel cache {plan.cache_key} holds {held}, and cannot be emptied: {how_to_remove(folder)}"
        write_about(plan.cache_key, msgspec.structs.replace(about, seen=(), files=0))
        return msgspec.structs.replace(record, remark=said)
    seen = tuple(dict.fromkeys((*about.seen, work_of(plan)))) if came_through else about.seen
    write_about(plan.cache_key, msgspec.structs.replace(about, seen=seen, files=after.files))
    return record


def _keep(plan: Plan, folder: Path, record: CacheRecord, after: Size, most_files: int) -> CacheRecord:
    """Make a launch's own folder the kept cache of its key. It is moved as a whole, so no link in it is followed. A kept cache
    that is there stays: what another launch compiled is not given up for a part of it."""
    target = files_of(plan.keeps_as)
    compiled = f"the kernels that it compiled until then ({_held(after)})"
    if _is_too_large(after, most_files):
        return msgspec.structs.replace(record, remark=f"{compiled} are too many to be kept")
    if os.path.lexists(target):
        there = f"there is a kept cache {plan.keeps_as} already, which `--caches keep` goes on with"
        return msgspec.structs.replace(record, remark=f"{compiled} were removed: {there}")
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):  # a process may have put a link in its place
            raise NotADirectoryError(None, "it is no folder any more")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.parent.chmod(0o700)
        os.rename(folder, target)
    except OSError as error:
        why = "the results and the cache are on different file systems" if error.errno == errno.EXDEV else error.strerror
        said = f"{compiled} could not be kept ({why}): run again with --caches keep, which keeps them from the start"
        return msgspec.structs.replace(record, remark=said)
    write_about(plan.keeps_as, msgspec.structs.replace(about_of(plan), files=after.files))
    said = f"{compiled} are kept as {plan.keeps_as}: run again with --caches keep, which goes on with them"
    return msgspec.structs.replace(record, remark=said, kept_as=plan.keeps_as)


def work_of(plan: Plan) -> str:
    """What a launch computes, as far as kernels depend on it: another length of audio has other shapes."""
    work = plan.workload
    told = [plan.cell, work.profile, work.input_sha256, *work.numbers.values(), plan.device]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _is_too_large(size: Size, most_files: int) -> bool:
    """Whether it is more than a kept cache may hold, or cannot be measured."""
    return bool(size.remark) or size.bytes > MOST_KEPT_BYTES or size.files > most_files


def _held(size: Size) -> str:
    return f"{counted(size.files, 'file')}, {size.bytes / 2**30:.1f} GiB" + (f", {size.remark}" if size.remark else "")
