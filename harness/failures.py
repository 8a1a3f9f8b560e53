"""Known failure signatures, from ``failures.toml``: an exception chain or a log -> what is known about it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec

from harness.records import Cause, ExceptionRecord

MOST_CHARACTERS = 20_000
"""Searched of each text, from its end: what came out of a container can be long."""


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known failure."""

    id: str
    pattern: str
    cause: Cause
    explanation: str
    fix: str
    source: str


@cache
def signatures() -> dict[str, Signature]:
    """All signatures by id, in the file's order."""
    table = tomllib.loads((Path(__file__).parent / "failures.toml").read_text(encoding="utf-8"))
    return {name: msgspec.convert({"id": name, **fields}, Signature) for name, fields in table.items()}


def recognise(chain: Iterable[ExceptionRecord], log_tail: str) -> Signature | None:
    """The first signature that fits: the root cause is asked before what it caused, the log last of all.

    The last line of a traceback alone is a symptom: whatever breaks lightning ends in the same pyannote import.
    """
    texts = [f"{link.type}: {link.message}" for link in reversed(list(chain))] + [log_tail]
    for text in texts:
        for signature in signatures().values():
            if re.search(signature.pattern, text[-MOST_CHARACTERS:]):
                return signature
    return None
