"""The guest's environment variables as they really are: an image's own ENV is in them, which no plan knows.

Standard library alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from benchmarks.wire import MOST_VALUE_CHARACTERS, MOST_VARIABLES, VARIABLE_PREFIXES

SECRET_WORDS = ("TOKEN", "KEY", "SECRET", "PASSWORD")
"""A name that has one of these is never told."""


def unset(names: Iterable[str]) -> None:
    """Take these away from this process and all that it starts, before anything reads them.

    An engine cannot take an image's ENV away, and an empty value is not the same: ROCm's runtime refuses an empty
    HSA_OVERRIDE_GFX_VERSION as invalid (libhsakmt, src/topology.c).
    """
    for name in names:
        os.environ.pop(name, None)


def bearing(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that bear on results, by name, cut to what a journal can hold."""
    names = sorted(
        name
        for name in environment
        if name.startswith(VARIABLE_PREFIXES) and not any(word in name.upper() for word in SECRET_WORDS)
    )
    return {_text(name): _text(environment[name]) for name in names[:MOST_VARIABLES]}


def _text(value: str) -> str:
    """One that can be encoded, and is not too long."""
    return value.encode("utf-8", "backslashreplace").decode()[:MOST_VALUE_CHARACTERS]
