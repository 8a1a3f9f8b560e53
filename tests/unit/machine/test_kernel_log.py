"""The kernel's log as its documentation describes it, on a socket that gives a record a read; nothing here is a real log.
The real one, and a real process for the journal, are in tests/test_kernel_journal.py."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.machine.kernel_log import (
    FollowedLog,
    KernelLine,
    KernelLog,
    KernelText,
    kernel_seconds,
    parse_record,
    read_records,
)
from harness.records.journal import read
from harness.records.outcome import ExitRecord
from harness.verdict.judge import judge
from tests.unit.samples import is_root, journal_until

FAULT = "amdgpu 0000:c5:00.0: amdgpu: [gfxhub] page fault (src_id:0 ring:153 vmid:8 pasid:32770)"
CLOSED = "/nowhere/kmsg"


@pytest.fixture
def log() -> Iterator[tuple[socket.socket, int]]:
    """A writer, and the descriptor of a reader that does not wait."""
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reader.setblocking(False)
    yield writer, reader.fileno()
    writer.close()
    reader.close()


class FakeJournal:
    """A fake of `harness.engines.kernel_journal`: no process. It tells what it was given, and counts the questions."""

    def __init__(self, *told: KernelText) -> None:
        self.told = list(told)
        self.asked: list[int] = []

    def __call__(self, lines: int) -> KernelText:
        self.asked.append(lines)
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]


def test_all_records_that_are_there_are_read_and_none_is_waited_for(log: tuple[socket.socket, int]) -> None:
    writer, descriptor = log
    for number in range(3):
        writer.send(b"4,%d,1000000,-;a line\n" % number)
    assert len(read_records(descriptor)) == 3
    assert read_records(descriptor) == []


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (f"3,1,50000000,-;{FAULT}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:c5:00.0\n", KernelLine(50.0, FAULT)),
        (
            "4,2,50000000,-;python3 invoked oom-killer: gfp_mask=0x1",
            KernelLine(50.0, "python3 invoked oom-killer: gfp_mask=0x1"),
        ),
        ("6,3,50000000,-;usb 1-1: new high-speed USB device", None),
        ("no record at all", None),
        (f"3,1,\u00b2,-;{FAULT}", None),
        (f"3,1,{'9' * 5000},-;{FAULT}", None),
    ],
    ids=["a page fault", "out of memory", "of no concern", "garbage", "an odd digit", "a number without end"],
)
def test_only_what_is_about_gpus_or_memory_is_kept(record: str, line: KernelLine | None) -> None:
    assert parse_record(record.encode()) == line


def test_a_log_that_is_not_there_says_so(tmp_path: Path) -> None:
    said = KernelLog(device=str(tmp_path / "none")).since_boot()
    assert (said.lines, said.refused) == ((), f"{tmp_path / 'none'}: No such file or directory")
    assert KernelLog(device=str(tmp_path)).since_boot().lines == ()


@pytest.mark.skipif(is_root(), reason="no permission binds root; tests/test_kernel_journal.py becomes another user")
def test_a_log_that_is_closed_to_this_user_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "kmsg").touch(mode=0)
    assert "kernel.dmesg_restrict" in KernelLog(device=str(tmp_path / "kmsg")).follow().read().refused


def test_a_log_of_another_shape_is_empty(tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_text("nonsense\n" * 10_000)
    assert KernelLog(device=str(tmp_path / "kmsg")).since_boot() == KernelText()


def test_a_launch_hears_what_comes_after_its_start_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "kmsg"
    os.mkfifo(pipe)
    followed = KernelLog(device=str(pipe)).follow()
    with pipe.open("wb", buffering=0) as writer:
        writer.write(f"3,1,50000000,-;{FAULT}".encode())
        assert [line.text for line in followed.glance().lines] == [FAULT]
        writer.write(b"3,2,51000000,-;amdgpu 0000:c5:00.0: amdgpu: GPU reset begin!")
        assert followed.read().text.splitlines() == [FAULT, "amdgpu 0000:c5:00.0: amdgpu: GPU reset begin!"]
    followed.close()
    followed.close()


def test_a_journal_is_asked_where_the_device_is_closed_and_what_was_before_the_launch_is_left_out() -> None:
    now = kernel_seconds()
    early, late = KernelLine(now - 5, FAULT), KernelLine(now + 5, "amdgpu 0000:c5:00.0: amdgpu: GPU reset begin!")
    other = KernelLine(now + 6, "usb 1-1: new high-speed USB device")
    journal = FakeJournal(KernelText((early, late, other)))
    assert KernelLog(journal, device=CLOSED).follow().read() == KernelText((late,))
    assert KernelLog(journal, device=CLOSED).since_boot() == KernelText((early, late))


def test_a_journal_that_shows_nothing_leaves_both_reasons_and_is_asked_no_more() -> None:
    journal = FakeJournal(KernelText(refused="`journalctl -k` shows nothing"))
    followed = KernelLog(journal, device=CLOSED).follow(journal_seconds=0)
    refused = "/nowhere/kmsg: No such file or directory; `journalctl -k` shows nothing"
    assert followed.read() == KernelText(refused=refused)
    assert followed.glance() == KernelText(refused=refused)
    assert followed.read() == KernelText(refused=refused)
    assert len(journal.asked) == 1


LATE = KernelText(refused="`journalctl -k` does not answer", is_late=True)


def asked_again(followed: FollowedLog) -> KernelText:
    """What it tells at once after its journal was asked one time more."""
    followed.glance()
    followed.settle()
    return followed.told


def test_a_journal_that_does_not_answer_in_time_loses_no_line_and_is_asked_again() -> None:
    now = kernel_seconds()
    fault, reset = KernelLine(now + 5, FAULT), KernelLine(now + 6, "amdgpu 0000:c5:00.0: amdgpu: GPU reset begin!")
    closed = KernelText(refused="`journalctl -k` shows nothing")
    journal = FakeJournal(LATE, KernelText((fault,)), LATE, closed, KernelText((fault, reset)), LATE)
    followed = KernelLog(journal, device=CLOSED).follow(journal_seconds=0)
    refused = "/nowhere/kmsg: No such file or directory; `journalctl -k` does not answer"
    assert asked_again(followed) == KernelText((), refused)
    assert asked_again(followed) == KernelText((fault,))
    assert asked_again(followed) == KernelText((fault,), refused)
    assert asked_again(followed).lines == (fault,)
    assert asked_again(followed) == KernelText((fault, reset))
    assert followed.read() == KernelText((fault, reset), refused)
    assert len(journal.asked) == 6


def test_while_a_launch_runs_a_journal_is_asked_seldom_and_never_waited_for() -> None:
    answer, line = threading.Event(), KernelLine(kernel_seconds() + 5, FAULT)
    asked = []

    def slow(lines: int) -> KernelText:
        asked.append(lines)
        answer.wait(timeout=60)
        return KernelText((line,))

    seldom = KernelLog(slow, device=CLOSED).follow(journal_seconds=3600)
    assert seldom.glance() == KernelText()
    assert asked == []
    often = KernelLog(slow, device=CLOSED).follow(journal_seconds=0)
    assert often.glance() == often.glance() == KernelText(), "one that has not answered yet is not asked a second time"
    answer.set()
    often.settle()
    assert often.told == KernelText((line,))
    assert len(asked) == 1


def test_the_kernel_speaks_where_the_guest_died_without_a_word() -> None:
    journal, ended = journal_until("cold", hip="7.2.26015"), ExitRecord(started=True, code=134)
    silent = judge(read(journal), ended, family="rocm", last_stage="verify")
    told = judge(
        read(journal),
        ended,
        family="rocm",
        last_stage="verify",
        kernel_log=f"{FAULT}\namdgpu 0000:c5:00.0: amdgpu: GCVM_L2_PROTECTION_FAULT_STATUS:0x00800932",
    )
    assert silent.cause == "crash"
    assert (told.cause, told.stage) == ("gpu fault", "cold")
    assert told.signature not in (None, silent.signature)
