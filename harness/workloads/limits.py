"""How long a launch may take before it has shown anything. Pure.

A first pass on ROCm compiles kernels and tries them out. This takes a minute as a rule; 20 and more have been reported
(ROCm/TheRock#2591: 37 min). A pass that is killed has to start again.
"""

from __future__ import annotations

import msgspec

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


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a launch may take."""

    whole_seconds: float
    """From its start. With ``first_pass_seconds``, counted anew from the end of the first pass."""
    first_pass_seconds: float | None = None
    """From its start to the end of its first pass; ``None``: a first pass gets no extra time to compile"""


def limits_of(*, usual_seconds: float, family: str | None, device: str, time_limit_seconds: float | None = None) -> Limits:
    """The limits of one launch that takes no longer than ``usual_seconds`` unless it compiles. What the user sets
    (``time_limit_seconds``) is taken as it is, for the whole launch."""
    if time_limit_seconds is not None:
        return Limits(whole_seconds=time_limit_seconds)
    first = max(FIRST_PASS_SECONDS, usual_seconds) if compiles(family, device) else None
    return Limits(whole_seconds=usual_seconds, first_pass_seconds=first)


def compiles(family: str | None, device: str) -> bool:
    """Whether the libraries compile kernels where they run."""
    return family in COMPILING_FAMILIES and device != "cpu"
