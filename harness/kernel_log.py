"""What the kernel said of GPUs and memory while a launch ran, where this user may read it: a page fault of the GPU, a reset,
or the out-of-memory killer leave no other word.

``/dev/kmsg`` gives one record a read, ``priority,sequence,microseconds,flags;text``
(https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg).
"""

from __future__ import annotations

import os
import re
import time

RECORD_BYTES = 8192
"""The kernel's own limit of a record (CONSOLE_EXT_LOG_MAX)."""

MOST_RECORDS = 100_000
MOST_CHARACTERS = 8_000

SLACK_SECONDS = 1.0
"""The kernel's log clock drifts a little against CLOCK_MONOTONIC."""

_OURS = re.compile(
    r"amdgpu|\bkfd\b|gfxhub|mmhub|\bMES\b|GCVM_L2|NVRM|\bXid\b|out of memory|oom[-_]kill|Memory cgroup|segfault at|traps:",
    re.IGNORECASE,
)


def kernel_seconds() -> float:
    """Now, by the clock of the kernel's log."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def read_kernel_log(since_seconds: float, *, device: str = "/dev/kmsg") -> str:
    """Lines about GPUs and memory since a `kernel_seconds`; empty where there are none, or this user may not read them."""
    try:
        # Not waiting: at its end the log is a stream of what is still to come.
        descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        lines = [line for record in _records(descriptor) if (line := _line(record, since_seconds))]
    finally:
        os.close(descriptor)
    return "\n".join(lines)[-MOST_CHARACTERS:]


def _records(descriptor: int) -> list[bytes]:
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


def _line(record: bytes, since_seconds: float) -> str:
    """A record's text where it is ours and recent, else nothing."""
    head, _, text = record.decode(errors="replace").partition(";")
    fields = head.split(",")
    if len(fields) < 3 or not (fields[2].isascii() and fields[2].isdigit()):
        return ""
    line = text.split("\n", 1)[0]
    return line if int(fields[2]) / 1e6 >= since_seconds - SLACK_SECONDS and _OURS.search(line) else ""
