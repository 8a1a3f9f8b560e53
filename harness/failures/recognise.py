"""Known failure signatures: an exception chain, an exit code, a log -> what is known about it.

The last line of a traceback is only a symptom: whatever breaks lightning ends in the same pyannote import. So the root cause is
searched first, and a signature that describes a mere symptom (``only_as_root``) counts only for the root cause itself. In a log the
death decides (``ends``), the last one, and what was survived is not searched: `harness.failures.survived`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from harness.failures.particulars import RULES
from harness.failures.signature import Signature, Text, signatures
from harness.failures.survived import split_survived
from harness.failures.traceback_text import read_chain
from harness.records.host import HostRecord
from harness.records.outcome import ExceptionRecord

MOST_CHARACTERS = 20_000
"""The last characters of each text are searched: what comes from a container can be long."""


class Match(msgspec.Struct, frozen=True):
    """A signature that fits, and where it was found."""

    signature: Signature
    found_in: Literal["exception", "log", "kernel", "exit code"]


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
    """The signature that fits best, and where: a death after the exception, the root cause, what it caused, the log, the kernel's log.

    Of several that fit one text the most specific wins, then the first in the files; of several deaths the last. An exit code without
    any text says least, so it comes last, but for what says no more than that. ``during`` is what was under way: a stage, and what it
    was importing. Without a chain the last traceback of the log takes its place.
    """
    log, kernel_log = log[-most_characters:], kernel_log[-most_characters:]
    left = without_warnings(log)
    known = [each for each in signatures().values() if each.severity == "failure"]
    if not chain and during and not during.startswith(("import", "launch")):
        # Every log has warnings of imports that went well: after the imports they are no cause of a death.
        known = [each for each in known if each.step not in ("import", "build")]
    said = chain or read_chain(left)
    raised = _match_of_chain(known, said, log)
    fits = [
        each
        for each in known
        if not (said and each.only_as_root) and _fits_text(each, "log", left, log) and _fits_death(each, exit_code, during)
    ]
    silent = [each for each in known if not chain and not each.pattern and _fits_death(each, exit_code, during)]
    death = _last_death(fits, after_exception(said, left)) if not chain or raised is None else None
    if death is not None and not (silent and death.cause == "crash"):
        return Match(_with_particulars(death, left, log), "log")
    if raised is not None:
        return raised
    specific = [each for each in fits if not each.general and not (silent and each.ends and each.cause == "crash")]
    if specific:
        return Match(_with_particulars(_last_death(specific, left) or _most_particular(specific), left, log), "log")
    kernel = [each for each in known if not each.general and _fits_text(each, "kernel", kernel_log, kernel_log)]
    if kernel:
        return Match(_with_particulars(_most_particular(kernel), kernel_log, kernel_log), "kernel")
    if silent:
        return Match(_most_particular(silent), "exit code")
    if fits:
        return Match(_with_particulars(_most_particular(fits), left, log), "log")
    if exit_code and not chain and left != log:  # it died, and all that it said were warnings
        warned = [each for each in known if _fits_text(each, "log", log, log) and _fits_death(each, exit_code, during)]
        return Match(_with_particulars(_most_particular(warned), log, log), "log") if warned else None
    return None


def without_warnings(text: str) -> str:
    """A text without what was survived in it: what `split_survived` finds, and the lines of known warnings."""
    left = split_survived(text)[0]
    for each in signatures().values():
        if each.severity == "warning" and "log" in each.texts:
            left = _without_lines(each.pattern, left)
    return left


def _without_lines(pattern: str, text: str) -> str:
    """A text without the lines that a pattern fits; they are empty then."""
    kept, end = [], 0
    for found in re.finditer(pattern, text):
        begin = text.rfind("\n", 0, found.start()) + 1
        if begin >= end:
            kept.append(text[end:begin])
        after = text.find("\n", found.end())
        end = len(text) if after < 0 else after
    return "".join((*kept, text[end:]))


def after_exception(said: Sequence[ExceptionRecord], text: str) -> str:
    """What of a text follows its last exception; all of it where there is none."""
    if not said:
        return text
    last = said[0]
    words = (last.message or last.type).split("\n", 1)[0]
    return text.rpartition(words)[2] if words else text


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


def _match_of_chain(known: Sequence[Signature], said: Sequence[ExceptionRecord], log: str) -> Match | None:
    """The best match of a chain, the root first; what says how rather than why only where nothing says why."""
    for is_general in (False, True):
        for depth, link in enumerate(reversed(said)):
            fits = [
                each
                for each in known
                if each.general == is_general and (depth == 0 or not each.only_as_root) and _fits_exception(each, link, log)
            ]
            if fits:
                best = _most_particular(fits)
                return Match(_with_particulars(best, f"{link.type}: {link.message}", log, link), "exception")
    return None


def _last_death(fits: Sequence[Signature], text: str) -> Signature | None:
    """The one of those that end a process whose line is the last in a text; ``None``: none is there."""
    found = [
        (position, each.particulars, -number, each)
        for number, each in enumerate(fits)
        if each.ends and not each.general and (position := _last_line(each.pattern, text)) >= 0
    ]
    return max(found, key=lambda each: each[:3])[3] if found else None


def _last_line(pattern: str, text: str) -> int:
    """The number of the last line on which a pattern begins to fit; -1: it does not."""
    last = -1
    for found in re.finditer(pattern, text):
        last = found.start()
    return text.count("\n", 0, last) if last >= 0 else -1


def _with_particulars(signature: Signature, found: str, text: str, link: ExceptionRecord | None = None) -> Signature:
    """A signature with what the text itself says in place of its general words."""
    if not signature.rule:
        return signature
    searched = found[-MOST_CHARACTERS:]
    hit = re.search(signature.pattern, searched)
    begin = max(0, searched.rfind("\n", 0, hit.start()) + 1) if hit else 0
    words = RULES[signature.rule](searched[begin : begin + 4_000] if hit else searched, text, link)
    return msgspec.structs.replace(signature, explanation=words[0], fix=words[1], affected="") if words else signature


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


def _fits_text(signature: Signature, name: Text, text: str, evidence: str) -> bool:
    """Whether a signature fits a text. A text that is no exception has neither a type nor a place: a signature with one cannot fit.

    What else must be found may also be in what was survived, which ``evidence`` has too.
    """
    if name not in signature.texts or not signature.pattern or signature.where or signature.type:
        return False
    return _finds(signature.pattern, text) and (not signature.log or _finds(signature.log, evidence))


def _fits_death(signature: Signature, exit_code: int | None, during: str) -> bool:
    if signature.exit and exit_code not in signature.exit:
        return False
    return not signature.during or _finds(signature.during, during[-MOST_CHARACTERS:])


def _finds(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _most_particular(fits: Sequence[Signature]) -> Signature:
    """The first of those with the most conditions."""
    return max(fits, key=lambda each: each.particulars)
