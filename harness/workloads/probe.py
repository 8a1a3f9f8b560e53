"""The probe: imports, the device, and then each part of what pyannote computes, in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.wire import COMPILING_STEPS
from harness.records.launch import Launch
from harness.records.outcome import Verdict
from harness.records.plan import Plan, Settings
from harness.workloads.limits import (
    FIRST_PASS_SECONDS,
    SECONDS_AFTER_STEP,
    START_SECONDS,
    STEP_SECONDS,
    Limits,
    compiles,
    limits_of,
)
from harness.workloads.steps import judge_steps
from harness.workloads.workload import Evidence, Workload


class ProbeWorkload(Workload):
    """After the device stage, one small computation after another, each in a process of its own."""

    name = "probe"
    stages = ("probe",)
    speaks_for = "diarization"

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """As long as its steps may take one after the other. ``step_timeout_seconds`` of the options holds for each step."""
        steps = settings.options.get("steps", ())
        if settings.time_limit_seconds is not None or not steps:
            return limits_of(
                usual_seconds=2 * START_SECONDS, family=family, device=device, time_limit_seconds=settings.time_limit_seconds
            )
        return Limits(whole_seconds=START_SECONDS + _steps_seconds(steps, settings.options, family, device))

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """The steps and how long each may take."""
        step, compiling = _step_limits(plan.options, plan.image.family, plan.device)
        return {
            "steps": list(plan.steps),
            "step_timeout_seconds": step,
            "compiling_step_timeout_seconds": compiling,
        }

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """By its steps, each of which must have ended."""
        return judge_steps(evidence.journal, plan.steps, evidence.kernel_log)

    def is_result(self, launch: Launch) -> bool:
        """A probe that failed before its steps says that the whole run would fail there too."""
        return launch.verdict.status != "pass" and not launch.said.steps


def _step_limits(options: Mapping[str, Any], family: str | None, device: str) -> tuple[float, float]:
    """How long a step may take, and one that compiles."""
    asked = options.get("step_timeout_seconds")
    if isinstance(asked, int | float):
        return asked, asked
    return STEP_SECONDS, FIRST_PASS_SECONDS if compiles(family, device) else STEP_SECONDS


def _steps_seconds(steps: Sequence[str], options: Mapping[str, Any], family: str | None, device: str) -> float:
    step, compiling = _step_limits(options, family, device)
    return sum((compiling if name in COMPILING_STEPS else step) + SECONDS_AFTER_STEP for name in steps)


WORKLOAD = ProbeWorkload()
