"""What a network put out, as values that a journal can hold -> how near two outputs are. Pure.

The values came out of a container and may hold anything.
"""

from __future__ import annotations

import array
import base64
import binascii
import math
import sys
from typing import Annotated

import msgspec

_SAMPLED = Annotated[str, msgspec.Meta(max_length=4096)]


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a network: see `benchmarks.workloads.diarization.chunk.describe`."""

    values: Annotated[int, msgspec.Meta(ge=1)]
    not_finite: Annotated[int, msgspec.Meta(ge=0)]
    spread: float | None = None
    sampled: _SAMPLED

    @property
    def floats(self) -> tuple[float, ...] | None:
        """The sampled values; ``None`` where the text does not hold such values."""
        try:
            data = base64.b64decode(self.sampled, validate=True)
            values = array.array("f", data)
        except (binascii.Error, ValueError):
            return None
        if sys.byteorder == "big":
            values.byteswap()
        return tuple(values) or None


def cosine_of(ours: Values, theirs: Values) -> float | None:
    """Cosine of the angle between two vectors; ``None`` where it cannot be told."""
    a, b = _pair(ours, theirs)
    lengths = math.sqrt(math.fsum(value * value for value in a)) * math.sqrt(math.fsum(value * value for value in b))
    if not lengths or not math.isfinite(lengths):
        return None
    return min(1.0, math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths)


def largest_difference(ours: Values, theirs: Values) -> tuple[float | None, float | None]:
    """The largest difference, absolute and as a share of their largest value. The spread among the items of our batch counts too.
    ``None`` where it cannot be told."""
    a, b = _pair(ours, theirs)
    if not a or ours.spread is None:
        return None, None
    absolute = max(ours.spread, *(abs(x - y) for x, y in zip(a, b, strict=True)))
    scale = max(abs(value) for value in b)
    relative = absolute / scale if scale else absolute
    return (absolute, relative) if math.isfinite(relative) else (None, None)


def _pair(ours: Values, theirs: Values) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both outputs' sampled values; empty where their lengths differ or a value is not finite."""
    a, b = ours.floats or (), theirs.floats or ()
    comparable = len(a) == len(b) and ours.values == theirs.values and all(map(math.isfinite, (*a, *b)))
    return (a, b) if comparable else ((), ())
