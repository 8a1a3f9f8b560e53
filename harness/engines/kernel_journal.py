"""The kernel's log as systemd's journal has it: ``journalctl -k``, which shows it to the groups systemd-journal, adm and wheel
(https://www.freedesktop.org/software/systemd/man/latest/journalctl.html), where ``/dev/kmsg`` is closed to them."""

from __future__ import annotations

import json
import os
import subprocess

from harness.kernel_log import KernelLine, KernelText

ANSWER_SECONDS = 5.0
"""A journal of some GiB on a slow disk takes a second."""

_ABOUT_QUIET = "Pass -q"
"""How journalctl's hint about groups ends, which is no reason."""


def read_kernel_journal(lines: int) -> KernelText:
    """The last lines of the kernel's log of this boot, whatever they are about. Never raises, and waits `ANSWER_SECONDS`."""
    # As JSON: other forms have the host's name in each line. Time is journald's own, by CLOCK_MONOTONIC.
    argv = ("journalctl", "--dmesg", "--output=json", "--output-fields=MESSAGE", f"--lines={lines}", "--no-pager")
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            start_new_session=True,  # a Ctrl-C at the terminal is ours to act on
        )
    except FileNotFoundError:
        return KernelText(refused="there is no journalctl")
    except subprocess.TimeoutExpired:
        return KernelText(refused="`journalctl -k` does not answer", is_late=True)
    except OSError as error:
        return KernelText(refused=f"`journalctl -k` does not start ({error.strerror})")
    found = tuple(line for row in done.stdout.splitlines() if (line := _line(row)) is not None)
    if not found:  # a boot leaves hundreds of lines: none is a journal that is closed, or one without the kernel's log
        said = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        reasons = [line for line in said if _ABOUT_QUIET not in line]
        return KernelText(refused=f"`journalctl -k` shows nothing{f': {reasons[-1][:200]}' if reasons else ''}")
    return KernelText(found)


def _line(row: bytes) -> KernelLine | None:
    """One entry; ``None`` for what is none."""
    try:
        entry = json.loads(row)
        seconds = int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError):
        return None
    message = entry.get("MESSAGE")
    if isinstance(message, list):  # bytes that are no UTF-8 come as numbers
        try:
            message = bytes(message).decode(errors="replace")
        except (ValueError, TypeError):
            return None
    return KernelLine(seconds, message.split("\n", 1)[0]) if isinstance(message, str) else None
