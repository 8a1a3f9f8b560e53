"""The verbs of the command line, in modules by what they are about. Importing one makes its verbs known."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

MODULE_OF = {
    "list": "build",
    "build": "build",
    "images": "images",
    "bench": "bench",
    "probe": "bench",
    "flags": "bench",
    "verify": "verify",
    "accuracy": "accuracy",
    "calibrate": "calibrate",
    "kernels": "kernels",
    "caches": "caches",
    "doctor": "doctor",
    "models": "doctor",
    "report": "report",
    "show": "report",
    "explain": "report",
}
"""In the order of the help."""


def make_known(words: Sequence[str]) -> None:
    """Import the verb that a command line begins with, or all where it begins with none: each costs milliseconds."""
    wanted = MODULE_OF.get(words[0]) if words else None
    for name in dict.fromkeys(MODULE_OF.values()) if wanted is None else [wanted]:
        importlib.import_module(f"harness.commands.{name}")
