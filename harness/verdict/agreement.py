"""A launch and the CPU run of the same image -> whether their outputs agree; which launch is that CPU run. Pure.

The CPU run uses the same image, profile, input, models and numbers. Only the device differs, and what a variant switches. What is
compared, and how near it must be, is the workload's: `harness.workloads.workload.Workload.agree`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.catalog.rows import Catalog, Cell
from harness.catalog.select import catalogued, with_fixes
from harness.records.launch import Launch
from harness.records.outcome import Agreement, Verdict
from harness.records.plan import Plan
from harness.workloads.workload import workload_of


class CpuReference(msgspec.Struct, frozen=True):
    """The CPU run that a cell's launches are compared with."""

    launch: Launch | None = None
    why_not: str = ""
    """Why there is none"""


def as_reference(launch: Launch) -> CpuReference:
    """A CPU run as what others are compared with; without its launch where that failed or is itself not right."""
    verdict = launch.verdict
    if verdict.status != "pass":
        how = "failed" if verdict.status == "fail" else f"has {verdict.status}"
        return CpuReference(why_not=f"the CPU run of the same image {how} in {verdict.stage}: {verdict.summary}")
    why_not = workload_of(launch.plan).why_no_reference(launch)
    return CpuReference(why_not=f"the CPU run of the same image {why_not}") if why_not else CpuReference(launch)


def compared(launch: Launch, reference: CpuReference | None) -> Launch:
    """The launch with the result of the comparison; unchanged where there is no reference, or the launch has no output, or its
    workload compares none.

    One that would pass but does not agree gets the verdict wrong output.
    """
    if reference is None or launch.verdict.status == "fail":
        return launch
    if reference.launch is None:
        return msgspec.structs.replace(launch, agreement=Agreement(why_not=reference.why_not))
    agreement, verdict = workload_of(launch.plan).agree(launch, reference.launch), launch.verdict
    if agreement is None:
        return launch
    if verdict.status == "pass" and agreement.reasons:
        said = f"not what the CPU of the same image puts out: {'; '.join(agreement.reasons)}"
        verdict = Verdict(status="wrong output", stage=verdict.stage, summary=said)
    return msgspec.structs.replace(launch, verdict=verdict, agreement=agreement)


def reference_cell(cell: Cell, catalog: Catalog) -> Cell:
    """The cell of the CPU run: the variant without a GPU, with no override and no knob.

    Its numbers, such as batch sizes, are the catalog's, not the cell's. A CPU computes the same at any of them but for the last
    digits (`benchmarks.workloads.ladder` says how near), and a GPU that does not is to be found.

    Fixes that a CPU needs as well stay: those without which a checkpoint does not load.
    """
    fixes = (catalog.variants[name] for name in cell.variant.fixes if name in catalog.variants)
    plain = with_fixes(catalog.variants["cpu"], (fix for fix in fixes if "load" in fix.mends))
    return msgspec.structs.replace(cell, variant=plain, profile=catalogued(catalog, cell.profile), knobs=(), options=(), arm="")


def needs_reference(device: str, cell: Cell, reference: Cell) -> bool:
    """Whether the output has to be compared: always on a GPU, and on a CPU where a variant or an option may change what is computed.

    Otherwise the launch is itself the CPU run.
    """
    ours, theirs = ((each.variant.environment, each.variant.guest, each.options) for each in (cell, reference))
    return device != "cpu" or ours != theirs


def find_reference(launches: Iterable[Launch], wanted: Plan) -> Launch | None:
    """The latest launch that stands for what the plan of a CPU run would give; ``None``: there is none yet.

    A result of a CPU cell serves as well as a launch that was made for reference.
    """
    fitting = [launch for launch in launches if launch.verdict.status == "pass" and _key(launch.plan) == _key(wanted)]
    return next((launch for launch in reversed(fitting) if not workload_of(wanted).why_no_reference(launch)), None)


def _key(plan: Plan) -> tuple[object, ...]:
    """What two CPU runs must have in common to stand for each other."""
    environment = tuple(sorted(plan.environment.items()))
    return (
        (plan.image.id, plan.device, plan.variant, environment, plan.workload.name, plan.last_stage),
        workload_of(plan).reference_key(plan),
    )
