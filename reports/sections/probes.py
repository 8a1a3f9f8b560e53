"""Launches -> the matrix of images and the probe's steps, with the evidence for what failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from benchmarks.wire import STAGES, STEPS
from harness.failures.recognise import Signature, signatures
from harness.records.journal import number
from harness.records.launch import Launch
from harness.records.outcome import Verdict, exception_chain
from harness.verdict.steps import judge_step

COLUMNS = ("import", "device", *STEPS)
"""The columns of the matrix: two stages, then the steps"""

MOST_EVIDENCE_CHARACTERS = 1_500


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One image in one step."""

    step: str
    text: str
    """Such as ``ok 12 ms`` or ``crashed (SIGSEGV)``; parts of it may come out of a container"""
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
        found = [self.launch.ends("device").get("warnings"), *(event.get("notes") for event in self.launch.steps.values())]
        return tuple(dict.fromkeys(str(note)[:300] for notes in found if isinstance(notes, list) for note in notes))[:20]


def notes_of(probes: Iterable[Probe]) -> dict[str, tuple[str, ...]]:
    """Each note with the images that have it, since most images have the same notes."""
    said: dict[str, list[str]] = {}
    for probe in probes:
        for note in probe.notes:
            said.setdefault(note, []).append(f"{probe.launch.image} ({probe.launch.plan.variant})")
    return {note: tuple(images) for note, images in said.items()}


def probes_of(launches: Iterable[Launch]) -> tuple[Probe, ...]:
    """The latest probe of each image, variant and engine, by name; an interrupted one only where there is no other."""
    latest: dict[tuple[str, str, str, bool], Launch] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        plan = launch.plan
        key = (launch.image, plan.variant, f"{plan.engine.name} {plan.flags} {plan.gpu}", plan.engine.rootless)
        if plan.steps and (launch.verdict.cause != "interrupted" or key not in latest):
            latest[key] = launch
    shown = [launch for _, launch in sorted(latest.items())]
    return tuple(Probe(launch=launch, cells=_cells(launch, shown)) for launch in shown)


def _cells(launch: Launch, others: Iterable[Launch]) -> tuple[Cell, ...]:
    """The row of a launch, with the fixes that helped the same image."""
    steps = launch.steps
    stages = tuple(_stage_cell(launch, stage) for stage in ("import", "device"))
    return (*stages, *(_step_cell(launch, name, steps.get(name), others) for name in STEPS))


def _stage_cell(launch: Launch, stage: str) -> Cell:
    if launch.ends(stage) and not (launch.verdict.stage == stage and launch.verdict.status == "fail" and not launch.steps):
        return Cell(step=stage, text="ok", verdict=Verdict(status="pass", stage=stage))
    if launch.verdict.stage == stage or (stage == "import" and launch.verdict.stage == STAGES[0]):
        return Cell(step=stage, text=f"failed ({launch.verdict.cause or launch.verdict.status})", verdict=launch.verdict)
    return Cell(step=stage, text="not reached")


def _step_cell(launch: Launch, name: str, event: Mapping[str, Any] | None, others: Iterable[Launch]) -> Cell:
    """One step, from its last event."""
    if event is None:
        return Cell(step=name, text="not reached" if name in launch.plan.steps else "not asked")
    # The guest itself ended in it, which the verdict on the launch tells.
    verdict = (
        launch.verdict
        if event.get("outcome") == "trying"
        else judge_step(launch.said.steps[name], kernel_log=launch.kernel_log)
    )
    if verdict.status == "pass":
        # A portable build's times are nobody's result.
        text = "ok" if launch.plan.image.portable_of and event.get("outcome") == "ok" else _passed(event)
        return Cell(step=name, text=text, verdict=verdict)
    fixes = _fixes_for(launch, name, others)
    text = _failed(event, verdict)
    return Cell(
        step=name,
        text=f"{text}; passes with {' or '.join(fixes)}" if fixes else text,
        verdict=verdict,
        passes_with=fixes,
        tail=str(event.get("tail") or "")[-MOST_EVIDENCE_CHARACTERS:],
    )


def _fixes_for(launch: Launch, step: str, others: Iterable[Launch]) -> tuple[str, ...]:
    """Fixes with which the same image on the same engine computed this step right."""
    plan = launch.plan
    return tuple(
        other.plan.variant.removeprefix(f"{plan.variant}+")
        for other in others
        if other.plan.variant.startswith(f"{plan.variant}+")
        and (other.image, other.plan.image.id, other.plan.engine.name) == (launch.image, plan.image.id, plan.engine.name)
        and other.steps.get(step, {}).get("outcome") == "ok"
    )


def _passed(event: Mapping[str, Any]) -> str:
    if event.get("outcome") == "skipped":
        return "skipped"
    seconds = number(event.get("best_seconds"))
    return "ok" if seconds is None else f"ok {format_step_seconds(seconds)}"


def _failed(event: Mapping[str, Any], verdict: Verdict) -> str:
    """How it failed, in a word or two."""
    outcome = event.get("outcome")
    if outcome == "failed":
        chain = exception_chain(event.get("chain"))
        return f"failed ({chain[-1].type.rsplit('.', 1)[-1][:60]})" if chain else "failed"
    if outcome == "crashed":
        died = event.get("signal") or f"exit {event.get('exit_code')}"
        return f"crashed ({str(died)[:60]})"
    return {"wrong": "wrong numbers", "timeout": "timeout"}.get(str(outcome), f"failed ({verdict.cause})")


def format_step_seconds(seconds: float) -> str:
    """``0.35 ms``, ``12 ms``, ``3.51 s``"""
    if seconds < 0.001:
        return f"{seconds * 1000:.2f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
