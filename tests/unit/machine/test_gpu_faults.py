"""What the kernel's lines tell. All logs but those marked as filled in were posted by owners: the sources stand above each."""

from __future__ import annotations

import re

import pytest

from harness.machine.gpu_faults import concerns, gpu_events, state_of
from harness.machine.kernel_log import KernelLine

# ROCm/legacy-rocm-build#5724 and #5665, a Strix Halo; the end is that of #6018, the same driver.
RESET_THAT_SUCCEEDED = """
[  950.818166] amdgpu 0000:c5:00.0: amdgpu: MES failed to respond to msg=REMOVE_QUEUE
[  950.818171] amdgpu 0000:c5:00.0: amdgpu: failed to remove hardware queue from MES, doorbell=0x1802
[  950.818174] amdgpu 0000:c5:00.0: amdgpu: MES might be in unrecoverable state, issue a GPU reset
[  950.818199] amdgpu 0000:c5:00.0: amdgpu: GPU reset begin!. Source:  3
[  952.916113] amdgpu 0000:c5:00.0: amdgpu: MES failed to respond to msg=REMOVE_QUEUE
[  956.999856] amdgpu 0000:c5:00.0: amdgpu: MODE2 reset
[  957.031470] amdgpu 0000:c5:00.0: amdgpu: GPU reset succeeded, trying to resume
[  957.500000] amdgpu 0000:c5:00.0: amdgpu: GPU reset(1) succeeded!
[  957.500100] amdgpu 0000:c5:00.0: [drm] device wedged, but recovered through reset
"""
# A Strix Halo: ROCm/rocm-libraries#1132. Which process is told in the line below the fault.
PAGE_FAULT = """
[   77.000001] amdgpu 0000:c3:00.0: amdgpu: [gfxhub] page fault (src_id:0 ring:24 vmid:8 pasid:32794)
[   77.000002] amdgpu 0000:c3:00.0: amdgpu:  in process llama-bench-roc pid 345001 thread llama-bench-roc pid 345001)
[   77.000003] amdgpu 0000:c3:00.0: amdgpu:   in page starting at address 0x00007f418f76f000 from client 10
"""
# amd-gfx, 2026-03: a desktop's program hangs its ring, and the whole GPU is reset.
RING_THAT_ESCALATED = """
[  124.688361] amdgpu 0000:0a:00.0: ring gfx_0.0.0 timeout, signaled seq=569, emitted seq=571
[  124.688366] amdgpu 0000:0a:00.0:  Process Xwayland pid 3471 thread Xwayland:cs0 pid 3479
[  124.688369] amdgpu 0000:0a:00.0: Starting gfx_0.0.0 ring reset
[  126.560451] amdgpu 0000:0a:00.0: MES(0) failed to respond to msg=RESET
[  128.789840] amdgpu 0000:0a:00.0: Ring gfx_0.0.0 reset failed
[  128.789848] amdgpu 0000:0a:00.0: GPU reset begin!. Source:  1
[  128.790174] amdgpu 0000:0a:00.0: GPU reset(1) succeeded!
"""
RING_THAT_RECOVERED = """
[   50.000001] amdgpu 0000:c4:00.0: ring gfx_0.0.0 timeout, signaled seq=10, emitted seq=12
[   50.000002] amdgpu 0000:c4:00.0:  Process gnome-shell pid 2001 thread gnome-shel:cs0 pid 2010
[   51.000001] amdgpu 0000:c4:00.0: Ring gfx_0.0.0 reset succeeded
[   51.000002] amdgpu 0000:c4:00.0: [drm] device wedged, but no recovery needed
"""
# A list of the kernel's, 2024-06, and a post of 2023: resets that failed.
RESET_THAT_FAILED = """
[  112.100000] amdgpu 0000:03:00.0: amdgpu: GPU reset begin!
[  121.958539] amdgpu 0000:03:00.0: amdgpu: GPU reset(1) failed
[  121.958541] amdgpu 0000:03:00.0: amdgpu: GPU reset end with ret = -110
[  121.959180] [drm:amdgpu_job_timedout [amdgpu]] *ERROR* GPU Recovery Failed: -110
"""
# Boot lines of a healthy Strix Halo (ROCm/legacy-rocm-build#5595): nothing happened.
QUIET = """
[    3.000000] amdgpu 0000:c6:00.0: amdgpu: [drm] Configuring gttsize via module parameter is deprecated, please use ttm.pages_limit
[    3.100000] amdgpu: unknown parameter 'gtt_size' ignored
"""
XID = (
    "[  10.0] NVRM: Xid (PCI:0000:01:00): 31, pid=14092, name=python3, Ch 00000008, intr 00000000. MMU Fault\n"
    "[  11.0] NVRM: Xid (PCI:000f:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
)


def lines_of(text: str) -> tuple[KernelLine, ...]:
    """What `dmesg` prints, as lines."""
    return tuple(KernelLine(float(seconds), said) for seconds, said in re.findall(r"(?m)^\[\s*([\d.]+)\] (.*)$", text))


@pytest.mark.parametrize(
    ("text", "now", "state"),
    [
        ("", 100.0, "untouched"),
        (QUIET, 100.0, "untouched"),
        (PAGE_FAULT, 100.0, "faulted"),
        (RESET_THAT_SUCCEEDED, 1000.0, "recovered"),
        (RING_THAT_ESCALATED, 1000.0, "recovered"),
        (RING_THAT_RECOVERED, 1000.0, "recovered"),
        (RESET_THAT_FAILED, 1000.0, "lost"),
        (RESET_THAT_SUCCEEDED[:400], 952.0, "unresponsive"),
        (RESET_THAT_SUCCEEDED[:400], 2000.0, "lost"),
        (RESET_THAT_SUCCEEDED[:180], 2000.0, "unresponsive"),
        (RESET_THAT_FAILED + RESET_THAT_SUCCEEDED, 2000.0, "recovered"),
        (XID, 100.0, "lost"),
    ],
    ids=[
        "nothing",
        "a boot",
        "a page fault",
        "a reset that succeeded",
        "a ring that took the GPU along",
        "a ring that was reset alone",
        "a reset that failed",
        "a reset that has just begun",
        "a reset that never ended",
        "a scheduler that does not answer",
        "a later reset that succeeded",
        "an NVIDIA GPU that is off the bus",
    ],
)
def test_the_last_word_of_the_kernel_says_how_the_gpu_stands(text: str, now: float, state: str) -> None:
    assert state_of(gpu_events(lines_of(text)), now_seconds=now) == state


@pytest.mark.parametrize(
    ("text", "pids"),
    [(PAGE_FAULT, {345001}), (RING_THAT_RECOVERED, {2001}), (XID, {14092}), (RESET_THAT_SUCCEEDED, set())],
)
def test_whom_the_kernel_blames_is_read_from_the_line_or_the_one_below(text: str, pids: set[int]) -> None:
    assert {pid for event in gpu_events(lines_of(text)) for pid in event.pids} == pids


def test_a_page_fault_concerns_who_made_it_and_a_reset_everybody() -> None:
    (fault,) = gpu_events(lines_of(PAGE_FAULT))
    assert concerns(fault, {345001})
    assert not concerns(fault, {1, 2})
    nobody = lines_of(PAGE_FAULT)[:1]
    assert concerns(gpu_events(nobody)[0], {1, 2})
    assert any(concerns(event, {1, 2}) for event in gpu_events(lines_of(RING_THAT_ESCALATED)))
    assert not any(concerns(event, {1}) for event in gpu_events(lines_of(RING_THAT_RECOVERED)))


def test_another_gpu_s_faults_are_of_no_concern_where_one_was_chosen() -> None:
    both = lines_of(PAGE_FAULT + RESET_THAT_FAILED)
    assert {event.kind for event in gpu_events(both, gpu="0000:c3:00.0")} == {"page fault", "lost"}  # a line without address
    assert {event.kind for event in gpu_events(both, gpu="0000:03:00.0")} == {"reset", "lost"}
    assert len(gpu_events(lines_of(XID), gpu="0000:01:00.0")) == 1
    assert len(gpu_events(both, gpu="0")) == len(gpu_events(both))
