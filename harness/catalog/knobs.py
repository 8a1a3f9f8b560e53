"""The shapes of the catalog's knobs and hazards: what may be varied, and which settings are known to be dangerous."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

Family = Literal["cpu", "rocm", "therock", "cuda"]
VariableName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
VariableValue = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
GuestKnob = Literal["lstm-dropout-0", "miopen-off", "blas-hipblas", "blas-hipblaslt"]
Number = Literal["segmentation_batch_size", "embedding_batch_size", "threads"]

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
"""A knob's name and a value's: they stand in a cell's id with ``+`` and ``=``, and on the command line with ``,``."""

MOST_NUMBER = 100_000


class KnobValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one value of a knob sets. An empty one leaves what the image and torch do of themselves."""

    environment: dict[VariableName, VariableValue] = {}
    guest: tuple[GuestKnob, ...] = ()
    """See `benchmarks.knobs`."""
    unset: tuple[VariableName, ...] = ()
    """Variables that the guest takes away, be they the image's own."""


class Knob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``[knobs]``. It owns what any of its values sets: another value of it takes that away."""

    name: str
    description: str = ""
    source: str
    """Where the names and values are documented, or what was seen with them."""
    families: tuple[Family, ...] = ()
    """That it bears on; empty: all."""
    values: dict[str, KnobValue] = {}
    """By name; empty where it takes a whole number."""
    number: Number | None = None
    """What a whole number is set for; ``None`` where the values are named."""

    @property
    def variables(self) -> frozenset[str]:
        """Environment variables that are its own."""
        return frozenset(name for value in self.values.values() for name in (*value.environment, *value.unset))

    @property
    def guest(self) -> frozenset[str]:
        """Switches of the guest that are its own."""
        return frozenset(name for value in self.values.values() for name in value.guest)

    @property
    def takes(self) -> str:
        """Its values in words."""
        return "a whole number" if self.number else ", ".join(self.values)


class Hazard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``[hazards]``: a setting that is known to go wrong. All that it names must be so."""

    name: str
    description: str
    """What happens, and what to do, in a sentence or two."""
    source: str
    families: tuple[Family, ...] = ()
    """Empty: all."""
    targets: tuple[str, ...] = ()
    """Of a GPU of this host, such as ``gfx1151``; empty: any, or none."""
    native: bool | None = None
    """Whether the image has kernels of gfx1151; ``None``: no matter."""
    rocm_before: Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)*$")] | None = None
    """Of the image. One whose ROCm is not known counts as older."""
    environment: dict[VariableName, VariableValue] = {}
    unless_guest: tuple[GuestKnob, ...] = ()
    """Switches of the guest that keep it from happening."""
    segmentation_batch_from: Annotated[int, msgspec.Meta(ge=1)] | None = None
    embedding_batch_from: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch would be, as far as a `Hazard` asks."""

    family: str | None
    rocm: str | None
    """``None``: not known, or no ROCm"""
    native: bool | None
    targets: tuple[str, ...]
    """Of the GPUs that it may use."""
    environment: Mapping[str, str]
    guest: tuple[str, ...]
    segmentation_batch_size: int
    embedding_batch_size: int


def is_hazard(hazard: Hazard, situation: Situation) -> bool:
    """Whether this situation is one that the row describes."""
    rocm = situation.rocm
    return (
        (not hazard.families or situation.family in hazard.families)
        and (not hazard.targets or bool(set(hazard.targets) & set(situation.targets)))
        and (hazard.native is None or situation.native is hazard.native)
        and (hazard.rocm_before is None or rocm is None or release(rocm) < release(hazard.rocm_before))
        and all(situation.environment.get(name) == value for name, value in hazard.environment.items())
        and not set(hazard.unless_guest) & set(situation.guest)
        and (hazard.segmentation_batch_from is None or situation.segmentation_batch_size >= hazard.segmentation_batch_from)
        and (hazard.embedding_batch_from is None or situation.embedding_batch_size >= hazard.embedding_batch_from)
    )


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without trailing zeros: ``10.1.0a20260822`` -> (10, 1)."""
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(number) for number in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def fault_of_knob(name: str, knob: Knob) -> str | None:
    """What is wrong with a row beyond its types; ``None``: nothing."""
    odd = [word for word in (name, *knob.values) if not WORD.match(word)]
    if odd:
        return f"{odd[0]!r} has signs other than letters, digits, '.', '_' and '-'"
    if bool(knob.values) == (knob.number is not None):
        return "it has either `values`, by name, or `number`, which takes a whole number"
    if len(knob.values) == 1:
        return "it has one value: nothing to compare it with"
    tokens = sorted(variable for variable in knob.variables if "TOKEN" in variable.upper())
    if tokens:
        return f"{', '.join(tokens)}: a token is for `models fetch` alone, never for a launch"
    return None


def unknown_part(fields: Any) -> tuple[str, str, tuple[str, ...]] | None:
    """In a row's raw ``values``: the value, the key that no value has, and those that one has; ``None``: all are known."""
    known = KnobValue.__struct_fields__
    for value, parts in fields.items() if isinstance(fields, dict) else ():
        for key in parts if isinstance(parts, dict) else ():
            if key not in known:
                return value, key, known
    return None
