"""The guest's environment variables as they really are, including an image's own ENV, which no plan knows.

Only the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from benchmarks.wire import MOST_VALUE_CHARACTERS, MOST_VARIABLES, VARIABLE_PREFIXES

SECRET_WORDS = ("TOKEN", "KEY", "SECRET", "PASSWORD")
"""A variable whose name contains one of these is never told."""


def unset(names: Iterable[str]) -> None:
    """Remove these from this process and all that it starts, before anything reads them.

    An engine cannot remove an image's ENV, and an empty value is not the same: ROCm's runtime refuses an empty
    HSA_OVERRIDE_GFX_VERSION as invalid (libhsakmt, src/topology.c).
    """
    for name in names:
        os.environ.pop(name, None)


def bearing(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that bear on results, by name, cut to what a journal can hold."""
    names = sorted(
        name
        for name in environment
        if name.startswith(VARIABLE_PREFIXES) and not any(word in name.upper() for word in SECRET_WORDS)
    )
    return {_text(name): _text(environment[name]) for name in names[:MOST_VARIABLES]}


def _text(value: str) -> str:
    """The text, escaped so that it can be encoded, and cut where it is too long."""
    return value.encode("utf-8", "backslashreplace").decode()[:MOST_VALUE_CHARACTERS]
