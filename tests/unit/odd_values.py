"""What a container may write where a value is expected."""

from __future__ import annotations

from typing import Any


def deep(levels: int = 5_000) -> list[Any]:
    """A list within a list within a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


ODD: dict[str, Any] = {
    "nothing": None,
    "text": "1",
    "true": True,
    "number": 1.5,
    "below zero": -1,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "huge": 10**5_000,
    "list": [1, "a", None, {}, [], float("nan"), 10**400, True],
    "mapping": {"a": 1},
    "deep": deep(),
}
"""By what is odd about it; texts, numbers and mappings are right in some places"""
