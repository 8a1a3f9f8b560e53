"""Launches -> the latest probe of each image, and what became of each step in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from benchmarks.wire import COMMON_STAGES, STEPS
from harness.failures.signature import Signature, signatures
from harness.records.journal import Step
from harness.records.launch import Launch
from harness.records.likeness import WORK, key_of
from harness.records.outcome import Verdict
from harness.workloads.steps import judge_step

COLUMNS = ("import", "device", *STEPS)
"""The columns of the matrix: two stages, then the steps"""

MOST_EVIDENCE_CHARACTERS = 1_500

State = Literal["ok", "skipped", "failed", "crashed", "wrong numbers", "timeout", "not reached", "not asked"]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One image in one step."""

    step: str
    state: State
    seconds: float | None = None
    """Of the best call; ``None`` where the step is not ok or gives no time, and for portable builds: their times are not results"""
    why: str = ""
    """Why it failed, in a word: a cause, an exception's type or a signal, which may come out of a container"""
    verdict: Verdict | None = None
    """``None``: it was not reached"""
    passes_with: tuple[str, ...] = ()
    """Fixes with which this step of the same image is ok"""
    tail: str = ""
    """The end of what the step printed: a library may say there what its exception does not"""

    @property
    def is_bad(self) -> bool:
        return self.verdict is not None and self.verdict.status != "pass"

    @property
    def signature(self) -> Signature | None:
        """The known failure, where one was recognised."""
        return signatures().get(self.verdict.signature or "") if self.verdict else None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The latest probe of an image, a variant and an engine."""

    launch: Launch
    cells: tuple[Cell, ...]

    @property
    def bad(self) -> tuple[Cell, ...]:
        """The cells that failed or gave wrong numbers."""
        return tuple(cell for cell in self.cells if cell.is_bad)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings that libraries printed in the device stage and the steps, and what knobs did, each once."""
        said = self.launch.said
        found = (*said.found("device").texts("warnings"), *(note for step in said.steps.values() for note in step.notes))
        return tuple(dict.fromkeys(note[:300] for note in found))[:20]


def probes_of(launches: Iterable[Launch]) -> tuple[Probe, ...]:
    """The latest probe of each image, variant and engine, by name; an interrupted one only where there is no other."""
    latest: dict[tuple[str, ...], Launch] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        key = key_of(launch.plan, without=WORK)
        if launch.plan.steps and (launch.verdict.cause != "interrupted" or key not in latest):
            latest[key] = launch
    shown = [launch for _, launch in sorted(latest.items())]
    return tuple(Probe(launch=launch, cells=_cells(launch, shown)) for launch in shown)


def _cells(launch: Launch, others: Iterable[Launch]) -> tuple[Cell, ...]:
    """The row of a launch, with the fixes that helped the same image."""
    steps = launch.said.steps
    stages = tuple(_stage_cell(launch, stage) for stage in ("import", "device"))
    return (*stages, *(_step_cell(launch, name, steps.get(name), others) for name in STEPS))


def _stage_cell(launch: Launch, stage: str) -> Cell:
    failed_here = launch.verdict.stage == stage and launch.verdict.status == "fail" and not launch.said.steps
    if launch.said.ends(stage) is not None and not failed_here:
        return Cell(step=stage, state="ok", verdict=Verdict(status="pass", stage=stage))
    if launch.verdict.stage == stage or (stage == "import" and launch.verdict.stage == COMMON_STAGES[0]):
        return Cell(step=stage, state="failed", why=str(launch.verdict.cause or launch.verdict.status), verdict=launch.verdict)
    return Cell(step=stage, state="not reached")


def _step_cell(launch: Launch, name: str, step: Step | None, others: Iterable[Launch]) -> Cell:
    """One step, from its last event."""
    if step is None:
        return Cell(step=name, state="not reached" if name in launch.plan.steps else "not asked")
    # The guest itself ended in it, which the verdict on the launch tells.
    verdict = launch.verdict if step.outcome == "trying" else judge_step(step, kernel_log=launch.kernel_log)
    if verdict.status == "pass":
        if step.outcome == "skipped":
            return Cell(step=name, state="skipped", verdict=verdict)
        seconds = None if launch.plan.image.portable_of else step.best_seconds
        return Cell(step=name, state="ok", seconds=seconds, verdict=verdict)
    state, why = _failure(step, verdict)
    return Cell(
        step=name,
        state=state,
        why=why,
        verdict=verdict,
        passes_with=_fixes_for(launch, name, others),
        tail=step.tail[-MOST_EVIDENCE_CHARACTERS:],
    )


def _failure(step: Step, verdict: Verdict) -> tuple[State, str]:
    """How a step failed, and why."""
    if step.outcome == "failed":
        return "failed", step.chain[-1].type.rsplit(".", 1)[-1][:60] if step.chain else ""
    if step.outcome == "crashed":
        return "crashed", (step.signal or f"exit {step.exit_code}")[:60]
    if step.outcome == "timeout":
        return "timeout", ""
    return ("wrong numbers", "") if step.outcome == "wrong" else ("failed", str(verdict.cause))


def _fixes_for(launch: Launch, step: str, others: Iterable[Launch]) -> tuple[str, ...]:
    """Fixes with which the same image on the same engine computed this step right."""
    plan = launch.plan
    return tuple(
        other.plan.variant.removeprefix(f"{plan.variant}+")
        for other in others
        if other.plan.variant.startswith(f"{plan.variant}+")
        and (other.image, other.plan.image.id, other.plan.engine.name) == (launch.image, plan.image.id, plan.engine.name)
        and (found := other.said.steps.get(step)) is not None
        and found.outcome == "ok"
    )
