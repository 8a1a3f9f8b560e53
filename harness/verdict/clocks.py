"""The times in a journal, held against each other and against the host's own clock -> what in them cannot be true. Pure.

A guest measures its passes by itself, and writes the Unix time of each event. So a pass must fit between its event and the one
before it, and it must fill that gap: what is said to take a microsecond does not take two seconds between two lines. The times of the
events can be made up as well, so the host notes, each second, how far the journal had come.

What an honest launch may show beyond its own work is small: here 1 to 8 ms between two events, nearly all of it the journal's own
`fsync`. A disk under load holds that up for much longer, and so do a swapping host and a stopped process. The tolerances are for
these, and a lie within them stays unseen. Durations of a guest are taken with a clock that runs at the same rate as that of the
events, so a duration can never be longer than its gap.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import msgspec

from harness.records.journal import Begin, End, Journal, Pass, Result
from harness.workloads.host_clock import HostClock, Sighting
from harness.workloads.workload import SHORTEST_PASS_SECONDS

SLACK_SECONDS = 0.1
"""By how much a duration may exceed its gap, or time run backwards: less than a daemon sets a clock by in one step
(systemd-timesyncd: 0.4 s)."""

HOST_SLACK_SECONDS = 1.0
"""By how much a journal may exceed the run by the host's clock: the host's call that starts a container may return after its guest
has begun."""

USUAL_SECONDS = 0.5
"""By how much the median gap may exceed the median pass. A hard disk under load takes a tenth of a second for each `fsync`. One pass
may be held up for longer; half of them are not."""

FEWEST_FOR_USUAL = 3
"""With fewer passes a single one that was held up is a half of them."""

STALL_SECONDS = 30.0
"""By how much any one gap may exceed what is said to have happened in it: for so long a full cache of a slow disk can block a writer."""

GAP_SHARE = 0.1
"""Likewise, as a share of what is said: long work swaps, and frees its memory for long."""

LATE_SECONDS = 10.0
"""How much later than its own time an event may become visible: a busy disk delays writes, and a virtual machine shows its files
late."""

MOST_OFFSET_SECONDS = 86_400.0
"""The clock of a virtual machine that slept with its host may be hours late. An offset changes no duration."""

SET_SECONDS = 0.2
"""If the host's two clocks differ by more over a launch, the clock was set, or the host slept: the times of events mean nothing then."""


class _Pass(msgspec.Struct, frozen=True):
    """One pass as the journal tells it. Times are Unix seconds."""

    since: float
    """The time of the event that it began after"""
    at: float
    said: float
    """What it is said to have taken"""


class _Stage(msgspec.Struct):
    """One stage as the journal tells it. Times are Unix seconds; 0: none that is a number, which is told elsewhere."""

    name: str
    begun: float
    seconds: float | None = None
    """What it is said to have taken; ``None``: it did not end"""
    ended: float = 0.0
    passes: list[_Pass] = msgspec.field(default_factory=list)
    are_results: bool = False
    """Whether its passes are results, between which more happens"""


def impossible_times(
    journal: Journal,
    *,
    clock: HostClock | None,
    run_seconds: float | None,
    shortest_pass_seconds: float,
    results_are_passes: bool = False,
) -> str | None:
    """What cannot be true of the times in the journal of a launch that ended well; ``None``: nothing.

    ``clock`` is what the host saw; ``None``: it did not see the launch to its end. ``run_seconds`` are by the host's clock too.
    """
    stages = _stages(journal, results_are_passes=results_are_passes)
    if isinstance(stages, str):
        return stages
    most = clock.seconds if clock is not None else run_seconds
    said = sum(stage.seconds or 0.0 for stage in stages)
    if most is not None and said > most + HOST_SLACK_SECONDS:
        return f"its stages took {said:.1f} s, longer than the {most:.1f} s that it ran"
    lie = _impossible_passes(stages, max(shortest_pass_seconds, SHORTEST_PASS_SECONDS))
    if lie or (clock is not None and was_set(clock)):
        return lie
    return _impossible_events(journal, most) or _impossible_gaps(stages) or _impossible_sightings(journal, clock)


def was_set(clock: HostClock) -> bool:
    """Whether the host's clock was set while a launch ran, or the host slept."""
    return abs(clock.ended - clock.begun - clock.seconds) > SET_SECONDS


def _stages(journal: Journal, *, results_are_passes: bool) -> list[_Stage] | str:
    """The stages in order, or what is wrong with their order."""
    stages: list[_Stage] = []
    names: set[str] = set()
    since = 0.0
    for event in journal.events:
        at = event.at or 0.0
        current = stages[-1] if stages and stages[-1].seconds is None else None
        if isinstance(event, Result) and results_are_passes and current is not None:
            if event.found.text("outcome") == "ok":
                current.are_results = True
                current.passes.append(_Pass(since, at, event.found.number("seconds") or 0.0))
            since = at
        elif isinstance(event, Begin):
            if current is not None or event.stage in names:
                return f"its stage {event.stage} begins within another, or twice"
            stages.append(_Stage(event.stage, at))
            names.add(event.stage)
            since = at
        elif isinstance(event, Pass | End):
            what = "pass" if isinstance(event, Pass) else "stage"
            if current is None or current.name != event.stage:
                return f"a {what} of {event.stage} ends outside the stage"
            if event.seconds is None or event.seconds < 0:
                return f"a {what} of {event.stage} took no time"
            if isinstance(event, End):
                current.seconds, current.ended = event.seconds, at
            else:
                current.passes.append(_Pass(since, at, event.seconds))
            since = at
    return stages


def _impossible_passes(stages: Sequence[_Stage], shortest: float) -> str | None:
    """What cannot be true of the passes, whatever any clock says."""
    for stage in stages:
        each = [one.said for one in stage.passes]
        if each and min(each) < shortest:
            return f"a pass took no time: {min(each):.3g} s, and no computer needs less than {shortest:.3g} s"
        if sum(each) > (stage.seconds or 0.0) + SLACK_SECONDS:
            return f"the passes of {stage.name} took {sum(each):.1f} s, longer than the stage, which took {stage.seconds:.1f} s"
    return None


def _impossible_events(journal: Journal, most: float | None) -> str | None:
    """What cannot be true of the times of the events."""
    times = [event.at for event in journal.events]
    ats = [at for at in times if at is not None]
    if len(ats) != len(times):
        return "an event has no time"
    if any(after < before - SLACK_SECONDS for before, after in itertools.pairwise(ats)):
        return "its time runs backwards"
    if ats and most is not None and ats[-1] - ats[0] > most + HOST_SLACK_SECONDS:
        return f"its events span {ats[-1] - ats[0]:.1f} s, longer than the {most:.1f} s that it ran"
    return None


def _impossible_gaps(stages: Sequence[_Stage]) -> str | None:
    """What is longer than the gap in which it is said to have happened, or far too short for it."""
    for what, said, seconds in _gaps(stages):
        if said > seconds + SLACK_SECONDS:
            return f"{what} took {said:.3g} s, but the journal shows only {seconds:.3g} s"
        if seconds > said * (1 + GAP_SHARE) + STALL_SECONDS:
            return f"{what} took {said:.3g} s, but the journal went on only after {seconds:.3g} s"
    for stage in stages:
        if len(stage.passes) >= FEWEST_FOR_USUAL and not stage.are_results:
            said = statistics.median(one.said for one in stage.passes)
            apart = statistics.median(one.at - one.since for one in stage.passes)
            if apart > said * (1 + GAP_SHARE) + USUAL_SECONDS:
                return f"the passes of {stage.name} took {said:.3g} s each, but came {apart:.3g} s apart"
    return None


def _gaps(stages: Sequence[_Stage]) -> list[tuple[str, float, float]]:
    """What is said to have happened between two events, the seconds that it is said to have taken, and those between the events."""
    gaps: list[tuple[str, float, float]] = []
    before = None
    for stage in stages:
        if before is not None:
            gaps.append((f"what came before {stage.name}", 0.0, stage.begun - before))
        gaps += [(f"a pass of {stage.name}", one.said, one.at - one.since) for one in stage.passes]
        gaps.append((f"the stage {stage.name}", stage.seconds or 0.0, stage.ended - stage.begun))
        if stage.passes and not stage.are_results:
            gaps.append((f"what came after the passes of {stage.name}", 0.0, stage.ended - stage.passes[-1].at))
        before = stage.ended
    return gaps


def _impossible_sightings(journal: Journal, clock: HostClock | None) -> str | None:
    """What the host did not see as the journal has it."""
    if clock is None or not journal.events:
        return None
    ats = [event.at or 0.0 for event in journal.events]
    if not clock.begun - MOST_OFFSET_SECONDS <= ats[0] <= clock.ended + MOST_OFFSET_SECONDS:
        return "its clock is more than a day off this host's"
    seen = [at for sighting in clock.sightings for at in sighting.ats]
    if seen != [event.at for event in journal.events[: len(seen)]]:
        return "it was written anew while it ran"
    last = clock.sightings[-1].by if clock.sightings else 0.0
    unseen = Sighting(after=last, by=clock.seconds, ats=tuple(ats[len(seen) :]))
    # Each event was written between two looks, by one and the same offset between the guest's clock and the host's.
    least, most, position = -math.inf, math.inf, 0
    for sighting in (*clock.sightings, unseen):
        own = ats[position : position + len(sighting.ats)]
        position += len(own)
        if own:
            least = max(least, own[-1] - sighting.by - SLACK_SECONDS)
            most = min(most, own[0] - sighting.after + LATE_SECONDS)
    return f"its events came {least - most:.1f} s before or after what their times allow" if least > most else None
