from __future__ import annotations

import io
import sys
import threading
import time

import msgspec
from rich.console import Console

from harness.commands.progress import QUIET_SECONDS, Progress, progress_text, saying_text
from harness.records.outcome import Decision
from harness.records.plan import StoppingRule
from tests.unit.samples import a_failed_launch, a_launch, a_link, a_plan

UNTIL = StoppingRule(launches=50, until=0.02)


def said(rule: StoppingRule | None, decision: Decision | None) -> str:
    return progress_text(msgspec.structs.replace(a_launch(a_plan(stopping=rule)), decision=decision))


def test_how_precise_a_cell_is_by_now_is_said() -> None:
    assert said(UNTIL, Decision(half_width=0.0314, values=7)) == "  (±3.14%, n = 7)"
    assert said(UNTIL, Decision(values=2)) == "  (no interval yet, n = 2)"


def test_why_a_launch_is_its_cell_s_last_is_said() -> None:
    ended = Decision(stop="precise", half_width=0.015, values=9)
    assert said(UNTIL, ended) == "  (±1.5%, n = 9; done: precise enough: half-width 1.5%, 2% was asked for)"


def test_a_fixed_number_of_launches_needs_no_words_unless_a_budget_cut_it() -> None:
    fixed = StoppingRule(launches=3, budget_seconds=60.0)
    assert said(fixed, Decision(values=2)) == said(fixed, Decision(stop="launches", values=3)) == ""
    assert "the budget of 1 min is spent" in said(fixed, Decision(stop="budget", values=2))
    assert said(None, None) == ""


def test_the_line_of_a_launch_holds_it() -> None:
    stream = io.StringIO()
    launch = msgspec.structs.replace(a_launch(a_plan(stopping=UNTIL)), decision=Decision(half_width=0.0314, values=7))
    Progress(Console(file=stream, highlight=False)).ended(launch)
    assert stream.getvalue().rstrip().endswith("14.3x  (±3.14%, n = 7)")


def test_a_name_with_a_newline_or_a_terminal_s_signs_stays_on_its_line() -> None:
    stream = io.StringIO()
    progress = Progress(Console(file=stream, highlight=False))
    progress.announce("left out: a\nb\x1b[2J\u202e.wav: why")
    progress.ended(a_failed_launch(a_plan(image="a\nb"), chain=[a_link("OSError", "one\ntwo")]))
    first, second = stream.getvalue().splitlines()
    assert first == "left out: a b.wav: why"
    assert "a b/" in second
    assert "one two" in second


def test_a_long_silence_shows_that_something_is_at_work() -> None:
    assert saying_text("STEP 7/12: RUN pip install", QUIET_SECONDS - 1) == "STEP 7/12: RUN pip install"
    assert saying_text("STEP 7/12: RUN pip install", 42) == "(no output for 42 s) STEP 7/12: RUN pip install"
    assert saying_text("STEP 7/12: RUN pip install", 754.9) == "(no output for 12 min 34 s) STEP 7/12: RUN pip install"


def test_what_is_said_moves_on_a_terminal_alone_and_what_is_announced_stays_anywhere() -> None:
    stream = io.StringIO()
    progress = Progress(Console(file=stream, highlight=False))
    progress.say("fetching b: 1.2 of 10.4 GB")
    progress.announce("b has a layer of 7.9 GB")
    assert stream.getvalue() == "b has a layer of 7.9 GB\n"


def test_builds_that_talk_at_once_leave_no_moving_line_behind() -> None:
    progress = Progress(Console(file=io.StringIO(), force_terminal=True))
    before, interval = threading.active_count(), sys.getswitchinterval()

    def talk(name: str) -> None:
        for number in range(50):
            progress.say(f"{name} {number}")
            progress.announce(f"{name} {number}")

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    progress.stop()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:  # each moving line has a thread, told to end
        time.sleep(0.01)
    assert threading.active_count() == before
