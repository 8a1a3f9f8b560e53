"""What is known about a failure that somebody shows: a stored launch, a traceback, a log. Pure: `harness.commands` reads."""

from __future__ import annotations

import re
import signal

import msgspec

from harness.failures.particulars import told_by
from harness.failures.recognise import (
    Match,
    after_exception,
    deepest_frame,
    find_match,
    recognise_warnings,
    with_firmware,
    without_warnings,
)
from harness.failures.signature import Signature, signatures
from harness.failures.survived import split_survived
from harness.failures.traceback_text import read_chain
from harness.records.launch import Launch
from harness.records.outcome import ExceptionRecord
from harness.verdict.judge import under_way
from harness.workloads.workload import workload_of

MOST_SEARCHED_CHARACTERS = 1_000_000
"""How much of a text is searched for signatures, counted from its end."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about one failure."""

    chain: tuple[ExceptionRecord, ...] = ()
    """Outermost first; empty: there is no exception"""
    match: Match | None = None
    """``None``: nothing known fits"""
    also: Signature | None = None
    """A known failure above the exception that ended it all. It was survived, so it is not the cause."""
    told: tuple[str, ...] = ()
    """What the text itself says of the stack: an override, ROCm, torch, GPUs, the kernel"""
    warnings: tuple[Signature, ...] = ()
    unnamed: tuple[str, ...] = ()
    """Beginnings of warnings in the text that no signature knows"""
    stage: str | None = None
    """Where the launch failed; ``None``: a text does not say"""
    failed: bool = True
    """Whether there is a failure at all: a launch may have passed, and a text may hold warnings alone"""
    verdict: str = ""
    """The launch's verdict; empty for a text"""
    kernel_log_refused: str = ""
    """Why a launch's record lacks the kernel's log; empty: it has it, or this explains a text"""

    @property
    def root(self) -> ExceptionRecord | None:
        """The exception that caused all the others."""
        return self.chain[-1] if self.chain else None

    @property
    def deepest(self) -> str:
        """The root's deepest frame outside pyannote; empty where there is none."""
        return deepest_frame(self.root) if self.root else ""


def explain_text(text: str) -> Explanation:
    """An explanation of a traceback or a log that somebody pasted; it may be the kernel's log."""
    left = without_warnings(text)
    chain = read_chain(left)
    exit_code, during = _bench_death(text)
    match = find_match((), text, kernel_log=text, exit_code=exit_code, during=during, most_characters=MOST_SEARCHED_CHARACTERS)
    warnings = recognise_warnings(text, most_characters=MOST_SEARCHED_CHARACTERS)
    also = None
    if match is not None and match.found_in == "log" and _was_survived(match.signature, chain, left):
        also, match = match.signature, None
    return Explanation(
        chain=chain,
        match=match,
        also=also,
        told=told_by(text),
        warnings=warnings,
        unnamed=_unnamed(text) if not warnings else (),
        failed=match is not None or bool(chain) or not (left != text and not _SAYS_FAILURE.search(left)),
    )


MOST_UNNAMED = 3


def _unnamed(text: str) -> tuple[str, ...]:
    """The first lines of what was survived in a text."""
    lines = (line.strip() for line in split_survived(text)[1].split("\n"))
    return tuple(dict.fromkeys(line for line in lines if line))[:MOST_UNNAMED]


_SAYS_FAILURE = re.compile(
    r"(?i)traceback|\berror\b|\w(?:Error|Exception)\b|\bfail(?:ed|ure|s)?\b|\bfatal\b|\babort|\bkilled\b|\bcore dumped\b|\bcannot\b"
    r"|\bdenied\b|\brefused\b|\bpanic\b|\bcrash|\bhangs?\b|\bnot found\b|\bunable to\b|\bcould not\b"
)
"""Words in what is left without the warnings that speak of a failure."""

_BENCH_DEATH = re.compile(r"died of (SIG[A-Z]{2,6}) in ([\w ,.-]{1,80})")
_RAISED = re.compile(r"Traceback \(most recent call last\)|^E {3}|^ {2}File \"", re.MULTILINE)
_CONSEQUENCE = re.compile(
    r"CalledProcessError|ProcessExitedException|ProcessRaisedException|BrokenProcessPool|ChildFailedError|BrokenPipeError|EOFError"
    r"|ConnectionResetError|SystemExit|RemoteError|WorkerLost|Engine ?\w{0,20}(?:Dead|Generate)Error|TaskError"
)
"""Exceptions that come of another failure, in another process or before."""


def _bench_death(text: str) -> tuple[int | None, str]:
    """The exit code and what was under way in a verdict of `bench`: ``died of SIGSEGV in lstm``; ``None`` without one."""
    said = _BENCH_DEATH.search(text)
    number = getattr(signal, said[1], None) if said else None
    return (128 + int(number), said[2].strip()) if said and number is not None else (None, "")


def _was_survived(signature: Signature, chain: tuple[ExceptionRecord, ...], text: str) -> bool:
    """Whether a failure in the log stands before an exception that ended the program and came of something else."""
    if not chain or signature.ends or not _RAISED.search(text) or _CONSEQUENCE.search(chain[0].type):
        return False
    words = chain[-1].message.strip("'\"")
    if len(words) > 5 and any(words in found[0] for found in re.finditer(signature.pattern, text[-MOST_SEARCHED_CHARACTERS:])):
        return False  # the exception speaks of the same thing
    return re.search(signature.pattern, after_exception(chain, text)[-MOST_SEARCHED_CHARACTERS:]) is None


def explain_launch(launch: Launch) -> Explanation:
    """A launch of the store, judged by the signatures of today rather than by those of its day."""
    failed = launch.verdict.status == "fail"
    # What strixbench itself killed was not killed for memory.
    was_ended = launch.exit.timed_out or launch.exit.ended_because is not None
    code = None if was_ended else launch.exit.code
    match = None
    if launch.verdict.cause == "wrong torch":  # which explains the exception that came of it
        match = find_match((), launch.verdict.summary)
    elif failed:
        match = find_match(
            launch.chain,
            # An engine that refuses says so itself: there is no output then.
            launch.log_tail if launch.exit.started else f"{launch.exit.message}\n{launch.log_tail}",
            exit_code=code,
            during=under_way(launch.said, workload_of(launch.plan)),
            kernel_log=with_firmware(launch.kernel_log, launch.plan.host),
        )
    if match is None and (known := signatures().get(launch.verdict.signature or "")) is not None:
        match = Match(known, "log")  # of a step of the probe, which has a chain and a tail of its own
    return Explanation(
        chain=launch.chain,
        match=match,
        warnings=recognise_warnings(launch.log_tail, *launch.notes),
        stage=launch.verdict.stage,
        failed=failed,
        kernel_log_refused=launch.kernel_log_refused if failed and launch.plan.device != "cpu" else "",
        verdict=f"{launch.verdict.status}{f': {launch.verdict.summary}' if launch.verdict.summary else ''}",
    )
