"""The verdict ``fail``: how its summary is cut, and the cause of an exception that no signature knows. Pure."""

from __future__ import annotations

from harness.failures.signature import Signature
from harness.records.outcome import Cause, ExceptionRecord, Verdict

MOST_SUMMARY_CHARACTERS = 300

NOT_TRUE = "the journal cannot be true"
"""How the summary of a launch begins whose journal holds what cannot have happened"""


def failed(stage: str, cause: Cause, summary: str, *, signature: Signature | None = None) -> Verdict:
    """A failure; its summary is cut to one line of a readable length."""
    line = " ".join(summary.split())
    if len(line) > MOST_SUMMARY_CHARACTERS:
        line = line[: MOST_SUMMARY_CHARACTERS - 3] + "..."
    return Verdict(status="fail", stage=stage, cause=cause, summary=line, signature=signature.id if signature else None)


def cause_of(stage: str, root: ExceptionRecord) -> Cause:
    """The cause of an exception that no signature knows."""
    kind = root.type.rsplit(".", 1)[-1]
    if kind in ("MemoryError", "OutOfMemoryError"):
        return "out of memory"
    if kind == "ModelsMissing":
        return "model access"
    if kind in ("DeviceUnavailable", "WrongDevice"):
        return "no device"
    return "import" if stage == "import" else "error"


def last_line(text: str) -> str:
    """The last line of a process's output that is not blank; words in its place where there is none."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"
