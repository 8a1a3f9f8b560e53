"""A guest's journal -> typed events: ``read(events)``. Pure.

It is typed here and in `harness.records.fields`, and nowhere else. A value that is not of its type is ``None`` or empty, an event of
an unknown kind is left out, and nothing raises. `benchmarks.wire` says what each event means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from harness.records.fields import Fields as Fields
from harness.records.fields import number as number
from harness.records.outcome import ExceptionRecord


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What every event has."""

    at: float | None = None
    """Unix seconds by the guest's clock; ``None``: it does not say"""


class Begin(Event, frozen=True, kw_only=True):
    """A stage began."""

    stage: str = ""


class End(Event, frozen=True, kw_only=True):
    """A stage ended well."""

    stage: str = ""
    seconds: float | None = None
    processor_seconds: float | None = None
    """Over all threads"""
    parts: Fields = Fields()
    """Seconds of each part of the stage, by name"""
    processor_parts: Fields = Fields()
    """Processor seconds likewise"""
    found: Fields = Fields()
    """What the stage found out"""


class Failed(Event, frozen=True, kw_only=True):
    """A stage ended in an exception."""

    stage: str = ""
    seconds: float | None = None
    chain: tuple[ExceptionRecord, ...] = ()
    """Outermost first"""


class Import(Event, frozen=True, kw_only=True):
    """A package is about to be imported, or was."""

    name: str = ""
    needed: bool | None = None
    outcome: str = ""
    """``trying``, ``ok``, ``absent`` or ``failed``; the journal may say anything"""
    version: str | None = None
    chain: tuple[ExceptionRecord, ...] = ()


class Pass(Event, frozen=True, kw_only=True):
    """One call of what a launch measures."""

    stage: str = ""
    """``cold`` or ``warm``"""
    index: int | None = None
    seconds: float | None = None
    processor_seconds: float | None = None
    parts: Fields = Fields()
    processor_parts: Fields = Fields()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How far a step's result lies from that of the CPU. ``None``: something is not finite, or it is not said."""

    max_absolute: float | None = None
    max_relative: float | None = None
    """A share of the largest magnitude on the CPU"""
    tolerance: float | None = None
    """The largest ``max_relative`` that is right"""


class Step(Event, frozen=True, kw_only=True):
    """A step of the probe is about to be run, or was."""

    name: str = ""
    outcome: str = ""
    """One of `benchmarks.wire.OUTCOMES`; the journal may say anything"""
    first_seconds: float | None = None
    best_seconds: float | None = None
    difference: Difference | None = None
    """``None``: the result was compared with nothing"""
    notes: tuple[str, ...] = ()
    chain: tuple[ExceptionRecord, ...] = ()
    exit_code: int | None = None
    signal: str = ""
    """The signal that ended the step, by name"""
    tail: str = ""
    """The end of what the step printed"""
    found: Fields = Fields()
    """What else it says, such as its ``shape`` or ``reason``"""


class Result(Event, frozen=True, kw_only=True):
    """One finding of a workload, such as a file of a corpus."""

    found: Fields = Fields()


class Note(Event, frozen=True, kw_only=True):
    """Something worth telling that is no failure."""

    text: str = ""


class Done(Event, frozen=True, kw_only=True):
    """The guest had nothing more to say."""

    peak_resident_bytes: int | None = None


E = TypeVar("E", bound=Event)


class Journal(msgspec.Struct, frozen=True):
    """What a guest told, in its order."""

    events: tuple[Event, ...] = ()

    def of(self, kind: type[E]) -> tuple[E, ...]:
        """The events of one kind."""
        return tuple(event for event in self.events if isinstance(event, kind))

    def ends(self, stage: str) -> End | None:
        """The end of a stage; ``None`` where it did not end well."""
        return next((end for end in self.of(End) if end.stage == stage), None)

    def found(self, stage: str) -> Fields:
        """What a stage found out; empty where it did not end well."""
        end = self.ends(stage)
        return end.found if end else Fields()

    def passes(self, stage: str) -> tuple[Pass, ...]:
        """The passes of ``cold`` or ``warm``."""
        return tuple(each for each in self.of(Pass) if each.stage == stage)

    @property
    def begun(self) -> tuple[Begin, ...]:
        """The stages that began."""
        return self.of(Begin)

    @property
    def imports(self) -> dict[str, Import]:
        """The last event of each import, by name."""
        return {each.name: each for each in self.of(Import)}

    def version_of(self, package: str) -> str | None:
        """The version of an imported package; ``None``: it was not tried, or does not say."""
        tried = self.imports.get(package)
        return (tried.version or None) if tried else None

    @property
    def steps(self) -> dict[str, Step]:
        """The last event of each step of the probe, by name; the journal may name any."""
        return {each.name: each for each in self.of(Step)}

    @property
    def results(self) -> tuple[Fields, ...]:
        """What a workload found, one for each result."""
        return tuple(result.found for result in self.of(Result))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the guest noted, without notes that say nothing."""
        return tuple(note.text for note in self.of(Note) if note.text)

    @property
    def failure(self) -> Failed | None:
        """The exception that ended the launch; ``None``: none did."""
        return next(iter(self.of(Failed)), None)

    @property
    def done(self) -> Done | None:
        """The guest's last word; ``None``: it did not come to it."""
        return next(reversed(self.of(Done)), None)

    @property
    def is_done(self) -> bool:
        return self.done is not None

    @property
    def first_at(self) -> float | None:
        """When the first event was written; ``None``: there is none, or it does not say."""
        return self.events[0].at if self.events else None

    @property
    def last_at(self) -> float | None:
        """The latest time that any event tells; ``None``: none tells one."""
        return max((event.at for event in self.events if event.at is not None), default=None)


def read(events: Sequence[Mapping[str, Any]]) -> Journal:
    """The typed journal of events as `benchmarks.wire.read_journal` gives them; it never raises."""
    told = (Fields(event) for event in events if isinstance(event, Mapping))
    kinds = ((_KINDS.get(said.text("event") or ""), said) for said in told)
    return Journal(tuple(_typed(kind, said) for kind, said in kinds if kind is not None))


def _typed(kind: type[Event], said: Fields) -> Event:
    """One event of a kind, each field that it says by its own reader; ``found`` has what no other field takes."""
    names = kind.__struct_fields__
    values: dict[str, Any] = {name: _READERS[name](said, name) for name in names if name in said.raw and name != "found"}
    if "found" in names:
        values["found"] = said.without("event", *names)
    return kind(**values)


def _text(said: Fields, name: str) -> str:
    return said.text(name) or ""


def _whole(said: Fields, name: str) -> int | None:
    value = said.number(name)
    return None if value is None else int(value)


def _difference(said: Fields, name: str) -> Difference | None:
    parts = said.fields(name)
    return Difference(**{each: parts.number(each) for each in Difference.__struct_fields__}) if parts else None


_KINDS: Mapping[str, type[Event]] = {
    "begin": Begin,
    "end": End,
    "failed": Failed,
    "import": Import,
    "pass": Pass,
    "step": Step,
    "result": Result,
    "note": Note,
    "done": Done,
}

_READERS: Mapping[str, Callable[[Fields, str], Any]] = {
    **dict.fromkeys(("stage", "name", "outcome", "signal", "tail", "text"), _text),
    **dict.fromkeys(("at", "seconds", "processor_seconds", "first_seconds", "best_seconds"), Fields.number),
    **dict.fromkeys(("index", "peak_resident_bytes"), Fields.count),
    **dict.fromkeys(("parts", "processor_parts"), Fields.fields),
    "needed": Fields.flag,
    "version": Fields.text,
    "notes": Fields.texts,
    "chain": Fields.chain,
    "exit_code": _whole,
    "difference": _difference,
}
"""How each field of an event is read. A name means the same in every event."""
