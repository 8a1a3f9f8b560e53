"""The kernel's log as systemd's journal has it: ``journalctl -k``, which shows it to the groups systemd-journal, adm and wheel
(https://www.freedesktop.org/software/systemd/man/latest/journalctl.html), where ``/dev/kmsg`` is closed to them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from typing import IO

from harness.machine.kernel_log import KernelLine, KernelText
from harness.text import one_line

ANSWER_SECONDS = 5.0
"""A journal of some GiB on a slow disk takes a second."""

MOST_BYTES = 16 << 20
"""How much of the end of the output is kept. A kernel line is at most 1 KiB, and typically some 300 bytes in JSON."""

MOST_REASON_BYTES = 64 << 10

_ABOUT_QUIET = "Pass -q"
"""The end of journalctl's hint about groups, which is not a reason."""


def read_kernel_journal(lines: int, *, answer_seconds: float = ANSWER_SECONDS, most_bytes: int = MOST_BYTES) -> KernelText:
    """The last lines of the kernel's log of this boot, whatever they are about. Never raises.

    Waits ``answer_seconds`` at most and keeps the last ``most_bytes`` of what is printed.
    """
    # As JSON: other forms have the host's name in each line. Time is journald's own, by CLOCK_MONOTONIC.
    argv = ("journalctl", "--dmesg", "--output=json", "--output-fields=MESSAGE", f"--lines={lines}", "--no-pager")
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            start_new_session=True,  # a Ctrl-C at the terminal is for the harness
        )
    except FileNotFoundError:
        return KernelText(refused="there is no journalctl")
    except OSError as error:
        return KernelText(refused=f"`journalctl -k` does not start ({error.strerror})")
    try:
        told = _read_ends(process, answer_seconds, most_bytes)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()
    if told is None:
        return KernelText(refused="`journalctl -k` does not answer", is_late=True)
    printed, complaints = told
    found = tuple(line for row in printed.splitlines() if (line := _line(row)) is not None)
    if not found:  # a boot leaves hundreds of lines: without any, the journal is closed or lacks the kernel's log
        said = [text for row in complaints.decode(errors="replace").splitlines() if (text := one_line(row).strip())]
        reasons = [text for text in said if _ABOUT_QUIET not in text]
        return KernelText(refused=f"`journalctl -k` shows nothing{f': {reasons[-1][:200]}' if reasons else ''}")
    return KernelText(found)


def _read_ends(process: subprocess.Popen[bytes], seconds: float, most_bytes: int) -> tuple[bytes, bytes] | None:
    """The ends of what a process prints to stdout and stderr; ``None`` where it goes on for longer than ``seconds``."""
    assert process.stdout is not None
    assert process.stderr is not None
    most: dict[IO[bytes], int] = {process.stdout: most_bytes, process.stderr: MOST_REASON_BYTES}
    kept = {stream: bytearray() for stream in most}
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as waiting:
        for stream in most:
            waiting.register(stream, selectors.EVENT_READ, stream)
        while waiting.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            for key, _ in waiting.select(left):
                stream = key.data
                piece = os.read(stream.fileno(), 1 << 16)
                if not piece:
                    waiting.unregister(stream)
                kept[stream] += piece
                if len(kept[stream]) > 2 * most[stream]:
                    del kept[stream][: -most[stream]]
    printed, complaints = (bytes(kept[stream][-most[stream] :]) for stream in most)
    return printed, complaints


def _line(row: bytes) -> KernelLine | None:
    """One entry; ``None``: the row is not one."""
    try:
        entry = json.loads(row)
        seconds = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    message = entry.get("MESSAGE")
    if isinstance(message, list):  # bytes that are not UTF-8 come as numbers
        try:
            message = bytes(message).decode(errors="replace")
        except (ValueError, TypeError, OverflowError):
            return None
    return KernelLine(seconds, message.split("\n", 1)[0]) if isinstance(message, str) else None
