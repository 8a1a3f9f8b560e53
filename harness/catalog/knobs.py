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
"""The name of a knob or of a value: a cell's id puts ``+`` and ``=`` around them, the command line ``,``."""

MOST_NUMBER = 100_000


class KnobValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one value of a knob sets. An empty one leaves the behaviour of the image and of torch alone."""

    environment: dict[VariableName, VariableValue] = {}
    guest: tuple[GuestKnob, ...] = ()
    """See `benchmarks.knobs`."""
    unset: tuple[VariableName, ...] = ()
    """Variables that the guest removes, even where the image itself sets them."""


class Knob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``[knobs]``. It owns what any of its values sets: setting another value removes that."""

    name: str
    description: str = ""
    source: str
    """Where the names and values are documented, or where their effect was seen."""
    families: tuple[Family, ...] = ()
    """The families that it affects; empty: all."""
    values: dict[str, KnobValue] = {}
    """The values by name; empty where it takes a whole number."""
    number: Number | None = None
    """The setting that takes the whole number; ``None`` where the values are named."""

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that it owns."""
        return frozenset(name for value in self.values.values() for name in (*value.environment, *value.unset))

    @property
    def guest(self) -> frozenset[str]:
        """The guest's switches that it owns."""
        return frozenset(name for value in self.values.values() for name in value.guest)

    @property
    def takes(self) -> str:
        """Its values in words."""
        return "a whole number" if self.number else ", ".join(self.values)


class Hazard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``[hazards]``: a setting that is known to go wrong. It applies where all of its conditions hold."""

    name: str
    description: str
    """What happens, and what to do, in a sentence or two."""
    source: str
    families: tuple[Family, ...] = ()
    """Empty: all."""
    targets: tuple[str, ...] = ()
    """Targets of this host's GPUs, such as ``gfx1151``; empty: any, or no GPU."""
    native: bool | None = None
    """Whether the image has kernels for gfx1151; ``None``: either."""
    rocm_before: Annotated[str, msgspec.Meta(pattern=r"^\d+(\.\d+)*$")] | None = None
    """The image's ROCm is older than this. An unknown ROCm counts as older."""
    environment: dict[VariableName, VariableValue] = {}
    unless_guest: tuple[GuestKnob, ...] = ()
    """Switches of the guest that prevent it."""
    segmentation_batch_from: Annotated[int, msgspec.Meta(ge=1)] | None = None
    embedding_batch_from: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that is about to start, as far as a `Hazard` asks."""

    family: str | None
    rocm: str | None
    """``None``: not known, or no ROCm"""
    native: bool | None
    targets: tuple[str, ...]
    """The targets of the GPUs that it may use."""
    environment: Mapping[str, str]
    guest: tuple[str, ...]
    segmentation_batch_size: int
    embedding_batch_size: int


def is_hazard(hazard: Hazard, situation: Situation) -> bool:
    """Whether the row describes this situation."""
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
    """The value, its unknown key and the known keys, for the first unknown key in a row's raw ``values``; ``None``: all are known."""
    known = KnobValue.__struct_fields__
    for value, parts in fields.items() if isinstance(fields, dict) else ():
        for key in parts if isinstance(parts, dict) else ():
            if key not in known:
                return value, key, known
    return None
