"""A plan -> its key: what launches share that may stand for one another, or be counted together. Pure.

Whoever groups launches says which parts do not matter, and adds what else does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from harness.records.plan import Plan

Part = Literal["image", "variant", "profile", "input", "input hash", "truth hash", "engine", "rootless", "flags", "gpu"]

HASHES: tuple[Part, ...] = ("input hash", "truth hash")
"""Two inputs may have one name and amount."""

WORK: tuple[Part, ...] = ("profile", "input", *HASHES)
"""What is run; without it a key says only in what, and how it is used"""


def key_of(plan: Plan, *, without: Collection[Part] = ()) -> tuple[str, ...]:
    """The parts of a plan's key in one order, so that keys with the same parts left out can be compared and sorted."""
    workload, engine = plan.workload, plan.engine
    parts: dict[Part, str] = {
        "image": plan.image.name,
        "variant": plan.variant,
        "profile": workload.profile,
        "input": workload.input,
        "input hash": workload.input_sha256,
        "truth hash": workload.truth_sha256 or "",
        "engine": engine.name,
        "rootless": "rootless" if engine.rootless else "",
        "flags": plan.flags if plan.flags != "least" else "",  # before there was a choice, there were the least
        "gpu": plan.gpu or "",
    }
    return tuple(value for part, value in parts.items() if part not in without)
