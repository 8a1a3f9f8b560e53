"""Lines of the kernel's log -> what happened to a GPU, and whether it can be used. Pure.

The words are amdgpu's own (drivers/gpu/drm/amd: amdgpu_device.c, amdgpu_job.c, gmc_v11_0.c, mes_v11_0.c,
amdkfd/kfd_device_queue_manager.c), drm's (drm_drv.c, ``device wedged``) and NVIDIA's
(https://docs.nvidia.com/deploy/xid-errors/). Logs with them: ROCm/legacy-rocm-build#5724, #5665, #6018 and ROCm/rocm-libraries#1132.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from harness.machine.kernel_log import KernelLine

Kind = Literal["page fault", "hang", "unresponsive", "reset", "recovered", "lost"]
State = Literal["untouched", "faulted", "recovered", "unresponsive", "lost"]

RESET_SECONDS = 60.0
"""A reset that reports no end for this long is taken to have failed: those in logs took 2 to 12 s."""

_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "lost",
        re.compile(
            r"GPU reset\(\d{1,9}\) failed|GPU reset end with ret = -|GPU Recovery Failed|ASIC reset failed"
            r"|device wedged, needs recovery|device lost from bus|NVRM: Xid \([^)]{1,40}\): (?:79|119|120|154)\b"
        ),
    ),
    (
        "recovered",
        re.compile(
            r"GPU reset\(\d{1,9}\) succeeded|device wedged, but (?:recovered through reset|no recovery needed)"
            r"|[Rr]ing \S{1,40} reset succeeded|timeout, but soft recovered"
        ),
    ),
    ("reset", re.compile(r"GPU reset begin")),
    (
        "unresponsive",
        re.compile(
            r"MES(?:\([\d,]{1,8}\))? failed to respon(?:d to|se)|MES might be in unrecoverable state"
            r"|cp might be in an unrecoverable state"
        ),
    ),
    ("hang", re.compile(r"ring \S{1,40} timeout|NVRM: Xid \([^)]{1,40}\): (?:8|48|61|62|74|95|109)\b")),
    (
        "page fault",
        re.compile(r"\[(?:gfx|mm)hub\d{0,2}\][^\n]{0,30} page fault|NVRM: Xid \([^)]{1,40}\): (?:13|31|32|43|69|94)\b"),
    ),
)
"""The kinds of events by their lines, the worst first."""

_OF_WHOLE_GPU: tuple[Kind, ...] = ("lost", "reset", "unresponsive")
"""These end the work of every process on the GPU, whoever caused them."""

_PID = re.compile(r"(?:[Pp]rocess [^\n]{0,60}?\bpid |\bpid=)(\d{1,10})\b")
_ADDRESS = re.compile(r"\b([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2})(?:\.[0-9a-f])?\b", re.IGNORECASE)
_ABOUT_FAULT = re.compile(r"[Pp]rocess [^\n]{0,60}?\bpid \d")
"""A line that follows a fault and names the process that caused it."""


class GpuEvent(msgspec.Struct, frozen=True):
    """One thing that happened to a GPU."""

    seconds: float
    """Since boot"""
    kind: Kind
    text: str
    pids: tuple[int, ...] = ()
    """The processes that the kernel blames; empty: it names none"""

    @property
    def is_of_whole_gpu(self) -> bool:
        """Whether it ends the work of every process."""
        return self.kind in _OF_WHOLE_GPU


def gpu_events(lines: Iterable[KernelLine], *, gpu: str | None = None) -> tuple[GpuEvent, ...]:
    """What happened, in the order of time. ``gpu``: a PCI address such as ``0000:c5:00.0``; events of other GPUs are then left out."""
    wanted = _ADDRESS.fullmatch(gpu or "")
    events: list[GpuEvent] = []
    for line in lines:
        named = _ADDRESS.search(line.text)
        if wanted and named and named[1].lower() != wanted[1].lower():
            continue
        pids = tuple(int(pid) for pid in _PID.findall(line.text) if int(pid))
        kind = next((kind for kind, pattern in _KINDS if pattern.search(line.text)), None)
        if kind is not None:
            events.append(GpuEvent(line.seconds, kind, line.text.strip(), pids))
        elif events and pids and _ABOUT_FAULT.search(line.text) and events[-1].kind in ("page fault", "hang"):
            events[-1] = msgspec.structs.replace(events[-1], pids=(*events[-1].pids, *pids))
    return tuple(events)


def state_of(events: Iterable[GpuEvent], *, now_seconds: float) -> State:
    """The state of the GPU after these events. ``now_seconds`` counts from boot."""
    state: State = "untouched"
    begun: float | None = None
    for event in events:
        if event.kind == "reset":
            begun = event.seconds
        elif event.kind == "recovered":
            state, begun = "recovered", None
        elif event.kind == "lost":
            state, begun = "lost", None
        elif event.kind == "unresponsive" and state != "lost":
            state = "unresponsive"
        elif state == "untouched":
            state = "faulted"
    if begun is not None and now_seconds - begun > RESET_SECONDS:
        return "lost"
    return state


def concerns(event: GpuEvent, members: Collection[int]) -> bool:
    """Whether an event is a fault that bears on a launch with these processes: it is of the whole GPU, or it names one of them,
    or no process at all.

    The kernel numbers processes as the host does. In a container strixbench sees other numbers, and none matches.
    """
    if event.kind == "recovered":
        return False
    return event.is_of_whole_gpu or not event.pids or any(pid in members for pid in event.pids)
