"""What became of a launch: ``judge(plan, exit, evidence)`` -> verdict. Pure: it touches nothing."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import msgspec

from benchmarks.wire import STAGES
from harness.failures.recognise import find_match, recognise
from harness.machine.gpu_faults import gpu_events
from harness.machine.kernel_log import KernelLine
from harness.records.journal import Import, Journal, Step
from harness.records.outcome import CacheRecord, Cause, ExceptionRecord, ExitRecord, Verdict
from harness.records.plan import Plan
from harness.verdict.clocks import impossible_times
from harness.verdict.time_limits import FAULT_SECONDS
from harness.workloads.failed import NOT_TRUE, cause_of, failed, last_line
from harness.workloads.workload import Evidence, Workload, workload_of


def judge(plan: Plan, exit: ExitRecord, evidence: Evidence) -> Verdict:  # noqa: A002 - the design's word for it
    """The verdict on one launch. It trusts nothing that the image wrote: a journal that cannot be true is a failure."""
    journal, workload = evidence.journal, workload_of(plan)
    stage = reached_stage(journal, workload, plan.steps)
    if not exit.started:
        said = exit.message or "the engine did not start it"
        return failed(stage, "engine", said, signature=recognise((), exit.message))
    wrong_torch = _wrong_torch(journal, plan.image.family)
    if wrong_torch is not None:
        return failed("import", "wrong torch", wrong_torch, signature=recognise((), wrong_torch))
    if exit.timed_out or exit.ended_because is not None:
        where = stage if stage in STAGES or stage in plan.steps else under_way(journal, workload)
        return _judge_ended(stage, where, exit, evidence.kernel_log)
    if journal.failure is not None:
        return _judge_exception(stage, journal.failure.chain, evidence.log_tail)
    if _said_done(journal, plan.last_stage) and exit.code in (0, None):
        lie = _impossible(plan, workload, evidence, exit.run_seconds)
        if lie is not None:
            return failed(stage, "error", f"{NOT_TRUE}: {lie}")
        if plan.last_stage != workload.last_stage and not plan.steps:  # of schema 1 the steps came after the stage device
            return Verdict(status="pass", stage=plan.last_stage)
        return workload.judge(plan, evidence) or Verdict(status="pass", stage=plan.last_stage)
    if exit.interrupted:
        return failed(stage, "interrupted", f"strixbench was ended while this launch was in {stage}")
    return _judge_death(stage, under_way(journal, workload), exit, evidence)


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


def reached_stage(journal: Journal, workload: Workload, steps: Sequence[str] = ()) -> str:
    """The last stage that began, or the step among ``steps`` that did not end; ``launch`` where the guest never wrote a word."""
    tried = [step for step in journal.of(Step) if step.name in steps]
    if tried and tried[-1].outcome == "trying":
        return tried[-1].name
    known = [begin.stage for begin in journal.begun if begin.stage in STAGES or begin.stage in workload.stages]
    return known[-1] if known else STAGES[0]


def under_way(journal: Journal, workload: Workload) -> str:
    """What the guest was doing where its journal ends: ``import, importing torchcodec``, ``ladder, segmentation at batch 128``."""
    stage = reached_stage(journal, workload)
    if stage in workload.stages and (doing := workload.under_way(journal)):
        return f"{stage}, {doing}"
    imports = journal.of(Import)
    is_importing = bool(imports and imports[-1].name) and imports[-1].outcome == "trying"
    return f"{stage}, importing {imports[-1].name}" if is_importing else stage


def _said_done(journal: Journal, last_stage: str) -> bool:
    """Whether the guest said that it ended the stage it was asked to reach, and then that it was done."""
    return journal.is_done and journal.ends(last_stage) is not None


def _impossible(plan: Plan, workload: Workload, evidence: Evidence, run_seconds: float | None) -> str | None:
    """What in a finished journal cannot have happened; ``None``: nothing. The image wrote it and may write anything."""
    journal, stages = evidence.journal, workload.all_stages
    # A plan that a later strixbench left may name a stage that is unknown here.
    asked = stages[: stages.index(plan.last_stage) + 1] if plan.last_stage in stages else (plan.last_stage,)
    missing = [stage for stage in asked if journal.ends(stage) is None]
    if missing:
        return f"it ends without the stage {missing[0]}"
    whole = plan.last_stage == workload.last_stage
    lie = _miscounted_passes(plan, journal) if whole and workload.is_measured else None
    lie = lie or impossible_times(
        journal,
        clock=evidence.clock,
        run_seconds=run_seconds,
        shortest_pass_seconds=workload.shortest_pass_seconds(plan),
        results_are_passes=workload.results_are_passes,
    )
    return lie or (workload.lie(plan, journal, run_seconds) if whole else None)


def _miscounted_passes(plan: Plan, journal: Journal) -> str | None:
    """That there are not as many passes as were asked for; ``None``: there are."""
    counts = [len(journal.passes(stage)) for stage in ("cold", "warm")]
    if counts == [1, plan.warm_passes]:
        return None
    return f"{counts[0]} cold and {counts[1]} warm passes; 1 and {plan.warm_passes} were asked for"


def _wrong_torch(journal: Journal, family: str | None) -> str | None:
    """What is wrong with the torch that a GPU family's image has; ``None``: nothing, or it is not known."""
    told = journal.found("import")
    if not told.has_fields("torch") or family not in ("rocm", "therock", "cuda"):
        return None
    torch = told.fields("torch")
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


def _judge_death(stage: str, where: str, exit: ExitRecord, evidence: Evidence) -> Verdict:  # noqa: A002
    """The verdict on a guest that died without saying why. ``where`` is what it was doing."""
    journal, log_tail = evidence.journal, evidence.log_tail
    code = exit.code
    if exit.out_of_memory:
        return failed(stage, "out of memory", f"killed by the kernel in {stage}: the memory limit was reached")
    signature = recognise((), log_tail, exit_code=code, during=where, kernel_log=evidence.kernel_log)
    if code == 128 + signal.SIGKILL and (signature is None or signature.cause == "out of memory"):
        summary = f"killed (SIGKILL, exit 137) in {stage}: most likely by the kernel, for memory"
        return failed(stage, "out of memory", summary, signature=signature)
    if code is not None and code > 128 and (name := _signal_name(code - 128)):
        cause: Cause = signature.cause if signature and signature.cause in ("gpu fault", "processor") else "crash"
        return failed(stage, cause, f"died of {name} in {where}", signature=signature)
    if code in (126, 127) and not journal.events:
        return failed("launch", "engine", f"the image could not run its Python (exit {code}): {last_line(log_tail)}")
    if code == 2 and not journal.events:
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
