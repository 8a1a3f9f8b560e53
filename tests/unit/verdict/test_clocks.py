"""A table of lies about time, and of what is none although it is odd. No time here was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from harness.records.journal import read
from harness.records.outcome import ExitRecord
from harness.verdict.clocks import LATE_SECONDS, STALL_SECONDS, USUAL_SECONDS, impossible_times, was_set
from harness.workloads.host_clock import HostClock, Sighting
from tests.unit.samples import BEGUN, Event, judged, passing_journal

HONEST = passing_journal()
LENGTH = HONEST[-1]["at"] - HONEST[0]["at"]
"""Stages of 1, 1, 1, 0.7, 3, 6.3 and 1 s"""

START = 0.25
"""Seconds from the host's request to the guest's first line"""

Change = Callable[[list[Event]], None]


def a_clock(**changes: Any) -> HostClock:
    """What the host's clocks say of the honest launch, which it looked at each second."""
    seconds = START + LENGTH + 0.5
    made: dict[str, Any] = {"begun": BEGUN - START, "ended": BEGUN - START + seconds, "seconds": seconds}
    return HostClock(**{**made, "sightings": sightings_of(HONEST), **changes})


def sightings_of(journal: Sequence[Event], *, late: float = 0.0, offset: float = 0.0) -> tuple[Sighting, ...]:
    """The looks of a host that looks each second. Events become visible ``late`` seconds after they were written, and the clock
    that they are written by is ahead of the host's by ``offset``."""
    found: list[Sighting] = []
    seen = 0
    for second in range(1, int(journal[-1]["at"] - BEGUN + START + late) + 2):
        visible = [event for event in journal if event["at"] - BEGUN + START + late <= second]
        if len(visible) > seen:
            ats = tuple(event["at"] + offset for event in visible[seen:])
            found.append(Sighting(after=second - 1.0, by=second + 0.01, ats=ats))
            seen = len(visible)
    return tuple(found)


def told(journal: Sequence[Event], clock: HostClock | None = None, *, run_seconds: float | None = None) -> str | None:
    return impossible_times(read(journal), clock=clock, run_seconds=run_seconds, shortest_pass_seconds=3e-4)


def changed_of(journal: Sequence[Event], change: Change) -> list[Event]:
    """A journal with a change."""
    events = [dict(event) for event in journal]
    change(events)
    return events


def changed(change: Change) -> list[Event]:
    """The honest journal with a change."""
    return changed_of(HONEST, change)


def of(events: list[Event], kind: str, stage: str, number: int = 0) -> Event:
    """One event of a journal."""
    return [event for event in events if event["event"] == kind and event.get("stage") == stage][number]


def said_of_each_pass(seconds: float) -> Change:
    """Each pass and the stages around them are said to have taken so long; the events keep their times."""

    def change(events: list[Event]) -> None:
        for event in events:
            if event["event"] == "pass":
                event["seconds"] = seconds

    return change


def late_from(kind: str, stage: str, seconds: float, *, whole: str = "") -> Change:
    """All events from one on come later, and a stage says that it took so much longer."""

    def change(events: list[Event]) -> None:
        first = events.index(of(events, kind, stage))
        for event in events[first:]:
            event["at"] += seconds
        if whole:
            of(events, "end", whole)["seconds"] += seconds

    return change


def put(kind: str, stage: str, field: str, value: Any, number: int = 0) -> Change:
    def change(events: list[Event]) -> None:
        of(events, kind, stage, number)[field] = value

    return change


def both(one: Change, other: Change) -> Change:
    def change(events: list[Event]) -> None:
        one(events)
        other(events)

    return change


def moved(kind: str, stage: str, before: tuple[str, str]) -> Change:
    """One event stands before another, whose time it takes."""

    def change(events: list[Event]) -> None:
        event, other = of(events, kind, stage), of(events, *before)
        events.remove(event)
        event["at"] = other["at"]
        events.insert(events.index(other), event)

    return change


def test_an_honest_launch_has_nothing_that_cannot_be_true() -> None:
    assert told(HONEST) is None
    assert told(HONEST, run_seconds=LENGTH) is None
    assert told(HONEST, a_clock()) is None


LIES: dict[str, tuple[Change, str]] = {
    "all passes are said to be short": (said_of_each_pass(0.2), "the passes of warm took 0.2 s each, but came 2.1 s apart"),
    "a microsecond each": (said_of_each_pass(1.1e-6), "a pass took no time: 1.1e-06 s"),
    "a microsecond in one": (put("pass", "warm", "seconds", 1.1e-6), "no computer needs less"),
    "below zero": (put("pass", "warm", "seconds", -2.0), "a pass of warm took no time"),
    "no number": (put("pass", "warm", "seconds", "2"), "a pass of warm took no time"),
    "one pass is said to be longer than its gap": (
        both(put("pass", "warm", "seconds", 2.5), put("pass", "warm", "seconds", 1.7, 2)),
        "a pass of warm took 2.5 s, but the journal shows only 2 s",
    ),
    "passes that are longer than their stage": (put("pass", "warm", "seconds", 4.0), "longer than the stage"),
    "a cold pass is said to be short": (
        late_from("pass", "cold", 120.0, whole="cold"),
        "a pass of cold took 3 s, but the journal went on only after 123 s",
    ),
    "a stage that is said to be short": (late_from("end", "load", 90.0), "the stage load took 0.7 s, but the journal went on"),
    "a stage that is said to be long": (
        put("end", "load", "seconds", 2.0),
        "the stage load took 2 s, but the journal shows only",
    ),
    "a stage that took no time": (put("end", "load", "seconds", None), "a stage of load took no time"),
    "time between two stages": (late_from("begin", "verify", 40.0), "what came before verify took 0 s, but"),
    "time after the last pass": (
        late_from("end", "warm", 40.0, whole="warm"),
        "what came after the passes of warm took 0 s, but",
    ),
    "time runs backwards": (put("pass", "warm", "at", BEGUN, 1), "its time runs backwards"),
    "an event in the future": (put("pass", "warm", "at", BEGUN + 1e6, 1), "its time runs backwards"),
    "an event without a time": (put("begin", "load", "at", None), "an event has no time"),
    "an event whose time is no number": (put("begin", "load", "at", "noon"), "an event has no time"),
    "a pass before its stage": (moved("pass", "warm", ("end", "load")), "a pass of warm ends outside the stage"),
    "a pass after its stage": (moved("pass", "cold", ("begin", "verify")), "a pass of cold ends outside the stage"),
    "a stage that never began": (lambda events: events.remove(of(events, "begin", "load")), "a stage of load ends outside"),
    "a stage within another": (moved("begin", "warm", ("pass", "cold")), "its stage warm begins within another"),
    "a stage that begins twice": (
        lambda events: events.insert(events.index(of(events, "begin", "cold")), dict(of(events, "begin", "load"))),
        "its stage load begins within another, or twice",
    ),
}


@pytest.mark.parametrize(("change", "said"), LIES.values(), ids=LIES)
def test_a_lie_about_time_is_told(change: Change, said: str) -> None:
    for clock in (None, a_clock(ended=BEGUN + 1e4, seconds=1e4 + START, sightings=())):
        lie = told(changed(change), clock)
        assert lie is not None
        assert said in lie


def squeezed(*, true_cold: float) -> HostClock:
    """What the host saw of a launch that was longer in truth than its journal, `HONEST`, says."""
    true = passing_journal(cold=true_cold)
    times = {event["at"]: honest["at"] for event, honest in zip(true, HONEST, strict=True)}
    seen = tuple(Sighting(after=each.after, by=each.by, ats=tuple(times[at] for at in each.ats)) for each in sightings_of(true))
    seconds = START + true[-1]["at"] - BEGUN + 0.5
    return a_clock(ended=BEGUN - START + seconds, seconds=seconds, sightings=seen)


HOST_S_OWN: dict[str, tuple[HostClock, str]] = {
    "stages longer than the run": (a_clock(seconds=5.0, ended=BEGUN - START + 5.0), "longer than the 5.0 s that it ran"),
    "a clock that is days off": (a_clock(begun=BEGUN + 2e5, ended=BEGUN + 2e5 + a_clock().seconds), "more than a day off"),
    "a journal that was written anew": (
        a_clock(sightings=(Sighting(after=0.0, by=1.0, ats=(BEGUN, BEGUN + 0.5)),)),
        "it was written anew",
    ),
    "a journal that lost what was seen of it": (
        a_clock(sightings=(Sighting(after=0.0, by=99.0, ats=(*(event["at"] for event in HONEST), BEGUN + 99)),)),
        "it was written anew",
    ),
    "a minute that its times leave out": (squeezed(true_cold=63.0), "before or after what their times allow"),
    "all written at the end": (
        a_clock(sightings=(Sighting(after=START + LENGTH, by=START + LENGTH + 0.4, ats=tuple(e["at"] for e in HONEST)),)),
        "before or after what their times allow",
    ),
}


@pytest.mark.parametrize(("clock", "said"), HOST_S_OWN.values(), ids=HOST_S_OWN)
def test_a_lie_that_only_the_host_s_clock_tells(clock: HostClock, said: str) -> None:
    assert told(HONEST) is None, "by itself it can be true"
    lie = told(HONEST, clock)
    assert lie is not None
    assert said in lie


def test_events_that_span_more_than_the_run_are_a_lie() -> None:
    lie = told(changed(late_from("begin", "verify", 20.0)), run_seconds=LENGTH)
    assert lie is not None
    assert "its events span" in lie


def later(events: list[Event], seconds: float) -> list[Event]:
    return [{**event, "at": event["at"] + seconds} for event in events]


def held_up(seconds: float, *, first: int = 0, last: int = 99) -> Change:
    """The events come later and later, from one to another, by so much each."""

    def change(events: list[Event]) -> None:
        for number, event in enumerate(events):
            event["at"] += seconds * min(max(number - first, 0), last - first)

    return change


ODD: dict[str, list[Event]] = {
    "a disk that takes a third of a second for each event": changed(held_up(USUAL_SECONDS * 0.66)),
    "a disk that is full once": changed(late_from("pass", "cold", STALL_SECONDS - 1)),
    "a disk that holds one pass of three up": changed(late_from("pass", "warm", STALL_SECONDS - 1)),
    "a clock that steps back by some milliseconds": changed(late_from("begin", "warm", -0.05)),
    "a fourth pass that nobody is told of": [*HONEST, {"event": "note", "at": HONEST[-1]["at"], "text": "warm"}],
    "nothing but a probe": list(passing_journal(last_stage="device")),
    "a single warm pass that was held up": changed_of(passing_journal(warm=(2.0,)), late_from("pass", "warm", 5.0)),
    "an hour of which a tenth is swapping": changed_of(passing_journal(warm=(3600.0,) * 3), held_up(300.0, first=15, last=18)),
}


@pytest.mark.parametrize("journal", ODD.values(), ids=ODD)
def test_what_a_disk_or_a_daemon_does_is_no_lie(journal: list[Event]) -> None:
    length = journal[-1]["at"] - journal[0]["at"]
    seconds = START + length + 0.5
    clock = a_clock(ended=BEGUN - START + seconds, seconds=seconds, sightings=sightings_of(journal))
    assert told(journal) is None
    assert told(journal, clock) is None


def test_a_virtual_machine_s_clock_may_be_off_by_any_time_up_to_a_day() -> None:
    for offset in (-80_000.0, -3.0, 3.0, 3600.0):
        ours = a_clock(sightings=sightings_of(HONEST, offset=offset))
        assert told(later(list(HONEST), offset), ours) is None


def test_a_virtual_machine_may_show_its_files_late() -> None:
    late = sightings_of(HONEST, late=LATE_SECONDS - 2)
    assert told(HONEST, a_clock(seconds=60.0, ended=BEGUN - START + 60.0, sightings=late)) is None


def test_where_the_host_s_clock_was_set_the_times_of_events_mean_nothing_and_the_sums_still_do() -> None:
    odd = changed(late_from("begin", "warm", -3600.0))
    clock = a_clock(ended=a_clock().ended - 3600.0)
    assert was_set(clock)
    assert told(odd, clock) is None
    assert told(odd) == "its time runs backwards"
    assert told(changed(put("pass", "warm", "seconds", 60.0)), clock) is not None
    assert not was_set(a_clock())


def test_the_judge_holds_a_launch_to_its_clock() -> None:
    verdict = judged(changed(said_of_each_pass(0.2)), ExitRecord(started=True, code=0, run_seconds=60.0))
    assert (verdict.status, verdict.cause) == ("fail", "error")
    assert verdict.summary == "the journal cannot be true: the passes of warm took 0.2 s each, but came 2.1 s apart"


def test_a_probe_is_held_to_its_clock_too() -> None:
    short = [dict(event) for event in passing_journal(last_stage="device")]
    late_from("end", "import", 60.0)(short)
    assert "the stage import took 1 s, but" in judged(short, last_stage="device").summary
