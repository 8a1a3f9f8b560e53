"""The kernel's log as its documentation describes it, on a socket that gives a record a read; nothing here is a real log."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.kernel_log import _line, _records, kernel_seconds, read_kernel_log
from harness.records import ExitRecord
from harness.verdict import judge
from tests.unit.samples import journal_until

FAULT = "amdgpu 0000:c5:00.0: amdgpu: [gfxhub] page fault (src_id:0 ring:153 vmid:8 pasid:32770)"


@pytest.fixture
def log() -> Iterator[tuple[socket.socket, int]]:
    """A writer, and the descriptor of a reader that does not wait."""
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.setblocking(False)
    yield writer, reader.fileno()
    writer.close()
    reader.close()


def test_all_records_that_are_there_are_read_and_none_is_waited_for(log: tuple[socket.socket, int]) -> None:
    writer, descriptor = log
    for number in range(3):
        writer.send(b"4,%d,1000000,-;a line\n" % number)
    assert len(_records(descriptor)) == 3
    assert _records(descriptor) == []


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (f"3,1,50000000,-;{FAULT}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:c5:00.0\n", FAULT),
        ("4,2,50000000,-;python3 invoked oom-killer: gfp_mask=0x1", "python3 invoked oom-killer: gfp_mask=0x1"),
        (f"3,1,10000000,-;{FAULT}", ""),
        ("6,3,50000000,-;usb 1-1: new high-speed USB device", ""),
        ("no record at all", ""),
        (f"3,1,\u00b2,-;{FAULT}", ""),
    ],
    ids=["a page fault", "out of memory", "before the launch", "of no concern", "garbage", "an odd digit"],
)
def test_only_what_is_recent_and_about_gpus_or_memory_is_kept(record: str, line: str) -> None:
    assert _line(record.encode(), 49.5) == line


def test_a_log_that_may_not_be_read_is_empty(tmp_path: Path) -> None:
    assert read_kernel_log(0.0, device=str(tmp_path / "none")) == ""
    assert read_kernel_log(0.0, device=str(tmp_path)) == ""


def test_a_log_of_another_shape_is_empty(tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_text("nonsense\n" * 10_000)
    assert read_kernel_log(kernel_seconds(), device=str(tmp_path / "kmsg")) == ""


def test_the_kernel_speaks_where_the_guest_died_without_a_word() -> None:
    journal, ended = journal_until("cold", hip="7.2.26015"), ExitRecord(started=True, code=134)
    silent = judge(journal, ended, family="rocm", last_stage="verify")
    told = judge(
        journal,
        ended,
        family="rocm",
        last_stage="verify",
        kernel_log=f"{FAULT}\namdgpu 0000:c5:00.0: amdgpu: GCVM_L2_PROTECTION_FAULT_STATUS:0x00800932",
    )
    assert silent.cause == "crash"
    assert (told.cause, told.stage) == ("gpu fault", "cold")
    assert told.signature not in (None, silent.signature)
