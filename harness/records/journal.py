"""Values from a journal, which comes from a container and may hold anything."""

from __future__ import annotations

import math
from typing import Any


def der_of(output: dict[str, Any]) -> float | None:
    """DER of the ``verify`` stage's findings; ``None`` where there is no reference, or none of its speech."""
    parts = output.get("der")
    if not isinstance(parts, dict):
        return None
    names = ("missed_seconds", "false_alarm_seconds", "confusion_seconds", "total_seconds")
    missed, false_alarm, confusion, total = (number(parts.get(name)) for name in names)
    if missed is None or false_alarm is None or confusion is None or not total:
        return None
    return (missed + false_alarm + confusion) / total


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
