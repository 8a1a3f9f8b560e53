"""What the kernel says about GPUs and memory, where this user may read it: a page fault of the GPU, a reset, or the out-of-memory
killer leave no other trace.

``/dev/kmsg`` gives one record a read, ``priority,sequence,microseconds,flags;text``
(https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg). With kernel.dmesg_restrict=1, the default of Fedora, Ubuntu
and Arch, only root may open it. systemd's journal has the same lines, and shows them to some groups. Asking it
starts a process, so `harness.engines.kernel_journal` does that.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from harness.machine.files import whole_number

DEVICE = "/dev/kmsg"

RESTRICTED = "kernel.dmesg_restrict"
"""The setting that closes it: https://docs.kernel.org/admin-guide/sysctl/kernel.html#dmesg-restrict"""

RECORD_BYTES = 8192
"""The kernel's own limit of a record (CONSOLE_EXT_LOG_MAX)."""

MOST_RECORDS = 100_000
MOST_LINES = 2_000
"""The last lines are kept: a GPU that faults without end fills the log with that."""

MOST_CHARACTERS = 8_000

JOURNAL_SECONDS = 10.0
"""The time between two questions to the journal while a launch runs."""

JOURNAL_LINES = 2_000
BOOT_LINES = 20_000
"""The last lines that the journal is asked for: while a launch runs, and since the machine was booted."""

_OURS = re.compile(
    r"amdgpu|\bkfd\b|gfxhub|mmhub|\bMES\b|GCVM_L2|NVRM|\bXid\b|out of memory|oom[-_]kill|Memory cgroup|segfault at|traps:",
    re.IGNORECASE,
)


def kernel_seconds() -> float:
    """Now, in seconds since boot, as near as the clock of the kernel's log is."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class KernelLine(msgspec.Struct, frozen=True):
    """One line of the kernel's log."""

    seconds: float
    """Since boot. The log's clock drifts against other clocks, by minutes in a month."""
    text: str


class KernelText(msgspec.Struct, frozen=True):
    """Lines of the kernel's log about GPUs and memory, in the order of time."""

    lines: tuple[KernelLine, ...] = ()
    refused: str = ""
    """Why the log could not be read; empty: it was"""
    is_late: bool = False
    """Whether the answer did not come in time; the next one may."""

    @property
    def text(self) -> str:
        """The end of it, a line each."""
        return "\n".join(line.text for line in self.lines)[-MOST_CHARACTERS:]


Journal: TypeAlias = Callable[[int], KernelText]
"""Asks systemd's journal for up to so many last lines of the kernel's log."""


class KernelLog:
    """The kernel's log, read from ``/dev/kmsg``, or from a journal where that is closed to this user."""

    def __init__(self, journal: Journal | None = None, *, device: str = DEVICE) -> None:
        self._journal = journal
        self._device = device

    def since_boot(self) -> KernelText:
        """All that the log still has. Never raises; a journal may take seconds."""
        descriptor, refused = _open(self._device)
        if descriptor is not None:
            try:
                return KernelText(_lines(read_records(descriptor)))
            finally:
                os.close(descriptor)
        return _ask(self._journal, BOOT_LINES, refused)

    def follow(self, *, journal_seconds: float = JOURNAL_SECONDS) -> FollowedLog:
        """What the kernel says from now on; to be closed."""
        return FollowedLog(self._journal, self._device, journal_seconds=journal_seconds)


class FollowedLog:
    """What the kernel said since this object was made."""

    def __init__(self, journal: Journal | None, device: str, *, journal_seconds: float = JOURNAL_SECONDS) -> None:
        self._journal = journal
        self._journal_seconds = journal_seconds
        self._descriptor, self._refused = _open(device)
        if self._descriptor is not None:
            # Go to the end: what was said before concerns others. A pipe in a test has no end to go to.
            with contextlib.suppress(OSError):
                os.lseek(self._descriptor, 0, os.SEEK_END)
        self._begun = time.monotonic()
        self._lines: tuple[KernelLine, ...] = ()
        self._journal_refused = ""
        """Why the last question was not answered; empty: it was, or there was none"""
        self._has_answered = False
        self._is_closed = False
        """Whether the journal is not to be asked again"""
        self._asking: threading.Thread | None = None
        self._asked = self._begun

    def glance(self) -> KernelText:
        """What can be told without waiting: a thread asks the journal, once in ``journal_seconds``."""
        if self._descriptor is not None:
            self._take()
            return self.told
        is_asking = self._asking is not None and self._asking.is_alive()
        if not self._is_closed and not is_asking and time.monotonic() - self._asked >= self._journal_seconds:
            self._asked = time.monotonic()
            self._asking = threading.Thread(target=self._ask, daemon=True)
            self._asking.start()
        return self.told

    def read(self) -> KernelText:
        """All until now. Where a journal does not answer this time: what it told before, and why. Never raises; a journal may
        take seconds."""
        if self._descriptor is not None:
            self._take()
            return self.told
        self.settle()
        if not self._is_closed:
            self._ask()
        return self.told

    @property
    def told(self) -> KernelText:
        """What is known by now; nothing is read for it."""
        return KernelText(self._lines, self._journal_refused)

    def settle(self) -> None:
        """Wait for the journal's answer to a question of `glance`."""
        if self._asking is not None:
            self._asking.join()

    def close(self) -> None:
        """Let go of the device."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take(self) -> None:
        assert self._descriptor is not None
        self._lines = (*self._lines, *_lines(read_records(self._descriptor)))[-MOST_LINES:]

    def _ask(self) -> None:
        told = _ask(self._journal, JOURNAL_LINES, self._refused)
        self._journal_refused = told.refused
        if told.refused:
            # One that answered before may do so again: while a model loads, journalctl can take too long.
            self._is_closed = not self._has_answered and not told.is_late
            return
        self._has_answered = True
        self._lines = tuple(line for line in told.lines if line.seconds >= self._begun)


def _open(device: str) -> tuple[int | None, str]:
    """A descriptor whose reads do not wait at the log's end, or the reason why there is none."""
    try:
        return os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), ""
    except PermissionError:
        return None, f"{device} is closed to this user ({RESTRICTED})"
    except OSError as error:
        return None, f"{device}: {error.strerror or error}"


def _ask(journal: Journal | None, lines: int, refused: str) -> KernelText:
    """What a journal says in the device's place."""
    if journal is None:
        return KernelText(refused=refused)
    told = journal(lines)
    if told.refused:
        return KernelText(refused=f"{refused}; {told.refused}", is_late=told.is_late)
    return KernelText(tuple(line for line in told.lines if _OURS.search(line.text))[-MOST_LINES:])


def read_records(descriptor: int) -> list[bytes]:
    """All records that are there."""
    records: list[bytes] = []
    for _ in range(MOST_RECORDS):
        try:
            record = os.read(descriptor, RECORD_BYTES)
        except BlockingIOError:
            break
        except BrokenPipeError:  # overwritten while we read: the next read is at the oldest that is left
            continue
        except OSError:
            break
        if not record:
            break
        records.append(record)
    return records


def _lines(records: Iterable[bytes]) -> tuple[KernelLine, ...]:
    """The lines that are about GPUs and memory."""
    return tuple(line for record in records if (line := parse_record(record)) is not None)[-MOST_LINES:]


def parse_record(record: bytes) -> KernelLine | None:
    """A record's text with its time; ``None`` where it is not about GPUs or memory."""
    head, _, text = record.decode(errors="replace").partition(";")
    fields = head.split(",")
    microseconds = whole_number(fields[2]) if len(fields) > 2 else None
    if microseconds is None:
        return None
    line = text.split("\n", 1)[0]
    return KernelLine(microseconds / 1e6, line) if _OURS.search(line) else None
