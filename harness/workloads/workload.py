"""What a workload is to the rest of strixbench: a name, stages, a unit, options, and what is right.

Each workload is one module in this folder, whose ``WORKLOAD`` is the one value that others use, and one module of the same name in
`benchmarks.workloads`, which runs inside images. Nothing else asks which workload it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.errors import UsageError
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan, Settings
from harness.text import nearest
from harness.workloads.limits import START_SECONDS, Limits, limits_of

COMMON_STAGES = ("launch", "import", "device")
"""What every launch goes through before its workload's own stages."""

SHORTEST_PASS_SECONDS = 1e-6
"""Nothing that is measured takes less."""

Event = Mapping[str, Any]

MEASURED_STAGES = ("load", "cold", "warm", "verify")
"""The stages of a workload that is timed in passes."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Events that the host saw come. Seconds are since it asked for the launch, by a clock that nobody sets."""

    after: float
    """At this time they were not there yet"""
    by: float
    """At this time they were"""
    ats: tuple[Any, ...]
    """The time that each of them tells"""


class HostClock(msgspec.Struct, frozen=True, kw_only=True):
    """What the host's own clocks say about a launch that it saw to its end."""

    begun: float
    """Unix seconds when it asked for the launch"""
    ended: float
    """Unix seconds when the launch had ended"""
    seconds: float
    """Between the two, by a clock that nobody sets"""
    sightings: tuple[Sighting, ...] = ()


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch left."""

    journal: Sequence[dict[str, Any]] = ()
    """The guest's events"""
    log_tail: str = ""
    """The end of what the libraries printed"""
    kernel_log: str = ""
    """What the kernel said meanwhile"""
    findings: Mapping[str, Any] = {}
    """What the host found out about the output: see `harness.workloads.workload.Workload.examine`"""
    clock: HostClock | None = None
    """``None``: the host did not see the launch to its end"""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass is divided by."""

    amount: str
    """``audio seconds``, ``images``"""
    rate_title: str
    """The heading of amount / seconds: ``Realtime``, ``Images/s``"""
    rate_suffix: str = ""
    """``x`` in ``4.3x``"""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number that tells about an output."""

    name: str
    """The heading of its column: ``DER``"""
    value: float | None
    """``None``: not known, or it means nothing here"""
    kind: Literal["share", "count"]
    """A share is shown in percent."""


class Workload:
    """The defaults are those of a workload that is one stage of its own name and is not timed in passes."""

    name: str = ""
    stages: tuple[str, ...] = ()
    """Its own stages, after `COMMON_STAGES`"""
    unit: Unit | None = None
    """``None``: it has no passes, and so no row among the results"""
    figures: tuple[str, ...] = ()
    """The headings of the figures that `figures_of` gives"""
    results_are_passes: bool = False
    """Whether each result that ends well is a pass, which a result with the outcome ``trying`` announces"""
    is_sampled_thoroughly: bool = False
    """Whether the host's meters are read as often as they can be, and the engine is asked for its own"""

    @property
    def all_stages(self) -> tuple[str, ...]:
        """All stages of a whole launch, in order."""
        return (*COMMON_STAGES, *self.stages)

    @property
    def last_stage(self) -> str:
        """The last stage of a whole launch."""
        return self.all_stages[-1]

    @property
    def is_measured(self) -> bool:
        """Whether it is timed in passes."""
        return self.unit is not None

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """How long a launch may take. ``amount`` is what one pass goes through."""
        usual = max(START_SECONDS, 10 * amount * (1 + settings.warm_passes)) if self.is_measured else START_SECONDS
        return limits_of(usual_seconds=usual, family=family, device=device, time_limit_seconds=settings.time_limit_seconds)

    def shortest_pass_seconds(self, plan: Plan) -> float:
        """No computer goes through the plan's amount in less."""
        return SHORTEST_PASS_SECONDS

    def guest_options(self, plan: Plan) -> Mapping[str, Any]:
        """What the guest's module is told beside the request's common fields."""
        return plan.options

    def under_way(self, journal: Sequence[Event]) -> str:
        """What the guest was doing within the workload's own stage where the journal ends; empty: it does not say."""
        return ""

    def lie(self, plan: Plan, journal: Sequence[Event], run_seconds: float | None) -> str | None:
        """What in the journal of a launch that ended well cannot be true; ``None``: nothing."""
        return None

    def examine(self, plan: Plan, journal: Sequence[Event], truth: Path | None) -> Mapping[str, Any]:
        """What the host finds out about the output by itself, such as its errors against the truth. Kept with the launch."""
        return {}

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """The verdict on a launch that ended well and does not lie; ``None``: it passed."""
        return None

    def is_result(self, launch: Launch) -> bool:
        """Whether a launch says something about the whole run of its cell, and so belongs to a row of the results."""
        return self.is_measured

    def figures_of(self, launch: Launch) -> tuple[Figure, ...]:
        """The figures of a launch, in the order of ``figures``."""
        return ()

    def agree(self, launch: Launch, reference: Launch) -> Agreement | None:
        """How far the output agrees with that of the CPU run; ``None``: this workload is not compared."""
        return None

    def reference_key(self, plan: Plan) -> tuple[object, ...]:
        """What two CPU runs of this workload must have in common, beside image, device and variant, to stand for each other."""
        workload = plan.workload
        return (workload.profile, workload.input_sha256, workload.models, tuple(sorted(workload.numbers.items())))

    def why_no_reference(self, launch: Launch) -> str:
        """Why a CPU run that passed cannot be compared with, as the end of a sentence: ``kept nothing of ...``; empty: it can."""
        return ""


def overlong(what: str, seconds: float, run_seconds: float | None) -> str | None:
    """That a launch's calls or passes took longer than the launch ran; ``None``: they did not, or it is not known."""
    if run_seconds is None or seconds <= run_seconds:
        return None
    return f"its {what} took longer than the {run_seconds:.1f} s that it ran"


@cache
def workload_named(name: str) -> Workload:
    """The workload of a name. Raises `UsageError` with the nearest name."""
    if name not in workload_names():
        raise UsageError(f"no workload {name!r}{nearest(name, workload_names())}: there are {', '.join(workload_names())}")
    found: Workload = importlib.import_module(f"harness.workloads.{name}").WORKLOAD
    return found


@cache
def workload_of_name(name: str) -> Workload:
    """The workload of a record; one that this strixbench does not know, such as a later version's, is a workload without rows."""
    if name in workload_names():
        return workload_named(name)
    unknown = Workload()
    unknown.name, unknown.stages = name, (name,)
    return unknown


def workload_of(plan: Plan) -> Workload:
    """The workload of a plan."""
    return workload_of_name(plan.workload.name)


def figure_of(launch: Launch, name: str) -> float | None:
    """One figure of a launch by its heading; ``None``: its workload has no such figure, or it is not known."""
    return next((figure.value for figure in workload_of(launch.plan).figures_of(launch) if figure.name == name), None)


@cache
def workload_names() -> tuple[str, ...]:
    """The workloads: the names that have a module here and one in the guest."""
    from harness import places

    folder = places.GUEST / "workloads"
    return tuple(sorted(path.stem for path in folder.iterdir() if path.stem.isidentifier() and not path.stem.startswith("_")))
