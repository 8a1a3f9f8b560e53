"""Checks of the kernel's log: whether this user may read it, and what it says about the GPU since boot. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.driver import KERNEL
from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding
from harness.machine.gpu_faults import Kind, State, gpu_events, state_of
from harness.machine.kernel_log import RESTRICTED

HANG = "GPU hangs"

_MOST_TEXT_CHARACTERS = 160

_SAID: dict[State, tuple[str, tuple[Kind, ...]]] = {
    "lost": ("the GPU did not come back from a reset", ("lost", "reset")),
    "unresponsive": ("the GPU's scheduler stopped answering", ("unresponsive",)),
    "recovered": ("the GPU hung, and the driver reset it", ("recovered",)),
    "faulted": ("a program on the GPU faulted or hung", ("page fault", "hang")),
}
"""What is said of a state, and which line of the log is shown: the last of these kinds."""

_CAUSES = "the usual causes are among doctor's lines above on kernel, firmware and module"


def check_kernel_log(facts: HostFacts) -> Iterator[Finding]:
    """Whether the user who runs strixbench can see faults of the GPU."""
    if facts.kernel_log is None or not facts.pci:
        return
    refused = facts.kernel_log.refused
    if not refused:
        yield Finding(KERNEL, "kernel log", "ok", "the kernel's log can be read")
        return
    # The group whose members systemd's journal shows it to: Ubuntu's first user is in adm.
    group = "adm" if "ubuntu" in facts.distribution else "systemd-journal"
    join = f"sudo usermod -aG {group} {facts.user.name or '$USER'}  # then log in again"
    yield Finding(
        KERNEL,
        "kernel log",
        "note",
        f"the kernel's log cannot be read: {refused}",
        why="only this log tells of a page fault, a hang or a reset of the GPU: without it, launches that die of one stay "
        "unexplained, and one that spins after it runs until its time limit. Another way, until the next boot: "
        "sudo sysctl kernel.dmesg_restrict=0, which shows the log, with addresses in the kernel, to every user and program",
        fix=join if RESTRICTED in refused else "sudo dmesg  # in a container: on its host",
        source="https://docs.kernel.org/admin-guide/sysctl/kernel.html#dmesg-restrict",
    )


def check_hangs(facts: HostFacts) -> Iterator[Finding]:
    """What happened to the GPU since boot, and whether it can be used."""
    if facts.kernel_log is None or facts.kernel_log.refused or not facts.pci:
        return
    events = gpu_events(facts.kernel_log.lines)
    state = state_of(events, now_seconds=facts.up_seconds)
    if state == "untouched":
        yield Finding(HANG, "GPU hangs", "ok", "the kernel's log has no hang and no fault of the GPU since boot")
        return
    said, kinds = _SAID[state]
    last = next(event for event in reversed(events) if event.kind in kinds)
    # Logs of Strix Halo whose scheduler stopped answering, with the firmware that does it.
    source = "https://github.com/ROCm/legacy-rocm-build/issues/5724"
    if state == "faulted":
        why = f"it was not reset: a new process may use the GPU. If it happens again: {_CAUSES}"
    elif state == "recovered":
        source = "https://docs.kernel.org/gpu/drm-uapi.html#device-wedging"
        why = (
            "a new process may use it; what ran during the reset is lost, and times and outputs since then are suspect: reboot "
            f"before a measurement that counts; {_CAUSES}"
        )
    else:
        if state == "lost":  # a reset that failed (PSP, -62)
            source = "https://github.com/ROCm/legacy-rocm-build/issues/6630"
        why = (
            "until the next boot nothing will run on it, or what runs will be wrong. If the reboot hangs, or the GPU is missing "
            f"afterwards, switch the machine off and on again; {_CAUSES}"
        )
    yield Finding(
        HANG,
        "GPU hangs",
        "problem" if state in ("lost", "unresponsive") else "warning",
        f"{said}, {_ago(facts.up_seconds - last.seconds)} ago",
        # Not in what was found, which the public report has too: such a line may name a user's process.
        why=f"{why}; the kernel said: {last.text[:_MOST_TEXT_CHARACTERS]}",
        fix="" if state == "faulted" else "sudo systemctl reboot",
        source=source,
    )


def _ago(seconds: float) -> str:
    """``3 h 12 min``, to the minute."""
    minutes = max(0, round(seconds / 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
