"""Launch -> what its time was spent on, in parts that sum to the whole. Pure.

The whole is `Launch.wall_seconds`: from the order to start until the engine had removed the container. Time that no part claims
becomes a part of its own, named for where it lies: ``rest`` inside a stage, ``between stages``, ``teardown``. The journal comes
out of the image and may say anything: where its parts cannot be true, the launch has a ``flaw`` instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from harness.records.journal import End, Failed, Pass
from harness.records.launch import Launch
from harness.workloads.workload import Workload, workload_of

TOLERANCE = 0.01
"""A share of the whole. Parts are timed on another clock than the whole and may be off by this much."""

PASSES = ("cold", "warm")

UNKNOWN_PARTS_NAME = "other parts"
"""Parts whose names we do not know are summed under this name, since names come out of the image."""

REST = "rest"
"""What the other parts leave of a stage or a pass."""


class Part(msgspec.Struct, frozen=True):
    """One step of the waterfall."""

    stage: str
    """``container start``, a stage of the workload, ``between stages``, ``teardown``"""
    name: str
    """As the workload calls it, `REST` or `UNKNOWN_PARTS_NAME`; empty: the stage has no parts"""
    seconds: float
    processor_seconds: float | None
    """Over all threads; ``None``: not known"""
    share: float
    """Share of the whole launch"""


class Waterfall(msgspec.Struct, frozen=True, kw_only=True):
    """One launch's time."""

    wall_seconds: float
    warm_passes: int = 0
    parts: tuple[Part, ...] = ()
    flaw: str | None = None
    """Why there are no parts: what cannot be true in the journal; ``None``: nothing"""

    @property
    def share(self) -> float:
        """The shares of all parts together: 1 within `TOLERANCE`; 0 where there is a flaw."""
        return sum(part.share for part in self.parts)

    def seconds(self, stage: str, name: str | None = None) -> float:
        """Seconds of one stage, or of one part of it; 0 where the launch did not get that far."""
        return sum(part.seconds for part in self.parts if part.stage == stage and name in (None, part.name))

    def processor_seconds(self, stage: str, name: str | None = None) -> float | None:
        """Processor seconds likewise; ``None`` where those of a part are not known."""
        found = [part.processor_seconds for part in self.parts if part.stage == stage and name in (None, part.name)]
        known = [seconds for seconds in found if seconds is not None]
        return sum(known) if found and len(known) == len(found) else None


class _Impossible(Exception):  # noqa: N818 - it says what cannot be
    """Something in a journal cannot be true."""


def waterfall_of(launch: Launch) -> Waterfall | None:
    """A launch's waterfall; ``None`` where there is nothing to divide: it never started, its whole time is not known, or the
    guest did not finish."""
    whole, start, said = launch.wall_seconds, launch.start_seconds, launch.said
    if whole is None or start is None or said.done is None or not whole > 0:
        return None
    try:
        if not -TOLERANCE * whole <= start <= (1 + TOLERANCE) * whole:
            raise _Impossible(f"its first line is not of the {whole:.2f} s that it ran")
        parts = tuple(_parts(launch, whole, start, _span(said.first_at, said.done.at, whole)))
        share = sum(part.share for part in parts)
        if abs(share - 1) > TOLERANCE:
            raise _Impossible(f"its parts sum to {share:.1%} of the {whole:.2f} s that it ran")
    except _Impossible as impossible:
        return Waterfall(wall_seconds=whole, flaw=str(impossible))
    return Waterfall(wall_seconds=whole, warm_passes=len(said.passes("warm")), parts=parts)


def _parts(launch: Launch, whole: float, start: float, span: float) -> Iterator[Part]:
    """The parts in order of time. Raises `_Impossible`."""
    said, workload = launch.said, workload_of(launch.plan)
    ends = [event for event in said.events if isinstance(event, End | Failed) and event.stage in workload.all_stages]
    if len({event.stage for event in ends}) != len(ends):
        raise _Impossible("a stage ended twice")
    before = ends[0].found.number("processor_seconds_before") if ends and isinstance(ends[0], End) else None
    yield _part("container start", "", start, _processor(before), whole)
    claimed = 0.0
    for event in ends:
        claimed += _seconds(event.seconds, f"stage {event.stage}", whole)
        inside = said.passes(event.stage) if event.stage in PASSES else [event] if isinstance(event, End) else []
        yield from _stage_parts(workload, event, inside, whole)
    yield _part("between stages", "", span - claimed, None, whole)
    yield _part("teardown", "", whole - start - span, None, whole)


def _stage_parts(workload: Workload, end: End | Failed, inside: Sequence[End | Pass], whole: float) -> Iterator[Part]:
    """A stage's parts, summed over the events in ``inside`` (its passes, or its own end); the remainder is ``rest``."""
    stage = end.stage
    seconds = _seconds(end.seconds, f"stage {stage}", whole)
    processor = _processor(end.processor_seconds) if isinstance(end, End) else None
    wall: dict[str, float] = {}
    spent: dict[str, float] = {}
    told = True
    for event in inside:
        known = workload.called(event.parts)
        names = {name: known.get(name, REST if name == REST else UNKNOWN_PARTS_NAME) for name in event.parts}
        for name in event.parts:
            took = _seconds(event.parts.number(name), f"{names[name]} in {stage}", whole)
            wall[names[name]] = wall.get(names[name], 0.0) + took
            found = _processor(event.processor_parts.number(name))
            told = told and found is not None
            spent[names[name]] = spent.get(names[name], 0.0) + (found or 0.0)
    if not wall:
        yield _part(stage, "", seconds, processor, whole)
        return
    rest = seconds - (sum(wall.values()) - wall.pop(REST, 0.0))
    processor_rest = processor - (sum(spent.values()) - spent.pop(REST, 0.0)) if told and processor is not None else None
    order = (*workload.load_parts, *workload.pass_parts, *workload.old_parts, UNKNOWN_PARTS_NAME)
    for name in sorted(wall, key=order.index):
        yield _part(stage, name, wall[name], spent[name] if told else None, whole)
    # Clocks of processor time differ a little, so a small negative remainder counts as 0.
    yield _part(stage, REST, rest, None if processor_rest is None else max(0.0, processor_rest), whole)


def _part(stage: str, name: str, seconds: float, processor_seconds: float | None, whole: float) -> Part:
    """One part. Raises `_Impossible` where its time is further below zero than clocks may differ."""
    where = f"{name} in {stage}" if name else stage
    if seconds < -TOLERANCE * whole:
        left = f"{seconds:.2f} s" if seconds > -10 * whole else "far less than nothing"
        raise _Impossible(f"what is left for {where} is {left}: the parts are longer than the {whole:.2f} s that it ran")
    return Part(stage, name, max(0.0, seconds), processor_seconds, max(0.0, seconds) / whole)


def _span(begun: float | None, ended: float | None, whole: float) -> float:
    """Seconds from the guest's first line to its last. Raises `_Impossible`."""
    if begun is None or ended is None:
        raise _Impossible("the journal does not say when it began and ended")
    if ended < begun:
        raise _Impossible("its last line is from before its first")
    if ended - begun > (1 + TOLERANCE) * whole:
        raise _Impossible(f"its lines are further apart than the {whole:.2f} s that it ran")
    return ended - begun


def _seconds(value: float | None, what: str, whole: float) -> float:
    """A time out of the journal. Raises `_Impossible` where it is none, or longer than the launch. The message does not quote
    the value: a container chose it, and it may have any number of digits."""
    if value is None:
        raise _Impossible(f"{what} took no number of s")
    if value < 0:
        raise _Impossible(f"{what} took less than no time")
    if value > (1 + TOLERANCE) * whole:
        raise _Impossible(f"{what} took longer than the {whole:.2f} s that it ran")
    return value


def _processor(seconds: float | None) -> float | None:
    """Processor seconds; ``None`` where they are missing or impossible, which is no flaw: nothing else depends on them."""
    return None if seconds is None or seconds < 0 else seconds
