from __future__ import annotations

import time

import pytest

from harness.failures.survived import split_survived
from harness.verdict.explain import explain_text

UNCAUGHT = 'Traceback (most recent call last):\n  File "/app/x.py", line 3, in <module>\n    f()\nOSError: [Errno 28] No space left on device\n'
FAULT = (
    "Memory access fault by GPU node-1 (Agent handle: 0x5) on address 0x7f. Reason: Page not present or supervisor privilege.\n"
)


def left(text: str) -> str:
    return "\n".join(line for line in split_survived(text)[0].split("\n") if line)


def signature_of(text: str) -> str | None:
    match = explain_text(text).match
    return match.signature.id if match else None


@pytest.mark.parametrize(
    "warned",
    [
        "/x/y.py:47: UserWarning: cannot open shared object file\n  warnings.warn(\n",
        "/x/y.py:47: UserWarning: \nseveral lines\n\nof a message: error\n  warnings.warn(message)\n",
        "guest_1  | /x/y.py:47: FutureWarning: it failed\nguest_1  |   return f(x)\n",
        "WARNING: libx.so: cannot open shared object file\n",
        "2026-01-02 10:00:00,1 - app - WARNING - RuntimeError: miopenStatusUnknownError\n",
        'time="2026" level=warning msg="permission denied"\n',
        "[W106 12:41:43.8 ProcessGroupNCCL.cpp:1553] Warning: killed\n",
        "MIOpen(HIP): Warning [SQLiteBase] unable to open database file\n",
        f"DEBUG:app:could not import it\n{UNCAUGHT}",
        f"2026-01-02 10:00:00 INFO falling back to the CPU\n{UNCAUGHT}",
        f"WARNING:root:{UNCAUGHT}",
        f"Exception ignored in: <function X.__del__ at 0x7f>\n{UNCAUGHT}",
    ],
)
def test_what_was_warned_of_is_no_cause_of_what_came_after(warned: str) -> None:
    assert left(f"{warned}went on\n") == "went on"
    assert signature_of(f"{warned}went on\n") is None
    assert not explain_text(f"{warned}went on\n").failed
    assert signature_of(f"{warned}went on\n{FAULT}") == "gpu-page-fault"


@pytest.mark.parametrize(
    "said",
    [
        f"2026-01-02 10:00:00 INFO all is well\n{UNCAUGHT}",
        f"WARNING: a slow disk\n{UNCAUGHT}",
        f"2026-01-02 10:00:00 ERROR could not write\n{UNCAUGHT}",
        f"/x/y.py:47: UserWarning: old\n  warnings.warn(\n{UNCAUGHT}",
    ],
)
def test_an_exception_that_ended_the_program_is_its_cause_whatever_was_said_before(said: str) -> None:
    assert signature_of(said) == "disk-full"


def test_where_warnings_are_errors_a_warning_is_what_the_program_died_of() -> None:
    text = 'Traceback (most recent call last):\n  File "/app/x.py", line 3, in <module>\n    warn("old")\nUserWarning: old\n'
    assert left(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UNCAUGHT + FAULT, "gpu-page-fault"),
        (UNCAUGHT + "retrying\nKilled\n", "killed"),
        (FAULT + "restarting the worker\n" + UNCAUGHT, "disk-full"),
        (FAULT + UNCAUGHT.replace("OSError: [Errno 28] No space left on device", "EOFError"), "gpu-page-fault"),
        (FAULT + "Aborted (core dumped)\n", "gpu-page-fault"),
        (FAULT + "Aborted (core dumped)\nrestarting\nIllegal instruction (core dumped)\n", "illegal-instruction"),
        ("Unable to open /dev/kfd read-write: Permission denied\nAborted (core dumped)\n", "kfd-permission"),
        ("fail at lstm: died of SIGSEGV in lstm: it printed nothing", "miopen-dropout-segfault"),
        ("fail at embedding: died of SIGILL in embedding", "illegal-instruction"),
    ],
)
def test_the_last_death_decides(text: str, expected: str) -> None:
    assert signature_of(text) == expected


def test_a_long_hostile_log_takes_time_in_proportion() -> None:
    for piece in (
        "a.py:1: UserWarning: x\n",
        "WARNING ",
        "Traceback (most recent call last):\n",
        "x: 1: ",
        "DEBUG error\nTraceback (most recent call last):\n",
    ):
        text = (piece * 100_000)[:300_000]
        begun = time.process_time()
        split_survived(text)
        assert time.process_time() - begun < 5, piece
