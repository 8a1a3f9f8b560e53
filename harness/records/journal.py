"""Values from a journal, which comes from a container and may hold anything."""

from __future__ import annotations

import math
from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """A journal's value as a mapping; empty where it is none."""
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float | None:
    """A journal's value as a float; ``None`` where it is not a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer too large for a float
        return None
