"""A known failure, and all of them: the rows of the files in `FILES`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from harness.records.outcome import Cause

FILES = ("signatures.toml", "gpu.toml", "deaths.toml", "engines.toml", "audio.toml", "general.toml")
"""Where the signatures are, special ones before general ones."""

Step = Literal[
    "build",
    "launch",
    "import",
    "device",
    "gemm",
    "conv2d",
    "lstm",
    "load",
    "decode",
    "segmentation",
    "embedding",
    "cold",
    "after",
]
"""Where a signature first shows: a stage, a step of one, or ``after``: in the user's own code, with the pipeline's output."""

Workaround = Literal["lstm-dropout-0", "miopen-off", "weights-only-off"]
Text = Literal["exception", "log", "kernel"]


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known failure; the head of ``signatures.toml`` says what each field means."""

    id: str
    step: Step
    cause: Cause
    explanation: str
    fix: str
    source: str
    pattern: str = ""
    type: str = ""
    where: str = ""
    log: str = ""
    exit: tuple[int, ...] = ()
    during: str = ""
    texts: tuple[Text, ...] = msgspec.field(name="in", default=("exception", "log"))
    only_as_root: bool = False
    affected: str = ""
    """Versions; empty: any."""
    workaround: Workaround | None = None
    """An automatic fix; ``None``: there is no safe one."""
    reproduced: bool = False
    """Whether a test of ours produced the real exception."""
    severity: Literal["failure", "warning"] = "failure"
    ends: bool = False
    """Whether its line is the death of a process, which no program survives"""
    general: bool = False
    """Whether it says how something ended rather than why: every other that fits comes first"""
    rule: str = ""
    """The name of the rule in `RULES` that reads the particulars from the text; empty: its words are the same for all"""

    @property
    def particulars(self) -> int:
        """The number of conditions besides its pattern: the more, the surer."""
        return bool(self.where) + bool(self.type) + bool(self.log) + bool(self.exit)


@cache
def signatures() -> dict[str, Signature]:
    """All signatures by id, in the order of `FILES` and of the lines in each."""
    tables = [tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8")) for name in FILES]
    known = {name: msgspec.convert({"id": name, **fields}, Signature) for table in tables for name, fields in table.items()}
    assert len(known) == sum(len(table) for table in tables), "two files have a signature of one name"
    return known
