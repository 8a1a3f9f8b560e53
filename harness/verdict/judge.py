"""What became of a launch: ``judge(journal, exit)`` -> verdict. Pure: it touches nothing."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.wire import OUTCOMES, STAGES, TASKS
from harness.failures.recognise import Signature, find_match, recognise
from harness.machine.gpu_faults import gpu_events
from harness.machine.kernel_log import KernelLine
from harness.records.journal import der_of, number
from harness.records.outcome import CacheRecord, Cause, ExceptionRecord, ExitRecord, Verdict, exception_chain
from harness.verdict.time_limits import FAULT_SECONDS
from harness.workloads.checks import SHORTEST_PASS_SECONDS, task_lie
from harness.workloads.ladder import judge_ladder

MOST_SUMMARY_CHARACTERS = 300

MOST_STEP_SECONDS = 24 * 3600.0


def judge(
    journal: Sequence[dict[str, Any]],
    exit: ExitRecord,  # noqa: A002 - the design's word for it
    *,
    family: str | None,
    last_stage: str,
    highest_der: float | None = None,
    warm_passes: int | None = None,
    steps: Sequence[str] = (),
    task: str = "",
    options: Mapping[str, Any] | None = None,
    device: str = "",
    log_tail: str = "",
    kernel_log: str = "",
) -> Verdict:
    """The verdict on one launch.

    ``family`` is what the image claims to be, ``warm_passes`` what was asked for; ``None`` where that is not known, and then
    nothing is held against it. ``steps`` are those of the probe that were asked for: each must have come to an end. A ``task``
    is the stage behind ``last_stage``, ``options`` are what was asked of it, and ``device`` is the one that it ran on.
    """
    stage = reached_stage(journal, steps)
    if not exit.started:
        known = recognise((), exit.message)
        said = exit.message or "the engine did not start it"
        return _fail(stage, "engine", said, signature=known.id if known else None)
    failed = next((event for event in journal if event.get("event") == "failed"), None)
    wrong_torch = _wrong_torch(journal, family)
    if wrong_torch is not None:
        signature = recognise((), wrong_torch)
        return _fail("import", "wrong torch", wrong_torch, signature=signature.id if signature else None)
    if exit.timed_out or exit.ended_because is not None:
        where = under_way(journal) if stage in TASKS else stage
        return _judge_ended(stage, where, exit, recognise((), "", kernel_log=kernel_log), kernel_log)
    if failed is not None:
        return _judge_exception(stage, exception_chain(failed.get("chain")), log_tail)
    if _said_done(journal, task or last_stage) and exit.code in (0, None):
        lie = _impossible(journal, last_stage, warm_passes, exit.run_seconds)
        lie = lie or task_lie(task, journal, options or {}, device, exit.run_seconds)
        if lie is not None:
            return _fail(stage, "error", f"the journal cannot be true: {lie}")
        if task == "ladder":
            return judge_ladder([event for event in journal if event.get("event") == "result"], options or {})
        if task:
            return Verdict(status="pass", stage=task)
        of_steps = _judge_steps(journal, steps, kernel_log)
        return of_steps or _judge_output(journal, last_stage, highest_der)
    if exit.interrupted:
        return _fail(stage, "interrupted", f"strixbench was ended while this launch was in {stage}")
    return _judge_death(journal, stage, exit, log_tail, kernel_log)


def _judge_ended(
    stage: str,
    where: str,
    exit: ExitRecord,  # noqa: A002
    known: Signature | None,
    kernel_log: str,
) -> Verdict:
    """Strixbench ended it, and says why."""
    signature = known.id if known else None
    if exit.ended_because == "gpu fault":
        lines = [line.strip() for line in kernel_log.splitlines() if line.strip()]
        # Without the line, the record still has it: an engine that died took it along.
        told = next((event.text for event in gpu_events(KernelLine(0.0, line) for line in lines)), "its log lines were lost")
        said = f"after a fault of the GPU {where} stood still for {FAULT_SECONDS:.0f} s; killed. The kernel: {told}"
        return _fail(stage, "gpu fault", said, signature=signature)
    if exit.ended_because == "first pass":
        seconds = f"{exit.run_seconds:,.0f} s" if exit.run_seconds is not None else "its time"
        said = f"its first pass did not end within {seconds}: still in {where}, where kernels are compiled; killed"
        return _fail(stage, "timeout", said, signature=signature)
    return _fail(stage, "timeout", f"still in {where} when the time was up; killed", signature=signature)


def with_kept_cache(verdict: Verdict, exit: ExitRecord, record: CacheRecord | None) -> Verdict:  # noqa: A002
    """The verdict on a launch that was ended in its first pass, with what became of the kernels that it had compiled."""
    if exit.ended_because != "first pass" or record is None or not record.files_after:
        return verdict
    if record.mode != "keep" and not record.kept_as:
        return verdict
    return msgspec.structs.replace(
        verdict, summary=f"{verdict.summary}. What was compiled is kept: run again with --caches keep"
    )


def reached_stage(journal: Sequence[dict[str, Any]], steps: Sequence[str] = ()) -> str:
    """The last stage that began, or of some steps the one that did not end; ``launch`` where the guest never said a word."""
    begun = [event.get("stage") for event in journal if event.get("event") == "begin"]
    known = [stage for stage in begun if stage in STAGES or stage in TASKS]
    tried = [event for event in journal if event.get("event") == "step" and event.get("name") in steps]
    if tried and tried[-1].get("outcome") == "trying":
        return str(tried[-1]["name"])
    return str(known[-1]) if known else STAGES[0]


def under_way(journal: Sequence[dict[str, Any]]) -> str:
    """What the guest was at when its journal ends: ``import, importing torchcodec``, ``ladder, segmentation at batch 128``."""
    stage = reached_stage(journal)
    rungs = [event for event in journal if event.get("event") == "result"] if stage == "ladder" else []
    if rungs and rungs[-1].get("outcome") == "trying":
        return f"{stage}, {rungs[-1].get('model')} at batch {rungs[-1].get('batch')}"
    trying = [event for event in journal if event.get("event") == "import"]
    return f"{stage}, importing {trying[-1].get('name')}" if trying and trying[-1].get("outcome") == "trying" else stage


def judge_step(name: str, event: Mapping[str, Any], *, kernel_log: str = "") -> Verdict:
    """The verdict on one step of the probe from its last event: a pass where it is ok or was skipped."""
    outcome = event.get("outcome")
    if outcome == "skipped":
        return Verdict(status="pass", stage=name)
    if outcome == "ok":
        lie = _impossible_step(event)
        return _fail(name, "error", f"the journal cannot be true: {lie}") if lie else Verdict(status="pass", stage=name)
    if outcome == "wrong":
        return Verdict(status="wrong output", stage=name, summary=f"wrong numbers in {name}: {_difference(event)}")
    if outcome == "timeout":
        return _fail(name, "timeout", f"{name} did not end in its time; killed")
    # The tail is this one step's, and what the kernel said while it died is asked only behind it.
    chain, tail = exception_chain(event.get("chain")), str(event.get("tail") or "")
    code = number(event.get("exit_code"))
    died = outcome == "crashed"
    signature = recognise(
        chain, tail, exit_code=None if code is None else int(code), during=name, kernel_log=kernel_log if died else ""
    )
    known = signature.id if signature else None
    if outcome == "failed":
        root = chain[-1] if chain else ExceptionRecord(type="an exception that the journal does not name")
        cause: Cause = signature.cause if signature else _cause_of(name, root)
        return _fail(name, cause, f"{root.type}: {root.message}", signature=known)
    if event.get("signal") == "SIGKILL":
        return _fail(name, "out of memory", f"{name} was killed (SIGKILL): most likely by the kernel, for memory")
    cause = signature.cause if signature else "crash"
    end = event.get("signal") or f"exit {event.get('exit_code')} without saying why"
    return _fail(name, cause, f"{name} died of {end}: {_last_line(tail)}", signature=known)


def _judge_steps(journal: Sequence[dict[str, Any]], asked: Sequence[str], kernel_log: str) -> Verdict | None:
    """The verdict that the probe's steps give: the first failure speaks, else the first wrong result; ``None``: all well."""
    last = {str(event.get("name")): event for event in journal if event.get("event") == "step"}
    missing = [name for name in asked if last.get(name, {}).get("outcome") not in OUTCOMES[1:]]
    if missing:
        return _fail(missing[0], "error", f"the journal cannot be true: it ends without the step {missing[0]}")
    verdicts = [judge_step(name, last[name], kernel_log=kernel_log) for name in asked]
    bad = sorted((verdict for verdict in verdicts if verdict.status != "pass"), key=lambda each: each.status != "fail")
    return bad[0] if bad else None


def _impossible_step(event: Mapping[str, Any]) -> str | None:
    """What in a step that is told to be ok cannot be; ``None``: nothing."""
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
    """How far a step's result lies from the CPU's."""
    found = event.get("difference")
    parts = found if isinstance(found, dict) else {}
    relative, tolerance = number(parts.get("max_relative")), number(parts.get("tolerance"))
    if relative is None:
        return "not finite"
    return f"{relative:.1e} of the largest value away from the CPU's" + (f", {tolerance:.0e} is allowed" if tolerance else "")


def _said_done(journal: Sequence[dict[str, Any]], last_stage: str) -> bool:
    """Whether the guest ended the stage it was asked to reach, and then itself."""
    ended = any(event.get("event") == "end" and event.get("stage") == last_stage for event in journal)
    return ended and any(event.get("event") == "done" for event in journal)


def _impossible(
    journal: Sequence[dict[str, Any]], last_stage: str, warm_passes: int | None, run_seconds: float | None
) -> str | None:
    """What in a finished journal cannot have happened; ``None``: nothing. The image wrote it, and may write anything."""
    ended = [event.get("stage") for event in journal if event.get("event") == "end"]
    missing = [stage for stage in STAGES[: STAGES.index(last_stage) + 1] if stage not in ended]
    if missing:
        return f"it ends without the stage {missing[0]}"
    if last_stage != STAGES[-1]:
        return None
    passes = [event for event in journal if event.get("event") == "pass"]
    seconds = [number(event.get("seconds")) for event in passes]
    counts = [sum(event.get("stage") == stage for event in passes) for stage in ("cold", "warm")]
    if warm_passes is not None and counts != [1, warm_passes]:
        return f"{counts[0]} cold and {counts[1]} warm passes; 1 and {warm_passes} were asked for"
    if any(value is None or value < SHORTEST_PASS_SECONDS for value in seconds):
        return "a pass took no time"
    if run_seconds is not None and sum(value or 0.0 for value in seconds) > run_seconds:
        return f"its passes took longer than the {run_seconds:.1f} s that it ran"
    output = next(event for event in journal if event.get("event") == "end" and event.get("stage") == "verify")
    speakers, parts = output.get("speakers"), output.get("der")
    values = list(parts.values()) if isinstance(parts, dict) else []
    if type(speakers) is not int or speakers < 0 or any((number(value) or 0.0) < 0 for value in values):
        return "speakers or errors below zero"
    return None


def _wrong_torch(journal: Sequence[dict[str, Any]], family: str | None) -> str | None:
    """What is wrong with the torch that was found, for a GPU family; ``None``: nothing, or not known."""
    found = next((e.get("torch") for e in journal if e.get("event") == "end" and e.get("stage") == "import"), None)
    if not isinstance(found, dict) or family not in ("rocm", "therock", "cuda"):
        return None
    wanted = "cuda" if family == "cuda" else "hip"
    if found.get(wanted):
        return None
    return (
        f"torch {found.get('version')} (hip {found.get('hip')}, cuda {found.get('cuda')}) in a {family} image: "
        "something replaced the torch that the image was built with"
    )


def _judge_exception(stage: str, chain: tuple[ExceptionRecord, ...], log_tail: str) -> Verdict:
    """A stage ended in an exception: the root of the chain says why, a known signature says more.

    The log may tell apart what looks the same in the chain, but is not blamed by itself: what a package that nobody
    needs printed there is no cause.
    """
    match = find_match(chain, log_tail) if chain else None
    signature = match.signature if match and match.found_in == "exception" else None
    root = chain[-1] if chain else ExceptionRecord(type="an exception that the journal does not name")
    cause: Cause = signature.cause if signature else _cause_of(stage, root)
    return _fail(stage, cause, f"{root.type}: {root.message}", signature=signature.id if signature else None)


def _cause_of(stage: str, root: ExceptionRecord) -> Cause:
    """The cause class of an exception that no signature knows."""
    kind = root.type.rsplit(".", 1)[-1]
    if kind in ("MemoryError", "OutOfMemoryError"):
        return "out of memory"
    if kind == "ModelsMissing":
        return "model access"
    if kind in ("DeviceUnavailable", "WrongDevice"):
        return "no device"
    return "import" if stage == "import" else "error"


def _judge_output(journal: Sequence[dict[str, Any]], last_stage: str, highest_der: float | None) -> Verdict:
    """The guest came to its end: right, or wrong output."""
    if last_stage != "verify":
        return Verdict(status="pass", stage=last_stage)
    output = next(e for e in journal if e.get("event") == "end" and e.get("stage") == "verify")
    der = der_of(output)
    wrong: str | None = None
    if output.get("finite") is not True:
        turns = output.get("speech_seconds") is None  # not summed where a turn is not finite
        wrong = "a speaker turn has no finite start or end" if turns else "a network put out values that are not finite"
    elif output.get("distinct_outputs") != 1:
        wrong = f"the passes of one launch gave {output.get('distinct_outputs')} different outputs for the same audio"
    elif highest_der is not None and (der is None or der > highest_der):
        shown = "unknown" if der is None else f"{der:.1%}"
        wrong = f"DER {shown} against the reference; what computes right stays under {highest_der:.1%}"
    if wrong is not None:
        return Verdict(status="wrong output", stage=last_stage, summary=wrong)
    return Verdict(status="pass", stage=last_stage)


def _judge_death(
    journal: Sequence[dict[str, Any]],
    stage: str,
    exit: ExitRecord,  # noqa: A002
    log_tail: str,
    kernel_log: str,
) -> Verdict:
    """The guest died without a word of its own."""
    code = exit.code
    if exit.out_of_memory:
        return _fail(stage, "out of memory", f"killed by the kernel in {stage}: the memory limit was reached")
    where = under_way(journal)
    signature = recognise((), log_tail, exit_code=code, during=where, kernel_log=kernel_log)
    if code == 128 + signal.SIGKILL and (signature is None or signature.cause == "out of memory"):
        said = f"killed (SIGKILL, exit 137) in {stage}: most likely by the kernel, for memory"
        return _fail(stage, "out of memory", said, signature=signature.id if signature else None)
    if code is not None and code > 128 and (name := _signal_name(code - 128)):
        cause: Cause = signature.cause if signature and signature.cause == "gpu fault" else "crash"
        return _fail(stage, cause, f"died of {name} in {where}", signature=signature.id if signature else None)
    if code in (126, 127) and not journal:
        return _fail("launch", "engine", f"the image could not run its Python (exit {code}): {_last_line(log_tail)}")
    if code == 2 and not journal:
        return _fail("launch", "error", _last_line(log_tail))
    return _fail(
        stage,
        signature.cause if signature else "error",
        f"ended with exit {code} in {where} without saying why: {_last_line(log_tail)}",
        signature=signature.id if signature else None,
    )


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"


def _fail(stage: str, cause: Cause, summary: str, *, signature: str | None = None) -> Verdict:
    """A failure; its summary is cut to one line of bearable length."""
    line = " ".join(summary.split())
    if len(line) > MOST_SUMMARY_CHARACTERS:
        line = line[: MOST_SUMMARY_CHARACTERS - 3] + "..."
    return Verdict(status="fail", stage=stage, cause=cause, summary=line, signature=signature)
