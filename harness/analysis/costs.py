"""Launches of one cell on several lengths -> the fixed cost of an input, and the cost of each further part of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from harness.analysis.cost_model import CostModel, NoFit, Point, fit_cost
from harness.analysis.stopping import value_of
from harness.records.launch import Launch
from harness.records.likeness import HASHES, key_of
from harness.workloads.workload import workload_of


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A cell on all lengths of one input and on one engine, from the latest campaign that gives a line."""

    launches: tuple[Launch, ...]
    """All that ended, including those that failed"""
    model: CostModel | NoFit
    later: str = ""
    """Why a later campaign on several lengths gives no line; empty: there is no later one"""


def cost_rows(launches: Iterable[Launch]) -> tuple[CostRow, ...]:
    """One row for each cell (with its input of any length) and engine that a campaign ran on several lengths."""
    groups: dict[tuple[str, ...], dict[str, list[Launch]]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        plan = launch.plan
        if plan.purpose == "result" and workload_of(plan).is_whole(plan) and plan.image.portable_of is None:
            key = (*key_of(plan, without=("input", *HASHES)), series_of(launch))
            groups.setdefault(key, {}).setdefault(plan.campaign, []).append(launch)
    found = (_row(campaigns.values()) for _, campaigns in sorted(groups.items()))
    return tuple(row for row in found if row is not None)


def series_of(launch: Launch) -> str:
    """What a launch's input is called without its length."""
    return workload_of(launch.plan).series(launch.plan.workload)


def _row(campaigns: Iterable[Sequence[Launch]]) -> CostRow | None:
    """The row from the latest campaign on two lengths or more that gives a line, or else from the latest; ``None``: there is none.

    Interrupted launches do not count, and a campaign that was cut off replaces no other.
    """
    several = (found for found in campaigns if len({launch.plan.workload.input for launch in found}) > 1)
    ended = (tuple(each for each in found if each.verdict.cause != "interrupted") for found in several)
    rows = [CostRow(launches=found, model=_model(found)) for found in ended if found]
    if not rows:
        return None
    fitted = next((row for row in reversed(rows) if isinstance(row.model, CostModel)), rows[-1])
    last = rows[-1].model
    return fitted if fitted is rows[-1] or not isinstance(last, NoFit) else msgspec.structs.replace(fitted, later=last.reason)


def _model(launches: Sequence[Launch]) -> CostModel | NoFit:
    timed = ((launch.plan.workload.amount, value_of(launch)) for launch in launches)
    points = [Point(length, seconds) for length, seconds in timed if seconds is not None]
    workload = workload_of(launches[-1].plan)
    portion = workload.unit.portion if workload.unit else 1.0
    return fit_cost(points, portion=portion, free=workload.free_amount, why_free=workload.why_free)
