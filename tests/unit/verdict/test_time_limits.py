from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.wire import COMPILING_STEPS, JOURNAL, STEPS
from harness.launch.exchange import JournalTail
from harness.launch.watch import KERNEL_SECONDS, Watch
from harness.machine.kernel_log import FollowedLog, KernelLine, KernelText
from harness.records.journal import Begin, Done, End
from harness.records.plan import Plan
from harness.verdict.time_limits import Seen, why_end
from harness.workloads.limits import FIRST_PASS_SECONDS, Limits, limits_of
from harness.workloads.probe import WORKLOAD as PROBE
from tests.unit.machine.test_gpu_faults import (
    PAGE_FAULT,
    RESET_THAT_FAILED,
    RESET_THAT_SUCCEEDED,
    RING_THAT_RECOVERED,
    lines_of,
)
from tests.unit.samples import a_plan, journal_until, passing_journal, write_journal

ROCM = a_plan(family="rocm", timeout_seconds=1200.0, first_pass_seconds=3600.0)
CUDA = a_plan(family="cuda", timeout_seconds=1200.0)


def limits(family: str | None = "rocm", device: str = "cuda", **changes: Any) -> Limits:
    told: dict[str, Any] = {"usual_seconds": 1200.0, **changes}
    return limits_of(family=family, device=device, **told)


# The limits


@pytest.mark.parametrize("family", ["rocm", "therock"])
def test_a_first_pass_that_compiles_may_take_an_hour_and_what_follows_the_usual_time(family: str) -> None:
    found = limits(family)
    assert (found.first_pass_seconds, found.whole_seconds) == (3600.0, 1200.0)


@pytest.mark.parametrize(("family", "device"), [("cuda", "cuda"), ("cpu", "cpu"), ("rocm", "cpu"), (None, "cpu")])
def test_where_nothing_is_compiled_the_usual_time_is_all(family: str | None, device: str) -> None:
    assert limits(family, device).first_pass_seconds is None


def test_what_a_user_sets_is_the_whole_limit() -> None:
    found = limits(time_limit_seconds=5.0)
    assert (found.whole_seconds, found.first_pass_seconds) == (5.0, None)


def test_a_long_recording_gets_no_less_for_its_first_pass_than_for_all_of_them() -> None:
    assert limits(usual_seconds=144_000.0).first_pass_seconds == 144_000.0


def test_a_task_gets_what_it_is_reckoned_to_take_and_an_hour_for_the_first_result() -> None:
    found = limits(usual_seconds=900.0)
    assert (found.whole_seconds, found.first_pass_seconds) == (900.0, 3600.0)


def test_a_step_that_compiles_may_take_an_hour_on_rocm_alone() -> None:
    def told(family: str, **options: Any) -> tuple[float, ...]:
        asked = a_plan(family=family, steps=STEPS, options=options)
        given = PROBE.guest_options(asked)
        limits = PROBE.limits(asked, 30.0, family=family, device=asked.device)
        return given["step_timeout_seconds"], given["compiling_step_timeout_seconds"], limits.whole_seconds

    *each, whole = told("rocm")
    assert each == [300.0, FIRST_PASS_SECONDS]
    assert whole >= 600 + len(COMPILING_STEPS) * 3600
    assert told("cuda")[:2] == (300.0, 300.0)
    assert told("rocm", step_timeout_seconds=7.0) == (7.0, 7.0, 600 + len(STEPS) * 17)


# The rule


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(now=1100.0), None),
        (Seen(now=1300.0), "time"),
        (Seen(now=3500.0, device_ended=20.0), None),
        (Seen(now=3601.0, device_ended=20.0), "first pass"),
        (Seen(now=4600.0, device_ended=20.0, first_pass_ended=3500.0), None),
        (Seen(now=4701.0, device_ended=20.0, first_pass_ended=3500.0), "time"),
        (Seen(now=1201.0, device_ended=20.0, first_pass_ended=0.5), "time"),
    ],
    ids=[
        "imports",
        "imports that hang",
        "a pass that compiles",
        "a pass that compiles for too long",
        "warm passes after a slow cold one",
        "warm passes that hang",
        "a hang after a quick first pass",
    ],
)
def test_an_hour_is_waited_for_the_first_pass_alone(seen: Seen, why: str | None) -> None:
    assert why_end(ROCM, seen) == why


def test_without_a_limit_for_the_first_pass_the_engine_s_clock_ends_it() -> None:
    assert why_end(CUDA, Seen(now=99_999.0)) is None


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Seen(now=159.0, last_word=90.0, fault=100.0), None),
        (Seen(now=161.0, last_word=90.0, fault=100.0), "gpu fault"),
        (Seen(now=161.0, last_word=105.0, fault=100.0), None),
        (Seen(now=166.0, last_word=105.0, fault=100.0), "gpu fault"),
        (Seen(now=999.0, last_word=111.0, fault=100.0), None),
    ],
    ids=["not yet", "silent since", "its last word came just after", "and then none", "it went on: another's fault"],
)
@pytest.mark.parametrize("plan", [ROCM, CUDA], ids=["rocm", "cuda"])
def test_a_guest_that_is_silent_after_a_fault_is_ended(plan: Plan, seen: Seen, why: str | None) -> None:
    assert why_end(plan, seen) == why


# The watch, with the test's own clock, a journal of real bytes, and a log that says what the test wants


class FakeLog(FollowedLog):
    """A fake of the kernel's log."""

    def __init__(self) -> None:
        self.lines: tuple[KernelLine, ...] = ()
        self.looks = 0

    def glance(self) -> KernelText:
        self.looks += 1
        return KernelText(self.lines)


class Watched:
    """A launch that is watched second by second."""

    def __init__(self, folder: Path, plan: Plan = ROCM) -> None:
        self.now = 0.0
        self.exchange = folder
        self.log = FakeLog()
        self.watch = Watch(plan, folder, self.log, clock=lambda: self.now)

    def until(self, seconds: float) -> str | None:
        """Why it was ended by then; ``None``: it was not."""
        while self.now < seconds:
            self.now += 1.0
            if (why := self.watch.give_up()) is not None:
                return why
        return None


def test_the_hour_ends_with_the_first_pass(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_journal(tmp_path, journal_until("cold"))
    assert watched.until(3500.0) is None
    write_journal(tmp_path, [*journal_until("cold"), {"event": "end", "stage": "cold", "seconds": 3490.0}])
    assert watched.until(4650.0) is None
    assert watched.until(9999.0) == "time"
    assert 4700.0 <= watched.now <= 4705.0


def test_a_first_pass_that_never_ends_is_ended_after_an_hour(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_journal(tmp_path, journal_until("cold"))
    assert watched.until(9999.0) == "first pass"
    assert 3600.0 <= watched.now <= 3605.0


@pytest.mark.parametrize("fault", [RESET_THAT_SUCCEEDED, RESET_THAT_FAILED], ids=["a reset", "one that failed"])
def test_a_guest_that_spins_after_a_reset_is_ended_in_about_a_minute(tmp_path: Path, fault: str) -> None:
    watched = Watched(tmp_path)
    write_journal(tmp_path, journal_until("cold"))
    assert watched.until(100.0) is None
    watched.log.lines = lines_of(fault)
    assert watched.until(9999.0) == "gpu fault"
    assert watched.now <= 100 + KERNEL_SECONDS + 65


@pytest.mark.parametrize("fault", [PAGE_FAULT, RING_THAT_RECOVERED], ids=["a page fault", "a ring"])
def test_a_fault_of_another_process_ends_nothing(tmp_path: Path, fault: str) -> None:
    watched = Watched(tmp_path)
    write_journal(tmp_path, journal_until("cold"))
    assert watched.until(100.0) is None
    watched.log.lines = lines_of(fault)
    assert watched.until(3000.0) is None


def test_who_faulted_may_be_told_a_look_later(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_journal(tmp_path, journal_until("cold"))
    watched.log.lines = lines_of(PAGE_FAULT)[:1]
    assert watched.until(20.0) is None
    watched.log.lines = lines_of(PAGE_FAULT)
    assert watched.until(3000.0) is None


def test_a_guest_that_goes_on_after_a_fault_is_left_alone_and_a_second_fault_is_a_new_one(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_journal(tmp_path, journal_until("cold"))
    watched.log.lines = lines_of(RESET_THAT_SUCCEEDED)
    assert watched.until(40.0) is None
    write_journal(tmp_path, journal_until("warm"))
    assert watched.until(900.0) is None
    watched.log.lines += lines_of(RESET_THAT_FAILED)
    assert watched.until(9999.0) == "gpu fault"
    assert watched.now <= 900 + KERNEL_SECONDS + 65


def test_a_launch_without_a_gpu_does_not_look_into_the_kernel_s_log(tmp_path: Path) -> None:
    watched = Watched(tmp_path, a_plan(family="cpu"))
    watched.log.lines = lines_of(RESET_THAT_FAILED)
    assert watched.until(300.0) is None
    assert watched.log.looks == 0


# The journal as it grows


def test_a_journal_that_does_not_grow_is_not_read_again(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    assert tail.new_events() is None
    write_journal(tmp_path, passing_journal())
    events = tail.new_events()
    assert events is not None
    assert isinstance(events[-1], Done)
    (tmp_path / JOURNAL).chmod(0)
    assert tail.new_events() is None


def test_a_line_that_is_half_there_is_read_when_it_is_whole(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    line = b'{"event": "end", "at": 1.0, "stage": "cold"}\n'
    (tmp_path / JOURNAL).write_bytes(line[:20])
    assert tail.new_events() == ()
    (tmp_path / JOURNAL).write_bytes(line)
    assert tail.new_events() == (End(at=1.0, stage="cold"),)


def test_a_journal_that_is_written_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    write_journal(tmp_path, passing_journal())
    tail.new_events()
    write_journal(tmp_path, journal_until("import"))
    events = tail.new_events()
    assert events
    assert isinstance(events[0], Begin)


@pytest.mark.parametrize("kind", ["a link", "a pipe", "a folder"])
def test_what_stands_in_the_journal_s_place_is_no_journal(tmp_path: Path, kind: str) -> None:
    path = tmp_path / JOURNAL
    (tmp_path / "secret").write_text('{"event": "end", "stage": "cold"}\n')
    {"a link": lambda: path.symlink_to(tmp_path / "secret"), "a pipe": lambda: os.mkfifo(path), "a folder": path.mkdir}[kind]()
    assert JournalTail(tmp_path).new_events() is None
