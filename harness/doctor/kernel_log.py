"""Checks of the kernel's log: whether this user may read it, and what it says of the GPU since boot. Pure."""

from __future__ import annotations

from harness.doctor.driver import KERNEL
from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Subject
from harness.machine.gpu_faults import GpuEvent, Kind, State, gpu_events, state_of
from harness.machine.kernel_log import RESTRICTED

HANG = Subject("GPU hangs")

_RESTRICT_SOURCE = "https://docs.kernel.org/admin-guide/sysctl/kernel.html#dmesg-restrict"
_WEDGED_SOURCE = "https://docs.kernel.org/gpu/drm-uapi.html#device-wedging"
_HANG_SOURCE = "https://github.com/ROCm/legacy-rocm-build/issues/5724"
"""Logs of Strix Halo whose scheduler stopped answering, with the firmware that does it."""
_RESET_SOURCE = "https://github.com/ROCm/legacy-rocm-build/issues/6630"
"""A reset that failed (PSP, -62)."""

_MOST_TEXT_CHARACTERS = 160

_SAID: dict[State, str] = {
    "lost": "the GPU did not come back from a reset",
    "unresponsive": "the GPU's scheduler stopped answering",
    "recovered": "the GPU hung, and the driver reset it",
    "faulted": "a program on the GPU faulted or hung",
}

_TELLING: dict[State, tuple[Kind, ...]] = {
    "lost": ("lost", "reset"),
    "unresponsive": ("unresponsive",),
    "recovered": ("recovered",),
    "faulted": ("page fault", "hang"),
}
"""Which line is shown for a state: the last of these kinds."""

_BEFORE = "what doctor says above of kernel, firmware and module names the usual causes"


def check_kernel_log(facts: HostFacts) -> tuple[Finding, ...]:
    """Whether faults of the GPU can be seen by who runs strixbench."""
    if facts.kernel_log is None or not facts.pci:
        return ()
    refused = facts.kernel_log.refused
    if not refused:
        return (KERNEL.says("kernel log", "ok", "the kernel's log can be read"),)
    return (
        KERNEL.says(
            "kernel log",
            "note",
            f"the kernel's log cannot be read: {refused}",
            why="a page fault, a hang or a reset of the GPU is told there alone: launches that die of one stay unexplained, "
            "and one that spins after it is ended by its time limit alone. Another way, until the next boot: "
            "sudo sysctl kernel.dmesg_restrict=0, which shows the log, with addresses in the kernel, to every user and program",
            fix=_to_read_it(facts) if RESTRICTED in refused else "sudo dmesg  # in a container: on its host",
            source=_RESTRICT_SOURCE,
        ),
    )


def _to_read_it(facts: HostFacts) -> str:
    """The group whose members systemd's journal shows it to: Ubuntu's first user is in adm."""
    group = "adm" if "ubuntu" in facts.distribution else "systemd-journal"
    return f"sudo usermod -aG {group} {facts.user.name or '$USER'}  # then log in again"


def check_hangs(facts: HostFacts) -> tuple[Finding, ...]:
    """What happened to the GPU since boot, and whether it can be used."""
    if facts.kernel_log is None or facts.kernel_log.refused or not facts.pci:
        return ()
    events = gpu_events(facts.kernel_log.lines)
    state = state_of(events, now_seconds=facts.up_seconds)
    if state == "untouched":
        return (HANG.says("GPU hangs", "ok", "the kernel's log tells of no hang and no fault of the GPU since boot"),)
    last = _last(events, _TELLING[state])
    found = f"{_SAID[state]}, {_ago(facts.up_seconds - last.seconds)} ago"
    # Not in what was found, which the public report has too: such a line may name a user's process.
    said = f"the kernel said: {last.text[:_MOST_TEXT_CHARACTERS]}. "
    if state in ("lost", "unresponsive"):
        return (
            HANG.says(
                "GPU hangs",
                "problem",
                found,
                why=f"{said}nothing will run on it, or what runs will be wrong, until the next boot. Where the reboot hangs, or the GPU is "
                f"not there afterwards, switch the machine off and on again. Before you go on: {_BEFORE}",
                fix="sudo systemctl reboot",
                source=_RESET_SOURCE if state == "lost" else _HANG_SOURCE,
            ),
        )
    if state == "recovered":
        return (
            HANG.says(
                "GPU hangs",
                "warning",
                found,
                why=f"{said}a new process may use it; what ran during the reset is lost, and times and outputs since then are suspect: "
                f"reboot before a measurement that counts. {_BEFORE}",
                fix="sudo systemctl reboot",
                source=_WEDGED_SOURCE,
            ),
        )
    return (
        HANG.says(
            "GPU hangs",
            "warning",
            found,
            why=f"{said}it was not reset: a new process may use the GPU. Where it comes again: {_BEFORE}",
            source=_HANG_SOURCE,
        ),
    )


def _last(events: tuple[GpuEvent, ...], kinds: tuple[Kind, ...]) -> GpuEvent:
    return next(event for event in reversed(events) if event.kind in kinds)


def _ago(seconds: float) -> str:
    """``3 h 12 min``, to the minute."""
    minutes = max(0, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
