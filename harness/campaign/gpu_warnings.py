"""What the kernel's log says of a GPU that launches are to run on, as a person is warned of it."""

from __future__ import annotations

from harness.engines.base import Engine
from harness.machine.gpu_faults import gpu_events, state_of
from harness.machine.kernel_log import kernel_seconds
from harness.records.launch import Launch
from harness.records.outcome import Cause

KERNEL_MAY_KNOW: tuple[Cause, ...] = ("gpu fault", "crash", "timeout", "out of memory", "error")
"""Causes about which the kernel's log may say more than the guest could."""


def lost_gpu(engine: Engine, gpu: str | None) -> str | None:
    """The warning that the GPU may have stopped responding; ``None``: it has not, as far as the log says.

    No reason to launch nothing: the log says nothing of what was mended since.
    """
    events = gpu_events(engine.kernel_log.since_boot().lines, gpu=gpu)
    if state_of(events, now_seconds=kernel_seconds()) not in ("lost", "unresponsive"):
        return None
    worst = [event for event in events if event.is_of_whole_gpu]
    return (
        f"the GPU may have stopped responding: the kernel said {worst[-1].text!r}. Launches on it may hang, or compute wrong "
        "numbers: reboot first (docs/gpu-hang.md, `strixbench doctor`)"
    )


def closed_kernel_log(launch: Launch) -> str | None:
    """The warning that the log could not be read after a launch failed on a GPU; ``None``: it could, or has nothing to add."""
    if launch.plan.device == "cpu" or not launch.kernel_log_refused or launch.verdict.cause not in KERNEL_MAY_KNOW:
        return None
    return (
        f"the kernel's log could not be read ({launch.kernel_log_refused}): `sudo dmesg` may say more of why a launch "
        "failed; `strixbench doctor` says how to open it to you"
    )
