"""Builders of launches in arms. All numbers are made up; none is a measurement."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.analysis.effects import Effect, effects_of
from harness.records.launch import Launch
from tests.unit.samples import WORKLOAD, a_launch, a_plan, passing_journal

RATIOS = (1.03, 1.01, 1.02, 1.04, 1.02, 1.03)


def planned(number: int, arm: str, round_number: int, *, value: str, **changes: Any) -> Any:
    knobs = {"segmentation-batch": value}
    workload = msgspec.structs.replace(WORKLOAD, numbers={**WORKLOAD.numbers, "segmentation_batch_size": int(value)})
    variant = f"cpu+segmentation-batch={value}"
    return a_plan(number, variant=variant, workload=workload, arm=arm, round=round_number, knobs=knobs, **changes)


def base(number: int, round_number: int, seconds: float = 2.0, **changes: Any) -> Launch:
    return a_launch(planned(number, "base", round_number, value="32", **changes), journal=passing_journal(warm=(seconds,)))


def arm(number: int, round_number: int, seconds: float, *, value: str = "64", **changes: Any) -> Launch:
    plan = planned(number, f"segmentation-batch={value}", round_number, value=value, **changes)
    return a_launch(plan, journal=passing_journal(warm=(seconds,)))


def varied(*ratios: float, **changes: Any) -> list[Launch]:
    """A campaign of one arm against the base, a pair a ratio."""
    launches = []
    for number, ratio in enumerate(ratios):
        launches += [base(2 * number, number, **changes), arm(2 * number + 1, number, 2.0 * ratio, **changes)]
    return launches


def null(*ratios: float, **changes: Any) -> list[Launch]:
    """A null test, a pair a ratio."""
    launches = []
    for number, ratio in enumerate(ratios):
        for place, (name, seconds) in enumerate((("A", 2.0), ("B", 2.0 * ratio))):
            plan = a_plan(2 * number + place, variant="cpu", arm=name, round=number, purpose="null", **changes)
            launches.append(a_launch(plan, journal=passing_journal(warm=(seconds,))))
    return launches


def blas(*arms: str | None) -> Effect:
    """A campaign over the hipblaslt knob whose arms journal these libraries."""
    launches = []
    for number in range(6):
        for place, (name, library) in enumerate(zip(("base", "hipblaslt=off"), arms, strict=True)):
            knobs = {"hipblaslt": "on" if name == "base" else "off"}
            variant = f"native+hipblaslt={knobs['hipblaslt']}"
            plan = a_plan(2 * number + place, variant=variant, arm=name, round=number, knobs=knobs)
            journal = [
                {**event, "preferred_blas": library} if event.get("stage") == "device" and event["event"] == "end" else event
                for event in passing_journal()
            ]
            launches.append(a_launch(plan, journal=journal))
    (effect,) = effects_of(launches)
    return effect
