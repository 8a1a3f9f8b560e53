"""The command line: one module a verb. Importing it makes its verb known."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

VERBS = (
    *("list", "build", "images", "bench", "probe", "flags", "verify", "accuracy", "calibrate", "kernels"),
    *("caches", "doctor", "models", "report", "show", "explain"),
)
"""In the order of the help."""


def make_known(words: Sequence[str]) -> None:
    """Import the verb that a command line begins with, or all where it begins with none: each costs milliseconds."""
    for name in words[:1] if words and words[0] in VERBS else VERBS:
        importlib.import_module(f"harness.commands.{name}")
