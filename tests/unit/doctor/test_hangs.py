"""What `doctor` says of the kernel's log and of a GPU that hung. The logs are those of tests/unit/machine/test_gpu_faults.py."""

from __future__ import annotations

import pytest

from harness.doctor.facts import HostFacts
from harness.machine.kernel_log import KernelText
from tests.unit.doctored import changed, of, statuses, the
from tests.unit.machine.test_gpu_faults import (
    PAGE_FAULT,
    QUIET,
    RESET_THAT_FAILED,
    RESET_THAT_SUCCEEDED,
    XID,
    lines_of,
)

CLOSED = "/dev/kmsg is closed to this user (kernel.dmesg_restrict); `journalctl -k` shows nothing"


def with_log(facts: HostFacts, text: str, *, up_seconds: float = 20_000.0) -> HostFacts:
    return changed(facts, kernel_log=KernelText(lines_of(text)), up_seconds=up_seconds)


def test_a_closed_log_comes_with_the_distribution_s_group_that_may_read_it(fedora: HostFacts, ubuntu: HostFacts) -> None:
    found = the(changed(fedora, kernel_log=KernelText(refused=CLOSED)), "kernel log")
    assert found.status == "note"
    assert CLOSED in found.found
    assert found.fix == "sudo usermod -aG systemd-journal alice  # then log in again"
    assert "sudo sysctl kernel.dmesg_restrict=0" in found.why
    other = the(changed(ubuntu, kernel_log=KernelText(refused=CLOSED)), "kernel log")
    assert other.fix == "sudo usermod -aG adm alice  # then log in again"


def test_a_log_that_is_not_there_is_read_on_the_host(fedora: HostFacts) -> None:
    refused = "/dev/kmsg: No such file or directory; there is no journalctl"
    assert the(changed(fedora, kernel_log=KernelText(refused=refused)), "kernel log").fix.startswith("sudo dmesg")


def test_no_gpu_is_called_sound_where_the_log_cannot_be_read(fedora: HostFacts) -> None:
    assert of(changed(fedora, kernel_log=KernelText(refused=CLOSED)), "GPU hangs") == []


@pytest.mark.parametrize(
    ("text", "status", "said", "fix"),
    [
        (QUIET, "ok", "no hang and no fault", ""),
        (
            PAGE_FAULT,
            "warning",
            "a program on the GPU faulted or hung, 5 h 32 min ago|the kernel said: amdgpu 0000:c3:00.0: amdgpu: [gfxhub]",
            "",
        ),
        (
            RESET_THAT_SUCCEEDED,
            "warning",
            "the GPU hung, and the driver reset it, 5 h 17 min ago|the kernel said: amdgpu 0000:c5:00.0: [drm] device wedged, but recovered",
            "sudo systemctl reboot",
        ),
        (
            RESET_THAT_FAILED,
            "problem",
            "the GPU did not come back from a reset, 5 h 31 min ago|the kernel said: [drm:amdgpu_job_timedout",
            "sudo systemctl reboot",
        ),
        (RESET_THAT_SUCCEEDED[:400], "problem", "the GPU did not come back from a reset", "sudo systemctl reboot"),
        (RESET_THAT_SUCCEEDED[:180], "problem", "the GPU's scheduler stopped answering", "sudo systemctl reboot"),
    ],
    ids=["a boot", "a page fault", "a reset", "a failed reset", "a reset without an end", "no answer"],
)
def test_what_happened_last_and_whether_the_gpu_can_be_used(
    fedora: HostFacts, text: str, status: str, said: str, fix: str
) -> None:
    found = the(with_log(fedora, text), "GPU hangs")
    assert found.status == status
    fact, _, quoted = said.partition("|")
    assert fact in found.found
    assert quoted in found.why
    assert found.fix == fix
    assert bool(found.source) is (status != "ok")


def test_what_runs_after_a_reset_is_called_suspect(fedora: HostFacts) -> None:
    assert "suspect" in the(with_log(fedora, RESET_THAT_SUCCEEDED), "GPU hangs").why


def test_an_nvidia_gpu_that_is_off_the_bus_is_a_problem(nvidia: HostFacts) -> None:
    assert statuses(with_log(nvidia, XID), "GPU hangs") == ["problem"]


def test_a_host_without_a_gpu_is_told_nothing_of_it(plain: HostFacts) -> None:
    assert of(with_log(plain, RESET_THAT_FAILED), "GPU hangs") == []
    assert of(changed(plain, kernel_log=KernelText(refused=CLOSED)), "kernel log") == []


def test_who_did_not_look_finds_nothing(fedora: HostFacts) -> None:
    assert fedora.kernel_log is None
    assert of(fedora, "GPU hangs") == of(fedora, "kernel log") == []
