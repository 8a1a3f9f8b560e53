"""The arms of a comparison, by the names that launches store."""

from __future__ import annotations

from collections.abc import Collection

BASE = "base"
"""The arm that the others of a ``--vary`` are compared with."""

NULL_ARMS = ("A", "B")
"""The arms of a null test, which differ in nothing."""


def without_knobs(variant: str, knobs: Collection[str]) -> str:
    """A variant's name without these knobs: ``native+lstm-dropout-0+sdma=off`` without ``sdma`` is ``native+lstm-dropout-0``."""
    return "+".join(part for part in variant.split("+") if "=" not in part or part.partition("=")[0] not in knobs)
