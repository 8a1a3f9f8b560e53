"""What is known about a failure that somebody shows: a stored launch, a traceback, a log. Pure: `harness.commands` reads."""

from __future__ import annotations

import re

import msgspec

from harness.failures.recognise import (
    Match,
    Signature,
    deepest_frame,
    find_match,
    recognise_warnings,
    signatures,
    with_firmware,
)
from harness.failures.traceback_text import read_chain
from harness.records.launch import Launch
from harness.records.outcome import ExceptionRecord
from harness.verdict.judge import under_way

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
    warnings: tuple[Signature, ...] = ()
    stage: str | None = None
    """Where the launch failed; ``None``: a text does not say"""
    failed: bool = True
    """Whether there is a failure at all: a launch may have passed"""
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
    chain = read_chain(text)
    match = find_match(chain, text, kernel_log=text, most_characters=MOST_SEARCHED_CHARACTERS)
    also = None
    if match is not None and chain and match.found_in == "log" and not _comes_after(match.signature, chain[-1], text):
        also, match = match.signature, None
    return Explanation(
        chain=chain,
        match=match,
        also=also,
        warnings=recognise_warnings(text, most_characters=MOST_SEARCHED_CHARACTERS),
    )


def _comes_after(signature: Signature, root: ExceptionRecord, text: str) -> bool:
    """Whether a signature matches in the text after the last exception, as when a process crashes after a warning's traceback."""
    said = (root.message or root.type).split("\n", 1)[0]
    _, _, after = text.rpartition(said)
    return re.search(signature.pattern, after[-MOST_SEARCHED_CHARACTERS:]) is not None


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
            during=under_way(launch.said),
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
