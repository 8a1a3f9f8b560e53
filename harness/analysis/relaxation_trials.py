"""Which relaxations of the wide set an image needs here, found by leaving out one at a time. Pure: launches nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from harness.engines.relaxations import COMPAT
from harness.records.launch import Launch

Flags = tuple[str, ...]
Need = Literal["needed", "not needed", "fails even with all", "passes", "fails", "does not apply", "forced here"]


class Trial(msgspec.Struct, frozen=True):
    """What leaving out one relaxation, or all of them, did to an image."""

    flags: str
    """The relaxation that was left out; ``least``: all of them"""
    need: Need
    because: str = ""
    """What failed; empty: nothing"""
    launches: tuple[str, ...] = ()
    """Their ids"""


def arrangements() -> tuple[Flags, ...]:
    """The sets of relaxations to launch with: all, all but one for each, none."""
    everything = tuple(COMPAT)
    return (everything, *(tuple(name for name in everything if name != left_out) for left_out in everything), ())


def judge_relaxations(launches: Mapping[Flags, Sequence[Launch]]) -> tuple[Trial, ...]:
    """One trial for each relaxation, and one without any. A cell that fails with the whole set says nothing about a part of it."""
    whole = {launch.plan.cell: launch for launch in launches[tuple(COMPAT)]}
    broken = [launch for launch in whole.values() if launch.verdict.status != "pass"]
    working = {cell for cell, launch in whole.items() if launch.verdict.status == "pass"}
    trials = []
    for flags in arrangements()[1:]:
        (name,) = set(COMPAT) - set(flags) if flags else ("least",)
        tried = launches[flags]
        ids = tuple(launch.id for launch in tried)
        judged = [launch for launch in tried if launch.plan.cell in working]
        failed = [launch for launch in judged if launch.verdict.status != "pass"]
        need: Need
        if not judged:
            need, failed = "fails even with all", broken
        elif name == "least":
            need = "fails" if failed else "passes"
        elif not any(_has(launch, name) for launch in whole.values()):
            need = "does not apply"
        elif any(_has(launch, name) for launch in judged):
            need = "forced here"  # this host cannot run the image without it, so leaving it out was never tried
        else:
            need = "needed" if failed else "not needed"
        because = "; ".join(dict.fromkeys(f"{launch.verdict.stage}: {launch.verdict.summary}" for launch in failed))
        trials.append(Trial(name, need, because, ids))
    return tuple(trials)


def _has(launch: Launch, name: str) -> bool:
    """Whether a launch really had a relaxation: an image without a GPU gets no device nodes at all."""
    return any(text.startswith(f"{name}:") for text in launch.plan.relaxations)
