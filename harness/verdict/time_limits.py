"""How long a launch may take: what its journal and the kernel's log show -> whether to go on waiting. Pure.

A first pass on ROCm compiles kernels and tries them out. This takes a minute as a rule; 20 and more have been reported
(ROCm/TheRock#2591: 37 min). A pass that is killed has to start again. But after a GPU fault a process may also spin for ever
(ollama/ollama#13589), so a longer limit alone would cost an hour for each launch that hangs.
"""

from __future__ import annotations

import msgspec

from harness.records.journal import End, Event, Result
from harness.records.outcome import Ending
from harness.records.plan import Plan

FAULT_SECONDS = 60.0
"""How long the guest may stay silent after a GPU fault. ROCm's runtime ends its process within seconds if it notices the fault."""

SETTLING_SECONDS = 10.0
"""If the guest speaks later than this after a fault, the fault was not its own."""


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
    """Whether an event of the journal shows that kernels have been compiled: the end of the cold pass, or a workload's first result."""
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
