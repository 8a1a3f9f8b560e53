"""What became of the probe's steps: ``judge_step(name, event)`` -> verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.wire import OUTCOMES
from harness.failures.recognise import recognise
from harness.records.journal import mapping, number
from harness.records.outcome import Cause, ExceptionRecord, Verdict, exception_chain
from harness.workloads.failed import cause_of, failed, last_line

MOST_STEP_SECONDS = 24 * 3600.0


def judge_step(name: str, event: Mapping[str, Any], *, kernel_log: str = "") -> Verdict:
    """The verdict on one step of the probe, from its last event: a pass where it is ok or was skipped."""
    outcome = event.get("outcome")
    if outcome == "skipped":
        return Verdict(status="pass", stage=name)
    if outcome == "ok":
        lie = _impossible_step(event)
        return failed(name, "error", f"the journal cannot be true: {lie}") if lie else Verdict(status="pass", stage=name)
    if outcome == "wrong":
        return Verdict(status="wrong output", stage=name, summary=f"wrong numbers in {name}: {_difference(event)}")
    if outcome == "timeout":
        return failed(name, "timeout", f"{name} did not end in its time; killed")
    # The tail is this step's own. The kernel's log counts only where the step died.
    chain, tail = exception_chain(event.get("chain")), str(event.get("tail") or "")
    code = number(event.get("exit_code"))
    died = outcome == "crashed"
    signature = recognise(
        chain, tail, exit_code=None if code is None else int(code), during=name, kernel_log=kernel_log if died else ""
    )
    if outcome == "failed":
        root = chain[-1] if chain else ExceptionRecord(type="an exception that the journal does not name")
        cause: Cause = signature.cause if signature else cause_of(name, root)
        return failed(name, cause, f"{root.type}: {root.message}", signature=signature)
    if event.get("signal") == "SIGKILL":
        return failed(name, "out of memory", f"{name} was killed (SIGKILL): most likely by the kernel, for memory")
    cause = signature.cause if signature else "crash"
    end = event.get("signal") or f"exit {event.get('exit_code')} without saying why"
    return failed(name, cause, f"{name} died of {end}: {last_line(tail)}", signature=signature)


def judge_steps(journal: Sequence[dict[str, Any]], asked: Sequence[str], kernel_log: str) -> Verdict | None:
    """The verdict that the probe's steps give: the first failure, or else the first wrong result; ``None``: all is well."""
    last = {str(event.get("name")): event for event in journal if event.get("event") == "step"}
    missing = [name for name in asked if last.get(name, {}).get("outcome") not in OUTCOMES[1:]]
    if missing:
        return failed(missing[0], "error", f"the journal cannot be true: it ends without the step {missing[0]}")
    verdicts = [judge_step(name, last[name], kernel_log=kernel_log) for name in asked]
    bad = sorted((verdict for verdict in verdicts if verdict.status != "pass"), key=lambda each: each.status != "fail")
    return bad[0] if bad else None


def _impossible_step(event: Mapping[str, Any]) -> str | None:
    """What cannot be true of a step that claims to be ok; ``None``: nothing."""
    seconds = number(event.get("best_seconds"))
    if seconds is None or not 0 < seconds < MOST_STEP_SECONDS:
        return f"a call of {event.get('name')} took {event.get('best_seconds')} s"
    found = event.get("difference")
    if not isinstance(found, dict):
        return "the result was compared with nothing"
    relative, tolerance = number(found.get("max_relative")), number(found.get("tolerance"))
    if relative is None or tolerance is None or not 0 <= relative <= tolerance:
        return f"a difference of {found.get('max_relative')} was taken for one within {found.get('tolerance')}"
    return None


def _difference(event: Mapping[str, Any]) -> str:
    """How far a step's result lies from the CPU's, in words."""
    parts = mapping(event.get("difference"))
    relative, tolerance = number(parts.get("max_relative")), number(parts.get("tolerance"))
    if relative is None:
        return "not finite"
    return f"{relative:.1e} of the largest value away from the CPU's" + (f", {tolerance:.0e} is allowed" if tolerance else "")
