"""What a watch notes of the journal as it grows, for `harness.verdict.clocks`."""

from __future__ import annotations

import contextlib
from pathlib import Path

from benchmarks.wire import JOURNAL
from harness.launch.watch import Watch
from harness.machine.kernel_log import KernelLog
from harness.workloads.host_clock import Sighting
from tests.unit.samples import a_plan


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_event_is_noted_with_the_looks_between_which_it_came(tmp_path: Path) -> None:
    clock, journal = Clock(), tmp_path / JOURNAL
    with contextlib.closing(KernelLog(device=str(tmp_path / "none")).follow()) as log:
        watch = Watch(a_plan(), tmp_path, log, clock=clock)
    clock.now = 101.0
    watch.give_up()
    assert watch.sightings == ()
    journal.write_text('{"event": "begin", "stage": "launch", "at": 7.5}\n{"event": "end", "at": null}\n{"event": "be')
    clock.now = 102.0
    watch.give_up()
    clock.now = 103.0
    watch.give_up()
    with journal.open("a") as stream:
        stream.write('gin", "at": 9}\n')
    clock.now = 104.5
    watch.give_up()
    assert watch.sightings == (Sighting(after=1.0, by=2.0, ats=(7.5, None)), Sighting(after=3.0, by=4.5, ats=(9,)))


def test_a_journal_that_is_written_anew_for_ever_does_not_fill_the_host_s_memory(tmp_path: Path) -> None:
    with contextlib.closing(KernelLog(device=str(tmp_path / "none")).follow()) as log:
        watch = Watch(a_plan(), tmp_path, log, clock=Clock(), most_events=20)
    for size in range(9, 0, -1):
        (tmp_path / JOURNAL).write_text('{"event":"end"}\n' * size)
        watch.give_up()
    assert [len(sighting.ats) for sighting in watch.sightings] == [9, 8, 7], "24 are more than a journal can hold"
