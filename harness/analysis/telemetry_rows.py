"""Rows -> what the host saw of them: power, energy, cost, throttling and memory, each with the name of its meter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from harness.analysis.energy import Energy, Memory, cost_of, energy_of, memory_of
from harness.analysis.intervals import Estimate, estimate, rate_of
from harness.analysis.rows import Row
from harness.analysis.throttling import signs_of_throttling
from harness.records.launch import Launch
from harness.records.price import Price


class TelemetryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row with at least one sampled launch."""

    row: Row
    meter: str
    """The meter of power or energy; empty: none could be read"""
    watts: Estimate | None
    """Mean power over the warm passes, one value for each launch"""
    idle_watts: float | None
    joules: Estimate | None
    """For the portion of its workload's unit, such as an hour of audio, without the idle host's share where that is known"""
    samples: int
    """Samples of the launch with the fewest; 0: there is no energy"""
    why_no_energy: str
    """Why there is no energy; empty: there is"""
    cost: Estimate | None
    """For the same; ``None``: no price was given, or what it pays for was not measured"""
    marks: tuple[str, ...]
    memory: tuple[Memory, ...]
    """The highest of any launch, meter by meter"""
    unavailable: dict[str, tuple[str, ...]]
    """Reason -> the meters that could not be read for it"""


def telemetry_rows(rows: Iterable[Row], launches: Iterable[Launch], price: Price) -> tuple[TelemetryRow, ...]:
    """One for each row that was sampled. ``launches`` are all launches, since the idle host is sampled once in a campaign."""
    campaigns: dict[str, list[Launch]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        campaigns.setdefault(launch.plan.campaign, []).append(launch)
    sampled = (row for row in rows if any(launch.telemetry is not None for launch in row.launches))
    return tuple(_telemetry_row(row, campaigns.get(row.speaking.plan.campaign, []), price) for row in sampled)


def unavailable_meters(rows: Iterable[TelemetryRow]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Reason -> the meters that could not be read for it, and the images where that was so."""
    meters: dict[str, dict[str, None]] = {}
    images: dict[str, dict[str, None]] = {}
    for each in rows:
        for reason, names in each.unavailable.items():
            meters.setdefault(reason, {}).update(dict.fromkeys(names))
            images.setdefault(reason, {})[each.row.image] = None
    return {reason: (tuple(sorted(names)), tuple(images[reason])) for reason, names in meters.items()}


def _telemetry_row(row: Row, campaign: Sequence[Launch], price: Price) -> TelemetryRow:
    sampled = [launch for launch in row.launches if launch.telemetry is not None]
    whole = [launch for launch in sampled if launch.verdict.status != "fail"]
    answers = [(launch, energy_of(launch, campaign)) for launch in whole]
    energies = [(launch, energy) for launch, energy in answers if isinstance(energy, Energy)]
    portion = row.workload.unit.portion if row.workload.unit else 1.0
    costs = [cost for launch, energy in answers if (cost := _cost(launch, energy, portion, price)) is not None]
    return TelemetryRow(
        row=row,
        meter=energies[-1][1].meter if energies else "",
        watts=estimate([energy.watts for _, energy in energies]),
        idle_watts=energies[-1][1].idle_watts if energies else None,
        joules=estimate([energy.joules_of(portion) for _, energy in energies]),
        samples=min((energy.samples for _, energy in energies), default=0),
        why_no_energy="" if energies else str(answers[-1][1]) if answers else "no launch came to its end",
        cost=estimate(costs),
        marks=_marks(whole or sampled),
        memory=_memory(whole or sampled),
        unavailable=_unavailable(sampled[-1]),
    )


def _cost(launch: Launch, energy: Energy | str, portion: float, price: Price) -> float | None:
    rate = rate_of(launch)
    joules = energy.joules_of(portion) if isinstance(energy, Energy) else None
    return cost_of(joules, portion / rate if rate else None, price)


def _marks(launches: Sequence[Launch]) -> tuple[str, ...]:
    """Each sign of throttling, with the number of launches that have it where not all do."""
    counted = Counter(sign for launch in launches for sign in signs_of_throttling(launch))
    total = len(launches)
    return tuple(sign if count == total else f"{sign} ({count} of {total})" for sign, count in counted.items())


def _memory(launches: Iterable[Launch]) -> tuple[Memory, ...]:
    """The highest value of each meter over the launches whose readings cover the passes; where none do, over all."""
    best: dict[str, Memory] = {}
    for launch in launches:
        for memory in memory_of(launch):
            so_far = best.get(memory.meter)
            if so_far is None or (not memory.gap, memory.bytes) > (not so_far.gap, so_far.bytes):
                best[memory.meter] = memory
    return tuple(best.values())


def _unavailable(launch: Launch) -> dict[str, tuple[str, ...]]:
    reasons: dict[str, list[str]] = {}
    for meter, reason in (launch.telemetry.unavailable if launch.telemetry else {}).items():
        reasons.setdefault(reason, []).append(meter)
    return {reason: tuple(meters) for reason, meters in reasons.items()}
