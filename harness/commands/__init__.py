"""The command line: one module a verb. Importing the module registers its verb. What several verbs need:

- ``app``: the application that the verbs register with, and its help
- ``options``, ``arguments``: parameters that several verbs take, and their parsing
- ``opening``, ``running``: an engine, the store or a launch, opened; a run with its progress, output and exit code
- ``output``, ``progress``, ``catalog_table``: what is printed

Typer evaluates a verb's annotations. Where they need nothing heavy, the module does not keep them as text: that costs a millisecond.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

VERBS = {
    "Run": ("bench", "probe", "verify", "accuracy", "kernels", "calibrate", "flags"),
    "Images": ("list", "build", "images", "caches"),
    "Results": ("report", "show", "explain"),
    "Host": ("doctor", "models"),
}
"""The groups of the help, with their verbs."""

_ALL = tuple(verb for verbs in VERBS.values() for verb in verbs)


def register(words: Sequence[str]) -> None:
    """Import the verb that a command line begins with, or all where it begins with none: each costs milliseconds."""
    for verb in words[:1] if words and words[0] in _ALL else _ALL:
        importlib.import_module(f"harness.commands.{verb}")
