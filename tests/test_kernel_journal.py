"""The kernel's own log, and a process that stands in for `journalctl`: no systemd runs where this is tested."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from harness.engines.kernel_journal import read_kernel_journal
from harness.machine.kernel_log import KernelLine, KernelLog
from tests.commands import REPOSITORY

FAULT = "amdgpu 0000:c5:00.0: amdgpu: GPU reset begin!. Source:  3"

ENTRY = (
    '{"__CURSOR":"s=b4;i=937be;b=6181;m=2dfa3;t=5a9d5;x=4c6d","__REALTIME_TIMESTAMP":"1594109501754262",'
    '"__MONOTONIC_TIMESTAMP":"12341993457","_BOOT_ID":"6181dc48c38142b28f911ead52591d61","MESSAGE":%s}'
)
"""A line of `journalctl --dmesg --output=json --output-fields=MESSAGE` (systemd.journal-fields(7), journalctl(1))."""

HINT = """Hint: You are currently not seeing messages from other users and the system.
      Users in groups 'adm', 'systemd-journal' can see all messages.
      Pass -q to turn off this notice.
No journal files were opened due to insufficient permissions.
"""
"""What journalctl tells a user without these groups (systemd, src/shared/logs-show.c)."""


def a_fake_journalctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """A FAKE `journalctl`, alone on PATH: it notes how it was called, and prints what a script says."""
    program = folder / "journalctl"
    noted = folder / "noted"
    program.write_text(f'#!/bin/sh\n{{ echo "$@"; /usr/bin/env; }} >{noted}\n{script}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return noted


def test_the_lines_of_this_boot_are_asked_for_without_pager_host_name_or_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 30)
    (tmp_path / "told").write_text(
        ENTRY % f'"{FAULT}"' + "\n" + ENTRY % "[97,109,100,255]" + "\n" + ENTRY % "null" + "\nnone\n"
    )
    noted = a_fake_journalctl(tmp_path, monkeypatch, f"/bin/cat {tmp_path / 'told'}")
    said = read_kernel_journal(7)
    assert said.lines == (KernelLine(12341.993457, FAULT), KernelLine(12341.993457, "amd\ufffd"))
    assert said.refused == ""
    called = noted.read_text()
    assert called.splitlines()[0] == "--dmesg --output=json --output-fields=MESSAGE --lines=7 --no-pager"
    assert "LC_ALL=C" in called
    assert "hf_" not in called


def test_a_journal_that_is_closed_to_this_user_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hint").write_text(HINT)
    a_fake_journalctl(tmp_path, monkeypatch, f"/bin/cat {tmp_path / 'hint'} >&2; exit 1")
    assert read_kernel_journal(7).refused == (
        "`journalctl -k` shows nothing: No journal files were opened due to insufficient permissions."
    )


def test_a_journal_without_a_line_of_the_kernel_is_not_taken_for_a_silent_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_fake_journalctl(tmp_path, monkeypatch, "exit 0")
    assert read_kernel_journal(7).refused == "`journalctl -k` shows nothing"


def test_a_journal_that_does_not_answer_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_fake_journalctl(tmp_path, monkeypatch, "exec /bin/sleep 60")
    said = read_kernel_journal(7, answer_seconds=0.2)
    assert (said.refused, said.is_late) == ("`journalctl -k` does not answer", True)


def test_where_there_is_no_journalctl_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_kernel_journal(7).refused == "there is no journalctl"


@pytest.mark.parametrize(
    "row",
    [
        "[" * 200_000,
        '{"__MONOTONIC_TIMESTAMP":' + "[" * 200_000,
        '{"__MONOTONIC_TIMESTAMP":1e999,"MESSAGE":"x"}',
        '{"__MONOTONIC_TIMESTAMP":-Infinity,"MESSAGE":"x"}',
        '{"__MONOTONIC_TIMESTAMP":NaN,"MESSAGE":"x"}',
        '{"__MONOTONIC_TIMESTAMP":%s,"MESSAGE":"x"}' % ("9" * 400),
        '{"__MONOTONIC_TIMESTAMP":"%s","MESSAGE":"x"}' % ("9" * 400),
        '{"__MONOTONIC_TIMESTAMP":"%s","MESSAGE":"x"}' % ("9" * 5000),
        ENTRY % ("[" + "9" * 400 + "]"),
        ENTRY % "[1e999]",
        "[]",
        "7",
    ],
    ids=lambda row: row[:40],
)
def test_an_odd_entry_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str) -> None:
    (tmp_path / "told").write_text(f"{row}\n" + ENTRY % f'"{FAULT}"' + "\n")
    a_fake_journalctl(tmp_path, monkeypatch, f"/bin/cat {tmp_path / 'told'}")
    assert read_kernel_journal(7).lines == (KernelLine(12341.993457, FAULT),)


def test_of_more_than_is_held_the_end_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "told").write_text(ENTRY % '"early"' + "\n" + "x" * 200_000 + "\n" + ENTRY % '"late"' + "\n")
    a_fake_journalctl(tmp_path, monkeypatch, f"/bin/cat {tmp_path / 'told'}")
    assert [line.text for line in read_kernel_journal(7, most_bytes=1000).lines] == ["late"]


@pytest.mark.parametrize("stream", [1, 2])
def test_a_flood_is_left_after_the_same_wait_and_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: int
) -> None:
    a_fake_journalctl(tmp_path, monkeypatch, f"exec /usr/bin/yes >&{stream}")
    tracemalloc.start()
    said = read_kernel_journal(7, answer_seconds=0.5)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said.refused == "`journalctl -k` does not answer"
    assert peak_bytes < 100 << 20


def test_a_reason_commands_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "said").write_text("\x1b]0;title\x07\x1b[31mNo\x07 journal\x1b[0m\u202e\n")
    a_fake_journalctl(tmp_path, monkeypatch, f"/bin/cat {tmp_path / 'said'} >&2; exit 1")
    assert read_kernel_journal(7).refused == "`journalctl -k` shows nothing: No journal"


def takes_lines_of_ours() -> bool:
    """Whether the kernel's log can be read and written to: root in a container or an LXC has no device, or one that refuses."""
    try:
        os.close(os.open("/dev/kmsg", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not takes_lines_of_ours(), reason="the kernel's log cannot be written to here")
def test_what_the_real_kernel_says_after_the_start_is_heard_and_nothing_from_before() -> None:
    before, after = (f"strixbench-test: amdgpu: a line from {when}, {os.getpid()}" for when in ("before", "after"))
    Path("/dev/kmsg").write_text(f"{before}\n")
    followed = KernelLog().follow()
    Path("/dev/kmsg").write_text(f"{after}\n")
    said = followed.read()
    followed.close()
    assert after in said.text
    assert before not in said.text
    assert before in "\n".join(line.text for line in KernelLog().since_boot().lines)
    assert said.refused == ""


def refuses_users() -> bool:
    """Whether this kernel closes its log to users; one without the setting does not."""
    setting = Path("/proc/sys/kernel/dmesg_restrict")
    return setting.exists() and setting.read_text().strip() == "1"


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
@pytest.mark.skipif(not refuses_users(), reason="this kernel shows its log to every user")
def test_the_real_kernel_refuses_another_user_and_the_reason_is_kept() -> None:
    code = "from harness.machine.kernel_log import KernelLog; print(KernelLog().follow().read().refused)"
    done = subprocess.run(
        (
            sys.executable,
            "-c",
            f"import os, sys; sys.path.insert(0, {str(REPOSITORY)!r}); import harness.machine.kernel_log\n"
            f"os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{code}",
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "/dev/kmsg is closed to this user (kernel.dmesg_restrict)\n", done.stderr
