"""What became of the probe's steps: ``judge_step(step)`` -> verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.wire import OUTCOMES
from harness.failures.recognise import recognise
from harness.records.journal import Journal, Step
from harness.records.outcome import Cause, ExceptionRecord, Verdict
from harness.workloads.failed import cause_of, failed, last_line

MOST_STEP_SECONDS = 24 * 3600.0


def judge_step(step: Step, *, kernel_log: str = "") -> Verdict:
    """The verdict on one step of the probe, from its last event: a pass where it is ok or was skipped."""
    name, outcome = step.name, step.outcome
    if outcome == "skipped":
        return Verdict(status="pass", stage=name)
    if outcome == "ok":
        lie = _impossible_step(step)
        return failed(name, "error", f"the journal cannot be true: {lie}") if lie else Verdict(status="pass", stage=name)
    if outcome == "wrong":
        return Verdict(status="wrong output", stage=name, summary=f"wrong numbers in {name}: {_difference(step)}")
    if outcome == "timeout":
        return failed(name, "timeout", f"{name} did not end in its time; killed")
    # The tail is this step's own. The kernel's log counts only where the step died.
    searched = kernel_log if outcome == "crashed" else ""
    signature = recognise(step.chain, step.tail, exit_code=step.exit_code, during=name, kernel_log=searched)
    if outcome == "failed":
        root = step.chain[-1] if step.chain else ExceptionRecord(type="an exception that the journal does not name")
        cause: Cause = signature.cause if signature else cause_of(name, root)
        return failed(name, cause, f"{root.type}: {root.message}", signature=signature)
    if step.signal == "SIGKILL":
        return failed(name, "out of memory", f"{name} was killed (SIGKILL): most likely by the kernel, for memory")
    cause = signature.cause if signature else "crash"
    end = step.signal or f"exit {step.exit_code} without saying why"
    return failed(name, cause, f"{name} died of {end}: {last_line(step.tail)}", signature=signature)


def judge_steps(said: Journal, asked: Sequence[str], kernel_log: str) -> Verdict | None:
    """The verdict that the probe's steps give: the first failure, or else the first wrong result; ``None``: all is well."""
    last = said.steps
    missing = [name for name in asked if name not in last or last[name].outcome not in OUTCOMES[1:]]
    if missing:
        return failed(missing[0], "error", f"the journal cannot be true: it ends without the step {missing[0]}")
    verdicts = [judge_step(last[name], kernel_log=kernel_log) for name in asked]
    bad = sorted((verdict for verdict in verdicts if verdict.status != "pass"), key=lambda each: each.status != "fail")
    return bad[0] if bad else None


def _impossible_step(step: Step) -> str | None:
    """What cannot be true of a step that claims to be ok; ``None``: nothing."""
    seconds, difference = step.best_seconds, step.difference
    if seconds is None or not 0 < seconds < MOST_STEP_SECONDS:
        return f"a call of {step.name} took {'no number of' if seconds is None else f'{seconds:g}'} s"
    if difference is None:
        return "the result was compared with nothing"
    relative, tolerance = difference.max_relative, difference.tolerance
    if relative is None or tolerance is None or not 0 <= relative <= tolerance:
        return f"a difference of {relative} was taken for one within {tolerance}"
    return None


def _difference(step: Step) -> str:
    """How far a step's result lies from the CPU's, in words."""
    if step.difference is None or step.difference.max_relative is None:
        return "not finite"
    relative, tolerance = step.difference.max_relative, step.difference.tolerance
    return f"{relative:.1e} of the largest value away from the CPU's" + (f", {tolerance:.0e} is allowed" if tolerance else "")
