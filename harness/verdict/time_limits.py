"""How long a launch may take: what its journal and the kernel's log show -> whether to go on waiting. Pure.

A first pass on ROCm compiles kernels and tries them out. This takes a minute as a rule; 20 and more have been reported
(ROCm/TheRock#2591: 37 min). A pass that is killed has to start again. But after a GPU fault a process may also spin for ever
(ollama/ollama#13589), so a longer limit alone would cost an hour for each launch that hangs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from benchmarks.wire import COMPILING_STEPS
from harness.records.journal import End, Event, Result
from harness.records.outcome import Ending
from harness.records.plan import Plan

FIRST_PASS_SECONDS = 3600.0
"""For a first pass, or a step of the probe, that compiles kernels."""

STEP_SECONDS = 300.0
"""For a step of the probe that compiles none."""

START_SECONDS = 600.0
"""For imports and the device, in addition to a probe's steps; and the least that any launch gets."""

SECONDS_AFTER_STEP = 10.0
"""Extra time for each step, to wait for a process that the kernel holds."""

COMPILING_FAMILIES = ("rocm", "therock")
"""Families whose libraries compile kernels where they run. cuDNN brings its kernels with it."""

FAULT_SECONDS = 60.0
"""How long the guest may stay silent after a GPU fault. ROCm's runtime ends its process within seconds if it notices the fault."""

SETTLING_SECONDS = 10.0
"""If the guest speaks later than this after a fault, the fault was not its own."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a launch may take."""

    whole_seconds: float
    """From its start. With ``first_pass_seconds``, counted anew from the end of the first pass."""
    first_pass_seconds: float | None = None
    """From its start to the end of its first pass; ``None``: a first pass gets no extra time to compile"""
    step_seconds: float = STEP_SECONDS
    """For a step of the probe"""
    compiling_step_seconds: float = STEP_SECONDS
    """For a step of the probe that compiles"""


def limits_of(
    *,
    audio_seconds: float,
    passes: int,
    family: str | None,
    device: str,
    steps: Sequence[str] = (),
    reckoned_seconds: float | None = None,
    timeout_seconds: float | None = None,
    step_timeout_seconds: float | None = None,
) -> Limits:
    """The limits of one launch.

    ``passes`` is the number of its passes over ``audio_seconds``; for a task, ``reckoned_seconds`` stands in their place.
    What the user sets is taken as it is: ``timeout_seconds`` for the whole launch, ``step_timeout_seconds`` for each step.
    """
    compiles = family in COMPILING_FAMILIES and device != "cpu"
    step = step_timeout_seconds or STEP_SECONDS
    compiling = step_timeout_seconds or (FIRST_PASS_SECONDS if compiles else STEP_SECONDS)
    if timeout_seconds is not None:
        return Limits(whole_seconds=timeout_seconds, step_seconds=step, compiling_step_seconds=compiling)
    if steps:
        each = (compiling if name in COMPILING_STEPS else step for name in steps)
        whole = START_SECONDS + sum(seconds + SECONDS_AFTER_STEP for seconds in each)
        return Limits(whole_seconds=whole, step_seconds=step, compiling_step_seconds=compiling)
    usual = reckoned_seconds or max(START_SECONDS, 10 * audio_seconds * passes)
    return Limits(
        whole_seconds=usual,
        first_pass_seconds=max(FIRST_PASS_SECONDS, usual) if compiles else None,
        step_seconds=step,
        compiling_step_seconds=compiling,
    )


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch has shown so far. Times are seconds since its start."""

    now: float
    device_ended: float | None = None
    """When the journal first showed it; ``None``: not yet, here and below"""
    first_pass_ended: float | None = None
    last_word: float = 0.0
    """When the journal last grew"""
    fault: float | None = None
    """When the kernel's log first showed a fault that concerns this launch"""


def first_pass_has_ended(event: Event) -> bool:
    """Whether an event of the journal shows that kernels have been compiled: the end of the cold pass, or a task's first result."""
    if isinstance(event, End):
        return event.stage == "cold"
    return isinstance(event, Result) and event.found.text("outcome") not in ("trying", "loaded")


def device_has_ended(event: Event) -> bool:
    """Whether an event is the end of the device stage. What comes next may compile."""
    return isinstance(event, End) and event.stage == "device"


def why_end(plan: Plan, seen: Seen) -> Ending | None:
    """Why a launch must be ended now; ``None``: it may go on."""
    if is_lost_to_fault(seen):
        return "gpu fault"
    if plan.first_pass_seconds is None:  # the engine's own clock ends it
        return None
    if seen.first_pass_ended is not None:
        return "time" if seen.now - seen.first_pass_ended > plan.timeout_seconds else None
    if seen.device_ended is None:  # nothing compiles yet
        return "time" if seen.now > plan.timeout_seconds else None
    return "first pass" if seen.now > plan.first_pass_seconds else None


def is_lost_to_fault(seen: Seen) -> bool:
    """Whether the guest has been silent for too long after a GPU fault."""
    if seen.fault is None or is_over_fault(seen):
        return False
    return seen.now - max(seen.fault, seen.last_word) > FAULT_SECONDS


def is_over_fault(seen: Seen) -> bool:
    """Whether the guest has gone on after a fault, which was then another process's."""
    return seen.fault is not None and seen.last_word > seen.fault + SETTLING_SECONDS


def most_seconds(plan: Plan) -> float:
    """The time that no launch of a plan exceeds, whatever its journal says."""
    return plan.timeout_seconds + (plan.first_pass_seconds or 0.0)
