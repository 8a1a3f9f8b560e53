"""What a workload tells of its outputs beside the CPU run's, in figures of its own."""

from typing import Literal

import msgspec


class ComparedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a workload's own that several outputs have against the CPU run's."""

    name: str
    """The heading of its column: ``DER``"""
    values: tuple[float, ...]
    """Those that are known, each once, the smallest first"""
    reference: float | None = None
    """What the CPU run itself has; ``None``: it has none, or that is not known"""
    kind: Literal["share", "count"]
    """Of a share the largest is shown, in percent; of a count all values, beside the CPU run's"""
