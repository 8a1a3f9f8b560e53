"""Known failure signatures, from ``signatures.toml``: an exception chain, an exit code, a log -> what is known about it.

The last line of a traceback is only a symptom: whatever breaks lightning ends in the same pyannote import. So the root cause is
searched first, and a signature that describes a mere symptom (``only_as_root``) counts only for the root cause itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from harness.failures.traceback_text import read_chain
from harness.records.host import HostRecord
from harness.records.outcome import Cause, ExceptionRecord

MOST_CHARACTERS = 20_000
"""The last characters of each text are searched: what comes from a container can be long."""

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

    @property
    def particulars(self) -> int:
        """The number of conditions besides its pattern: the more, the surer."""
        return bool(self.where) + bool(self.type) + bool(self.log) + bool(self.exit)


class Match(msgspec.Struct, frozen=True):
    """A signature that fits, and where it was found."""

    signature: Signature
    found_in: Literal["exception", "log", "kernel", "exit code"]


@cache
def signatures() -> dict[str, Signature]:
    """All signatures by id, in the file's order."""
    table = tomllib.loads((Path(__file__).parent / "signatures.toml").read_text(encoding="utf-8"))
    return {name: msgspec.convert({"id": name, **fields}, Signature) for name, fields in table.items()}


def recognise(
    chain: Iterable[ExceptionRecord],
    log_tail: str,
    *,
    exit_code: int | None = None,
    during: str = "",
    kernel_log: str = "",
) -> Signature | None:
    """The signature that fits best; ``None``: no known one fits. See `find_match`."""
    found = find_match(tuple(chain), log_tail, exit_code=exit_code, during=during, kernel_log=kernel_log)
    return found.signature if found else None


def find_match(
    chain: Sequence[ExceptionRecord],
    log: str,
    *,
    exit_code: int | None = None,
    during: str = "",
    kernel_log: str = "",
    most_characters: int = MOST_CHARACTERS,
) -> Match | None:
    """The signature that fits best, and where: the root cause, then what it caused, the log, the kernel's log.

    Of several that fit one text the most specific wins, then the first in the file. An exit code without any text says least,
    so it comes last. ``during`` is what was under way: a stage, and what it was importing. Without a chain the last traceback of
    the log takes its place.
    """
    log, kernel_log = log[-most_characters:], kernel_log[-most_characters:]
    known = [each for each in signatures().values() if each.severity == "failure"]
    if not chain and during and not during.startswith(("import", "launch")):
        # Every log has warnings of imports that went well: after the imports they are no cause of a death.
        known = [each for each in known if each.step not in ("import", "build")]
    said = chain or read_chain(log)
    for depth, link in enumerate(reversed(said)):
        fits = [each for each in known if (depth == 0 or not each.only_as_root) and _fits_exception(each, link, log)]
        if fits:
            return Match(_most_particular(fits), "exception")
    fits = [
        each
        for each in known
        if not (said and each.only_as_root) and _fits_text(each, "log", log) and _fits_death(each, exit_code, during)
    ]
    if fits:
        return Match(_most_particular(fits), "log")
    fits = [each for each in known if _fits_text(each, "kernel", kernel_log)]
    if fits:
        return Match(_most_particular(fits), "kernel")
    if chain:
        return None
    silent = [each for each in known if not each.pattern and _fits_death(each, exit_code, during)]
    return Match(_most_particular(silent), "exit code") if silent else None


def with_firmware(kernel_log: str, host: HostRecord) -> str:
    """The kernel's log after a line with the loaded firmware, without which some lines have two meanings."""
    loaded = " ".join(dict.fromkeys(name for card in host.cards for name in card.firmware))
    return f"loaded firmware: {loaded}\n{kernel_log}" if kernel_log and loaded else kernel_log


def recognise_warnings(*texts: str, most_characters: int = MOST_CHARACTERS) -> tuple[Signature, ...]:
    """All known warnings in a log, its notes or the kernel's log. A warning is never the cause of a failure."""
    warnings = [each for each in signatures().values() if each.severity == "warning"]
    ends = [text[-most_characters:] for text in texts]
    return tuple(each for each in warnings if any(_finds(each.pattern, end) for end in ends))


def deepest_frame(link: ExceptionRecord) -> str:
    """The deepest frame outside pyannote, ``file:line in function``; where there is none, the deepest of all.

    pyannote's own last frame is where a fault surfaces, and seldom where it lies.
    """
    frames = [f"{file}:{line} in {name}" for file, line, name in re.findall(_FRAME, link.traceback[-MOST_CHARACTERS:])]
    if link.where and (not frames or frames[-1] != link.where):
        frames.append(link.where)
    outside = [frame for frame in frames if not re.search(r"[/\\]pyannote[/\\]|^<frozen ", frame)]
    return outside[-1] if outside else link.where


_FRAME = r'(?m)^  File "([^"\n]{1,500})", line (\d{1,9}), in ([^\n]{1,200})$'


def _fits_exception(signature: Signature, link: ExceptionRecord, log: str) -> bool:
    if "exception" not in signature.texts or not signature.pattern:
        return False
    if not _finds(signature.pattern, f"{link.type}: {link.message}"[-MOST_CHARACTERS:]):
        return False
    if signature.type and not _finds(signature.type, link.type[-MOST_CHARACTERS:]):
        return False
    if signature.where and not any(_finds(signature.where, frame) for frame in (link.where, deepest_frame(link))):
        return False
    return not signature.log or _finds(signature.log, log)


def _fits_text(signature: Signature, name: Text, text: str) -> bool:
    """Whether a signature fits a text. A text that is no exception has neither a type nor a place: a signature with one cannot fit."""
    if name not in signature.texts or not signature.pattern or signature.where or signature.type:
        return False
    return _finds(signature.pattern, text) and (not signature.log or _finds(signature.log, text))


def _fits_death(signature: Signature, exit_code: int | None, during: str) -> bool:
    if signature.exit and exit_code not in signature.exit:
        return False
    return not signature.during or _finds(signature.during, during[-MOST_CHARACTERS:])


def _finds(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _most_particular(fits: Sequence[Signature]) -> Signature:
    """The first of those with the most conditions."""
    return max(fits, key=lambda each: each.particulars)
