"""The shapes of the catalog's knobs and hazards: what may be varied, and which settings are known to be dangerous."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

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
    options: dict[str, str] = {}
    """What the workload itself is told, such as ``precision``"""


class Knob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of ``[knobs]``. It owns what any of its values sets: setting another value removes that."""

    name: str
    description: str = ""
    source: str
    """Where the names and values are documented, or where their effect was seen."""
    families: tuple[Family, ...] = ()
    """The families that it affects; empty: all."""
    workloads: tuple[str, ...] = ()
    """The workloads that it affects; empty: all."""
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


def fault_of_knob(name: str, knob: Knob) -> str | None:
    """What is wrong with a row beyond its types; ``None``: nothing."""
    odd = [word for word in (name, *knob.values) if not WORD.match(word)]
    if odd:
        return f"{odd[0]!r} has signs other than letters, digits, '.', '_' and '-'"
    if bool(knob.values) == (knob.number is not None):
        return "it has either `values`, by name, or `number`, which takes a whole number"
    if len(knob.values) == 1:
        return "it has one value: nothing to compare it with"
    if not knob.workloads and any(value.options for value in knob.values.values()):
        return "it has `options`, which only the workloads that `workloads` names understand"
    return fault_of_variables(knob.variables)


def fault_of_variables(names: Iterable[str]) -> str | None:
    """Why a launch may not be given variables of these names; ``None``: it may."""
    tokens = sorted(name for name in names if "TOKEN" in name.upper())
    return f"{', '.join(tokens)}: a token is for `models fetch` alone, never for a launch" if tokens else None
