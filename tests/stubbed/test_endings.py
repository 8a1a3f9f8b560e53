"""`bench` that is interrupted, told to end, killed, or whose launch is: nothing finished is lost and nothing is left.

The guest is a stub's (`tests.stubbed.workplaces`). The same with real containers: tests/engines/test_bench.py and test_kill.py.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.guest.stubs import Stubs
from tests.stubbed.workplaces import ENDED_SECONDS, PIPELINE, Hang, StubbedWorkplace, guests_of


def test_an_interrupted_bench_leaves_a_whole_store_and_no_process(tmp_path: Path) -> None:
    hang = Hang(tmp_path)
    place = StubbedWorkplace(tmp_path, hang.stubs)
    assert place.bench().code == 0
    with place.benching() as process:
        place.wait_for_launches(2)
        hang.begin()
        hang.wait()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=ENDED_SECONDS) == 130
    assert "interrupted; every finished launch is in the store" in place.real.talk.read_text()
    causes = [launch.verdict.cause for launch in place.real.stored()]
    assert len(causes) >= 3
    assert causes == [None] * (len(causes) - 1) + ["interrupted"]
    assert place.real.journals() == []
    assert not guests_of(place.real)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_bench_that_is_told_to_end_stores_its_launch_and_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    hang = Hang(tmp_path)
    hang.begin()
    place = StubbedWorkplace(tmp_path, hang.stubs)
    with place.benching() as process:
        hang.wait()
        assert guests_of(place.real)
        process.send_signal(number)
        assert process.wait(timeout=ENDED_SECONDS) == 130
    assert "interrupted; every finished launch is in the store" in place.real.talk.read_text()
    assert [launch.verdict.cause for launch in place.real.stored()] == ["interrupted"]
    assert place.real.journals() == []
    assert not guests_of(place.real)


def test_a_killed_bench_is_recovered_by_the_next(tmp_path: Path) -> None:
    hang = Hang(tmp_path)
    hang.begin()
    place = StubbedWorkplace(tmp_path, hang.stubs)
    with place.benching():
        hang.wait()
    assert guests_of(place.real)
    hang.end()
    done = place.bench()
    assert done.code == 0, done.stderr
    assert "recovered launch" in done.stderr
    first, second = place.real.stored()
    assert (first.verdict.cause, second.verdict.status) == ("interrupted", "pass")
    assert not guests_of(place.real)


def test_a_launch_that_takes_too_long_is_killed_and_recorded(tmp_path: Path) -> None:
    hang = Hang(tmp_path)
    hang.begin()
    place = StubbedWorkplace(tmp_path, hang.stubs)
    assert place.bench("--timeout", "1").code == 1
    (launch,) = place.real.stored()
    assert launch.verdict.cause == "timeout"
    assert not guests_of(place.real)


def test_a_memory_limit_ends_in_its_own_verdict(tmp_path: Path) -> None:
    place = StubbedWorkplace(tmp_path, Stubs(misbehave={"pass 0": "held = bytearray(1 << 30)"}))
    assert place.bench("--memory", "512m").code == 1
    (launch,) = place.real.stored()
    assert (launch.verdict.status, launch.verdict.cause, launch.verdict.stage) == ("fail", "out of memory", "cold")


def test_a_native_crash_costs_one_recording_of_a_corpus_and_the_page_says_so(tmp_path: Path) -> None:
    crash = {"pass 1": "os.kill(os.getpid(), signal.SIGSEGV)"}  # as a GPU's library dies: in the process, without an exception
    place = StubbedWorkplace(tmp_path, Stubs(misbehave=crash))
    corpus = place.corpus("a", "b", "c")
    done = place.real.run(
        *("accuracy", "local-cpu", "--pipeline", PIPELINE, "--corpus", str(corpus), "--report", str(place.real.page))
    )
    assert done.code == 1, done.stderr
    assert "going on after it" in done.stderr
    first, second = place.real.stored()
    assert (first.verdict.cause, second.verdict.status) == ("crash", "pass")
    assert [each.count("index") for each in second.said.results if each.text("outcome") == "ok"] == [2]
    rows = {line.split("|")[1].strip(): line for line in done.stdout.splitlines() if line.startswith("| ")}
    assert [rows[name].split("|")[-2].strip() for name in "abc"] == ["ok", "died", "ok"]
    assert "b: died: the process ended in it: died of SIGSEGV in accuracy" in done.stdout
    page = place.real.page.read_text()
    assert "## Accuracy on corpora" in page
    assert "- b: died. the process ended in it: died of SIGSEGV in accuracy" in page
