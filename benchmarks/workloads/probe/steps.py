"""The probe's steps, each in a fresh process, so that a crash or a hang costs only one.

``python -m benchmarks.workloads.probe EXCHANGE NAME`` is such a process. It reads the request, journals its one computation into
`STEP_JOURNAL` and ends. `run_steps` starts it, waits, and writes into the launch's own journal how it ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from benchmarks.wire import COMPILING_STEPS, STEP_JOURNAL, STEPS, Journal, ProtocolError, read_journal

MOST_TAIL_BYTES = 6_000
"""How much is kept of the output of a step that is not ok"""

MOST_NOTES = 8
MOST_NOTE_CHARACTERS = 300

# Libraries print these and then take another way: worth knowing, but no failure.
WARNINGS = re.compile(r"hipBLASLt|TensorFloat-32|TF32|MIOpen\(HIP\): (Warning|Error)|degrees of freedom", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Options:
    """What a request may choose."""

    steps: tuple[str, ...]
    step_timeout_seconds: float = 300.0
    compiling_step_timeout_seconds: float | None = None


def read_options(options: dict[str, Any]) -> Options:
    """The options of a request; raises `ProtocolError`."""
    steps = options.get("steps", [])
    for name in steps:
        if name not in STEPS:
            raise ProtocolError(f"no step {name!r}: there are {', '.join(STEPS)}")
    limits = {name: options[name] for name in ("step_timeout_seconds", "compiling_step_timeout_seconds") if name in options}
    return Options(tuple(steps), **limits)


def run_steps(options: Options, journal: Journal, *, device: str) -> None:
    """Run the steps in order; each is journaled before it starts and after it ended.

    A step that compiles may take longer, until one exceeds that limit too: it hangs, and so will the next.
    """
    compiling = options.compiling_step_timeout_seconds or options.step_timeout_seconds
    for name in options.steps:
        journal.write("step", name=name, outcome="trying")
        if name.endswith("-miopen-off") and device == "cpu":
            journal.write("step", name=name, outcome="skipped", reason="no MIOpen on a CPU")
            continue
        limit_seconds = compiling if name in COMPILING_STEPS else options.step_timeout_seconds
        found = _run_step(name, journal.folder, limit_seconds=limit_seconds)
        if name in COMPILING_STEPS and found["outcome"] == "timeout":
            compiling = options.step_timeout_seconds
        journal.write("step", name=name, **found)


def _run_step(name: str, exchange: Path, *, limit_seconds: float) -> dict[str, Any]:
    """How one step's process ended."""
    own_journal = exchange / STEP_JOURNAL
    own_journal.unlink(missing_ok=True)
    process = subprocess.Popen(
        (sys.executable, "-m", "benchmarks.workloads.probe", str(exchange), name),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    tail = bytearray()
    reader = threading.Thread(target=_keep_tail, args=(process.stdout, tail), daemon=True)
    reader.start()
    timed_out = False
    try:
        code = process.wait(timeout=limit_seconds)
    except subprocess.TimeoutExpired:
        timed_out = True
        process.kill()  # SIGKILL: a hung HIP process ignores SIGTERM
        try:
            code = process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            # It is inside the kernel, where no signal reaches it: the next steps start without its end.
            code = -signal.SIGKILL
    reader.join(timeout=1.0)  # a process that the step started may hold the pipe open
    text = bytes(tail).decode(errors="replace")
    events = read_journal(own_journal.read_text(errors="replace")) if own_journal.exists() else []
    return _outcome(events, code, text, timed_out=timed_out)


def _outcome(events: list[dict[str, Any]], code: int, text: str, *, timed_out: bool) -> dict[str, Any]:
    """The fields of a step's last event, from its own journal, its exit status and its output."""
    found = next((event for event in events if event["event"] == "end"), None)
    failed = next((event for event in events if event["event"] == "failed"), None)
    measured = {} if found is None else {k: v for k, v in found.items() if k not in ("event", "at", "stage", "seconds")}
    fields: dict[str, Any] = {**measured, "notes": [*measured.get("notes", []), *_warnings(text)][:MOST_NOTES]}
    if timed_out:
        outcome = "timeout"
    elif failed is not None and code == 1:
        outcome = "failed"
        fields["chain"] = failed.get("chain")
    elif found is None or code != 0:
        outcome = "crashed"
    else:
        outcome = "ok" if _is_right(found) else "wrong"
    if outcome in ("timeout", "failed", "crashed"):
        fields |= {"exit_code": code if code >= 0 else 128 - code, "tail": text}
        fields |= {"signal": signal.Signals(-code).name} if code < 0 and not timed_out else {}
    return {"outcome": outcome, **fields}


def _is_right(found: dict[str, Any]) -> bool:
    """Whether the difference is within the tolerance; one that is not finite is not."""
    difference = found["difference"]
    return difference["max_relative"] is not None and difference["max_relative"] <= difference["tolerance"]


def _warnings(text: str) -> list[str]:
    """The lines in which a library says that it takes another way, each once."""
    lines = (line.strip()[:MOST_NOTE_CHARACTERS] for line in text.splitlines() if WARNINGS.search(line))
    return list(dict.fromkeys(lines))


def _keep_tail(stream: IO[bytes], tail: bytearray) -> None:
    """Read to the end, keeping only the last bytes: a step may print without end."""
    with contextlib.suppress(OSError, ValueError):
        while chunk := stream.read1(4096):  # type: ignore[attr-defined]
            tail += chunk
            del tail[:-MOST_TAIL_BYTES]
