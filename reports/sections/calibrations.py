"""Which memory meters move by what is allocated."""

from __future__ import annotations

from collections.abc import Iterable

from harness.records.launch import Launch
from harness.workloads.calibrate import Calibration, MeterFinding, Movement, latest_calibrations
from reports.page import Page
from reports.table import Column, Inline, Section, Table, code, paragraph, prose
from reports.values import number

_WHAT = (
    "Memory of known sizes was held on the device, and each meter's level then compared with its level just before: in parentheses how "
    "far that is from what was allocated. A meter that is within 5% at every size moves by what is allocated. Peaks are compared with "
    "the level before; what a higher peak before it hides is not held against them. MemAvailable, VRAM and GTT are the whole host's: "
    "what else runs moves them as well. Stats are what the container engine itself tells, for comparison."
)

_READ_BY = {"guest": "the process", "host": "the host", "engine": "the engine"}


def section(page: Page) -> Section | None:
    shown = shown_calibrations(page.launches)
    return Section("Meters of memory", (paragraph(prose(_WHAT)), *map(calibration_section, shown))) if shown else None


def shown_calibrations(launches: Iterable[Launch]) -> tuple[Calibration, ...]:
    """The latest calibration of each image, engine, device and kernel, by name."""
    return tuple(sorted(latest_calibrations(launches).values(), key=lambda each: (each.launch.plan.cell, each.launch.id)))


def calibration_section(calibration: Calibration) -> Section:
    """One calibration, meter by meter."""
    launch, plan = calibration.launch, calibration.launch.plan
    sizes = (f"{size_bytes / 2**30:.4g} GiB" for size_bytes in calibration.sizes_bytes)
    table = Table(
        title=f"Meters of {launch.image} ({plan.engine.title}, {plan.variant}, on {plan.device})",
        answers="By how much did each meter move when memory of these sizes was held?",
        columns=(Column("Meter"), Column("Read by"), *map(Column, sizes), Column("Judged")),
        rows=tuple(_cells(found, len(calibration.sizes_bytes)) for found in calibration.findings),
    )
    return Section(table.title, (paragraph(("Launch ", code(launch.id), f", kernel {plan.host.kernel}.")), table))


def _cells(found: MeterFinding, sizes: int) -> tuple[Inline, ...]:
    return (
        found.label,
        _READ_BY[found.meter.side],
        *(tuple(map(_moved, found.movements)) or ("-",) * sizes),
        f"{found.judgement}: {found.why}" if found.why else found.judgement,
    )


def _moved(movement: Movement) -> Inline:
    """``0.503 GiB (+0.6%)``"""
    error = movement.relative_error
    if movement.moved_bytes is None or error is None:
        return movement.why or "-"
    return number(f"{movement.moved_bytes / 2**30:.3f} GiB ({error:+.1%})")
