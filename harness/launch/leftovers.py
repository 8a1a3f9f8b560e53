"""Folders of launches that are there although no launch runs: what killed harnesses left.

A folder of ours is a real folder that bears the id of a launch. All else below ``results/launches`` is a user's: it is neither read
nor removed, and no link is followed. What is in our folders is ours, but for the exchange folder; it is read with suspicion all the
same, since what stops this stops every later start.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from harness.launch.plan import PLAN, launches_folder
from harness.records.launch import is_id
from harness.records.plan import Plan
from harness.records.upgrade import UNREADABLE, read_plan
from harness.secrets import clean_text
from harness.text import one_line
from harness.tools import read_plain

MOST_PLAN_BYTES = 16 << 20
"""A plan has some kilobytes."""


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """What is there, each by its id."""

    plans: tuple[Plan, ...] = ()
    """Of launches that were started, or were about to be. Some may run"""
    unplanned: tuple[str, ...] = ()
    """Ids of folders without a plan: their harness died before it had started anything of it, or after its launch was stored"""
    unreadable: tuple[str, ...] = ()
    """What is to be said of folders whose plan cannot be read. They are left as they are"""


def find_leftovers() -> Leftovers:
    """All that is left. Reads alone, and raises nothing."""
    plans, unplanned, unreadable = [], [], []
    top = launches_folder()
    for launch_id in _ids_in(top):
        found = _plan_in(top / launch_id)
        if isinstance(found, Plan):
            plans.append(found)
        elif found is not None:
            unreadable.append(f"{top / launch_id} is left as it is: {found}. Look at it, or remove it")
        elif not top.is_symlink():  # another folder's harness may make launches here right now
            unplanned.append(launch_id)
    return Leftovers(plans=tuple(plans), unplanned=tuple(unplanned), unreadable=tuple(unreadable))


def _ids_in(top: Path) -> list[str]:
    """Names of real folders that are launches' ids, sorted."""
    try:
        with os.scandir(top) as found:
            return sorted(entry.name for entry in found if is_id(entry.name) and entry.is_dir(follow_symlinks=False))
    except OSError:  # there is none, or it is closed to us; who launches says so
        return []


def _plan_in(folder: Path) -> Plan | str | None:
    """The plan in a folder; a text: why it cannot be read; ``None``: there is none."""
    path = folder / PLAN
    try:
        path.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it is closed ({error.strerror})"
    data = read_plain(path, MOST_PLAN_BYTES + 1)
    if not data or len(data) > MOST_PLAN_BYTES:
        return f"its {PLAN} is no plain file with something in it" if not data else f"its {PLAN} is too large to be one of ours"
    try:
        plan = read_plan(data)
    except UNREADABLE as error:
        return f"its {PLAN} cannot be read ({one_line(clean_text(str(error)))[:200]})"
    if plan.id != folder.name:
        return f"its {PLAN} is that of another launch"
    if any(key and (Path(key).name != key or key == "..") for key in (plan.cache_key, plan.keeps_as)):
        return f"its {PLAN} names a kernel cache that cannot be"
    return plan
