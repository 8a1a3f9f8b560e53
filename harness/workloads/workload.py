"""What a workload is to the rest of strixbench: a name, stages, a unit, options, and what is right.

Each workload is one module in this folder, whose ``WORKLOAD`` is the one value that others use, and one module of the same name in
`benchmarks.workloads`, which runs inside images. Nothing else asks which workload it is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.wire import COMMON_STAGES
from benchmarks.wire import MEASURED_STAGES as MEASURED_STAGES
from harness.errors import UsageError
from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan, Settings, WorkloadRecord
from harness.text import nearest
from harness.workloads.compared_figure import ComparedFigure
from harness.workloads.host_clock import HostClock
from harness.workloads.limits import START_SECONDS, Limits, limits_of

SHORTEST_PASS_SECONDS = 1e-6
"""Nothing that is measured takes less."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a launch left."""

    journal: Journal = Journal()
    """What the guest told"""
    log_tail: str = ""
    """The end of what the libraries printed"""
    kernel_log: str = ""
    """What the kernel said meanwhile"""
    findings: Fields = Fields()
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
    shown: str = ""
    """How an amount is written, as ``{:.1f} s of audio``; empty: the number, then ``amount``"""
    brief: str = ""
    """How an amount is written in a table, as ``{:.1f} s``; empty: likewise"""
    portion: float = 1.0
    """The amount that energy and cost are told for: 3600 for an hour of audio"""
    portion_title: str = "one"
    """``an hour of audio``"""
    portion_brief: str = ""
    """The same above a column: ``an audio hour``; empty: likewise"""
    portion_name: str = "the last column"
    """The same where the column is explained: ``an hour``"""

    @property
    def portion_head(self) -> str:
        """What stands for the portion above a column."""
        return self.portion_brief or self.portion_title

    @property
    def rate_name(self) -> str:
        """What follows a rate that has its suffix: ``realtime``; empty where the suffix says it."""
        name = self.rate_title.lower()
        return "" if name in self.rate_suffix else name

    def text(self, amount: float) -> str:
        """``30.0 s of audio``"""
        return self.shown.format(amount) if self.shown else f"{amount:g} {self.amount}"

    def brief_text(self, amount: float) -> str:
        """``30.0 s``"""
        return self.brief.format(amount) if self.brief else self.text(amount)

    def rate_text(self, rate: float) -> str:
        """``4.3x``, ``725.0 images/s``"""
        return f"{rate:.1f}{self.rate_suffix}"


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
    subject: str = ""
    """What is measured, for a page's title; empty: its name"""
    stages: tuple[str, ...] = ()
    """Its own stages, after `COMMON_STAGES`"""
    unit: Unit | None = None
    """``None``: it has no passes, and so no row among the results"""
    figures: tuple[str, ...] = ()
    """The headings of the figures that `figures_of` gives, the most telling one last"""
    free_amount: float = 0.0
    """The amount of every input that costs no work"""
    why_free: str = ""
    """Why it costs none; empty: there is none such"""
    explanation: str = ""
    """What the figures mean, in a sentence for a page; empty: they speak for themselves"""
    agreement_inputs: str = "image and input"
    """What a launch shares with the CPU run that it is compared with, in words"""
    agreement_explanation: str = ""
    """What is compared with the CPU run, and how near is right, in sentences for a page"""
    compared_figures: tuple[str, ...] = ()
    """The headings of the figures that `compared_figures_of` gives"""
    profile_title: str = "Profile"
    """The heading above profiles: ``Pipeline``"""
    input_title: str = "Input"
    """The heading above inputs: ``Audio``"""
    load_parts: tuple[str, ...] = ()
    """The parts of its stage ``load`` that its journal times, in order; what is left is ``rest``"""
    pass_parts: tuple[str, ...] = ()
    """The parts of a pass, likewise"""
    old_parts: tuple[str, ...] = ()
    """What `called` calls the parts of old guests that are none of these"""
    cost_explanation: str = ""
    """What a page says of the fixed cost of an input, in a sentence; empty: nothing"""
    verb: str = "runs"
    """What an image does when it works: ``diarizes``"""
    parts_explanation: str = ""
    """What is not plain about the parts, in a sentence for a page; empty: nothing"""
    speaks_for: str = ""
    """The workload among whose rows its launches may stand, such as a probe that failed; empty: its own"""
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

    @property
    def is_compared(self) -> bool:
        """Whether its output is compared with the CPU run's: whether it has an `agree` of its own. If not, a GPU's row has no rank."""
        return type(self).agree is not Workload.agree

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

    def under_way(self, journal: Journal) -> str:
        """What the guest was doing within the workload's own stage where the journal ends; empty: it does not say."""
        return ""

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """What in the journal of a launch that ended well cannot be true; ``None``: nothing."""
        return None

    def examine(self, plan: Plan, journal: Journal, truth: Path | None) -> Mapping[str, Any]:
        """What the host finds out about the output by itself, such as its errors against the truth. Kept with the launch."""
        return {}

    def judge(self, plan: Plan, evidence: Evidence) -> Verdict | None:
        """The verdict on a launch that ended well and does not lie; ``None``: it passed."""
        return None

    def is_whole(self, plan: Plan) -> bool:
        """Whether a launch was to go through all its passes, and so has a time."""
        return self.is_measured and plan.last_stage in ("", self.last_stage)

    def is_result(self, launch: Launch) -> bool:
        """Whether a launch says something about the whole run of its cell, and so belongs to a row of the results. One that was to
        stop early does where it failed."""
        return self.is_whole(launch.plan) or (self.is_measured and launch.verdict.status != "pass")

    def remark(self, record: WorkloadRecord) -> str:
        """What a page says of every row of a profile, such as that its output means nothing; empty: nothing."""
        return ""

    def arguments(self, record: WorkloadRecord) -> tuple[str, ...]:
        """The words of ``strixbench bench`` that choose this profile and input; empty: those that it chooses by itself."""
        return ("--workload", record.name, "--input", record.input)

    def series(self, record: WorkloadRecord) -> str:
        """What several amounts of one input share by name, so that their times may lie on a line; the input itself where it has no
        other amounts."""
        return record.input

    def called(self, parts: Iterable[str]) -> Mapping[str, str]:
        """What pages call the parts that a stage's or a pass's journal times; a name that is missing is none of this workload's."""
        return {name: name for name in parts if name in (*self.load_parts, *self.pass_parts)}

    def flop_of_parts(self, record: WorkloadRecord, work: Fields) -> Mapping[str, float]:
        """FLOP of one pass by part, from what the kernels counted in the same image; empty: not known."""
        return {}

    def figures_of(self, launch: Launch) -> tuple[Figure, ...]:
        """The figures of a launch, in the order of ``figures``."""
        return ()

    def agree(self, launch: Launch, reference: Launch) -> Agreement | None:
        """How far the output agrees with that of the CPU run; ``None``: this workload is not compared."""
        return None

    def compared_figures_of(self, agreements: Sequence[Agreement]) -> tuple[ComparedFigure, ...]:
        """Its own figures of several comparisons, beside those that every workload may have, in the order of ``compared_figures``."""
        return ()

    def reference_key(self, plan: Plan) -> tuple[object, ...]:
        """What two CPU runs of this workload must have in common, beside image, device and variant, to stand for each other. The guest
        is among it: what a change of it changes in the output would be taken for a fault of the GPU."""
        workload = plan.workload
        numbers = tuple(sorted(workload.numbers.items()))
        return (workload.profile, workload.input_sha256, workload.models, numbers, plan.guest_sha256)

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


def workload_of_rows(plan: Plan) -> Workload:
    """The workload among whose rows a launch of this plan stands."""
    own = workload_of(plan)
    return workload_of_name(own.speaks_for) if own.speaks_for else own


@cache
def workload_names() -> tuple[str, ...]:
    """The workloads: the names that have a module here and one in the guest."""
    from harness import places

    folder = places.GUEST / "workloads"
    return tuple(sorted(path.stem for path in folder.iterdir() if path.stem.isidentifier() and not path.stem.startswith("_")))
