"""What became of a launch: ``judge(said, exit)`` -> verdict. Pure: it touches nothing."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.wire import STAGES, TASKS
from harness.failures.recognise import find_match, recognise
from harness.machine.gpu_faults import gpu_events
from harness.machine.kernel_log import KernelLine
from harness.records.journal import End, Import, Journal, Pass, Step, der_of
from harness.records.outcome import CacheRecord, Cause, ExceptionRecord, ExitRecord, Verdict
from harness.verdict.failed import cause_of, failed, last_line
from harness.verdict.steps import judge_steps
from harness.verdict.time_limits import FAULT_SECONDS
from harness.workloads.checks import SHORTEST_PASS_SECONDS, overlong, task_lie
from harness.workloads.ladder import judge_ladder


def judge(
    said: Journal,
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
    """The verdict on one launch, from what its guest said and how it ended.

    ``family`` is what the image claims to be, and ``warm_passes`` how many were asked for; where one is ``None``, it is not known
    and not checked. ``steps`` are the probe's steps that were asked for: each must have ended. A ``task`` is the stage after
    ``last_stage``, ``options`` are what was asked of it, and ``device`` is the device that it ran on.
    """
    stage = reached_stage(said, steps)
    if not exit.started:
        why = exit.message or "the engine did not start it"
        return failed(stage, "engine", why, signature=recognise((), exit.message))
    wrong_torch = _wrong_torch(said, family)
    if wrong_torch is not None:
        return failed("import", "wrong torch", wrong_torch, signature=recognise((), wrong_torch))
    if exit.timed_out or exit.ended_because is not None:
        where = under_way(said) if stage in TASKS else stage
        return _judge_ended(stage, where, exit, kernel_log)
    if said.failure is not None:
        return _judge_exception(stage, said.failure.chain, log_tail)
    if _said_done(said, task or last_stage) and exit.code in (0, None):
        lie = _impossible(said, last_stage, warm_passes, exit.run_seconds)
        lie = lie or task_lie(task, said, options or {}, device, exit.run_seconds)
        if lie is not None:
            return failed(stage, "error", f"the journal cannot be true: {lie}")
        if task == "ladder":
            return judge_ladder(said.results, options or {})
        if task:
            return Verdict(status="pass", stage=task)
        of_steps = judge_steps(said, steps, kernel_log)
        return of_steps or _judge_output(said, last_stage, highest_der)
    if exit.interrupted:
        return failed(stage, "interrupted", f"strixbench was ended while this launch was in {stage}")
    return _judge_death(said, stage, exit, log_tail, kernel_log)


def _judge_ended(stage: str, where: str, exit: ExitRecord, kernel_log: str) -> Verdict:  # noqa: A002
    """The verdict on a launch that strixbench ended, and why."""
    signature = recognise((), "", kernel_log=kernel_log)
    if exit.ended_because == "gpu fault":
        lines = [line.strip() for line in kernel_log.splitlines() if line.strip()]
        # The record knows of the fault even where its lines are gone: an engine that died took them with it.
        told = next((event.text for event in gpu_events(KernelLine(0.0, line) for line in lines)), "its log lines were lost")
        said = f"after a fault of the GPU {where} stood still for {FAULT_SECONDS:.0f} s; killed. The kernel: {told}"
        return failed(stage, "gpu fault", said, signature=signature)
    if exit.ended_because == "first pass":
        seconds = f"{exit.run_seconds:,.0f} s" if exit.run_seconds is not None else "its time"
        said = f"its first pass did not end within {seconds}: still in {where}, where kernels are compiled; killed"
        return failed(stage, "timeout", said, signature=signature)
    return failed(stage, "timeout", f"still in {where} when the time was up; killed", signature=signature)


def with_kept_cache(verdict: Verdict, exit: ExitRecord, record: CacheRecord | None) -> Verdict:  # noqa: A002
    """The verdict; where a launch was ended in its first pass, it also says that the kernels compiled until then are kept."""
    if exit.ended_because != "first pass" or record is None or not record.files_after:
        return verdict
    if record.mode != "keep" and not record.kept_as:
        return verdict
    return msgspec.structs.replace(
        verdict, summary=f"{verdict.summary}. What was compiled is kept: run again with --caches keep"
    )


def reached_stage(said: Journal, steps: Sequence[str] = ()) -> str:
    """The last stage that began, or the step among ``steps`` that did not end; ``launch`` where the guest never wrote a word."""
    known = [begin.stage for begin in said.begun if begin.stage in STAGES or begin.stage in TASKS]
    tried = [step for step in said.of(Step) if step.name in steps]
    if tried and tried[-1].outcome == "trying":
        return tried[-1].name
    return known[-1] if known else STAGES[0]


def under_way(said: Journal) -> str:
    """What the guest was doing where its journal ends: ``import, importing torchcodec``, ``ladder, segmentation at batch 128``."""
    stage = reached_stage(said)
    rungs = said.results if stage == "ladder" else ()
    if rungs and rungs[-1].text("outcome") == "trying":
        return f"{stage}, {rungs[-1].text('model')} at batch {rungs[-1].count('batch')}"
    imports = said.of(Import)
    is_importing = bool(imports and imports[-1].name) and imports[-1].outcome == "trying"
    return f"{stage}, importing {imports[-1].name}" if is_importing else stage


def _said_done(said: Journal, last_stage: str) -> bool:
    """Whether the guest said that it ended the stage it was asked to reach, and then that it was done."""
    return said.ends(last_stage) is not None and said.is_done


def _impossible(said: Journal, last_stage: str, warm_passes: int | None, run_seconds: float | None) -> str | None:
    """What in a finished journal cannot have happened; ``None``: nothing. The image wrote it and may write anything."""
    ended = [end.stage for end in said.of(End)]
    missing = [stage for stage in STAGES[: STAGES.index(last_stage) + 1] if stage not in ended]
    if missing:
        return f"it ends without the stage {missing[0]}"
    if last_stage != STAGES[-1]:
        return None
    seconds = [each.seconds for each in said.of(Pass)]
    counts = [len(said.passes(stage)) for stage in ("cold", "warm")]
    if warm_passes is not None and counts != [1, warm_passes]:
        return f"{counts[0]} cold and {counts[1]} warm passes; 1 and {warm_passes} were asked for"
    if any(value is None or value < SHORTEST_PASS_SECONDS for value in seconds):
        return "a pass took no time"
    if lie := overlong("passes", sum(value or 0.0 for value in seconds), run_seconds):
        return lie
    output = said.found("verify")
    parts = output.fields("der")
    if output.count("speakers") is None or any((parts.number(name) or 0.0) < 0 for name in parts):
        return "speakers or errors below zero"
    return None


def _wrong_torch(said: Journal, family: str | None) -> str | None:
    """What is wrong with the torch that a GPU family's image has; ``None``: nothing, or it is not known."""
    found = said.found("import")
    if not found.has_fields("torch") or family not in ("rocm", "therock", "cuda"):
        return None
    torch = found.fields("torch")
    if torch.text("cuda" if family == "cuda" else "hip"):
        return None
    return (
        f"torch {torch.text('version')} (hip {torch.text('hip')}, cuda {torch.text('cuda')}) in a {family} image: "
        "something replaced the torch that the image was built with"
    )


def _judge_exception(stage: str, chain: tuple[ExceptionRecord, ...], log_tail: str) -> Verdict:
    """The verdict on a stage that ended in an exception. The root of the chain says why; a known signature says more.

    The log may tell apart chains that look the same, but is never the cause by itself: a package that nobody needs may have
    printed there.
    """
    match = find_match(chain, log_tail) if chain else None
    signature = match.signature if match and match.found_in == "exception" else None
    root = chain[-1] if chain else ExceptionRecord(type="an exception that the journal does not name")
    cause: Cause = signature.cause if signature else cause_of(stage, root)
    return failed(stage, cause, f"{root.type}: {root.message}", signature=signature)


def _judge_output(said: Journal, last_stage: str, highest_der: float | None) -> Verdict:
    """The verdict on a guest that finished: pass, or wrong output."""
    if last_stage != "verify":
        return Verdict(status="pass", stage=last_stage)
    output = said.found("verify")
    der, outputs = der_of(output), output.count("distinct_outputs")
    wrong: str | None = None
    if output.flag("finite") is not True:
        turns = output.number("speech_seconds") is None  # not summed where a turn is not finite
        wrong = "a speaker turn has no finite start or end" if turns else "a network put out values that are not finite"
    elif outputs != 1:
        told = "an unknown number of" if outputs is None else outputs
        wrong = f"the passes of one launch gave {told} different outputs for the same audio"
    elif highest_der is not None and (der is None or der > highest_der):
        shown = "unknown" if der is None else f"{der:.1%}"
        wrong = f"DER {shown} against the reference; what computes right stays under {highest_der:.1%}"
    if wrong is not None:
        return Verdict(status="wrong output", stage=last_stage, summary=wrong)
    return Verdict(status="pass", stage=last_stage)


def _judge_death(
    said: Journal,
    stage: str,
    exit: ExitRecord,  # noqa: A002
    log_tail: str,
    kernel_log: str,
) -> Verdict:
    """The verdict on a guest that died without saying why."""
    code = exit.code
    if exit.out_of_memory:
        return failed(stage, "out of memory", f"killed by the kernel in {stage}: the memory limit was reached")
    where = under_way(said)
    signature = recognise((), log_tail, exit_code=code, during=where, kernel_log=kernel_log)
    if code == 128 + signal.SIGKILL and (signature is None or signature.cause == "out of memory"):
        summary = f"killed (SIGKILL, exit 137) in {stage}: most likely by the kernel, for memory"
        return failed(stage, "out of memory", summary, signature=signature)
    if code is not None and code > 128 and (name := _signal_name(code - 128)):
        cause: Cause = signature.cause if signature and signature.cause == "gpu fault" else "crash"
        return failed(stage, cause, f"died of {name} in {where}", signature=signature)
    if code in (126, 127) and not said.events:
        return failed("launch", "engine", f"the image could not run its Python (exit {code}): {last_line(log_tail)}")
    if code == 2 and not said.events:
        return failed("launch", "error", last_line(log_tail))
    return failed(
        stage,
        signature.cause if signature else "error",
        f"ended with exit {code} in {where} without saying why: {last_line(log_tail)}",
        signature=signature,
    )


def _signal_name(number: int) -> str | None:
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
