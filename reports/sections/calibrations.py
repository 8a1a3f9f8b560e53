"""Calibrations -> what pages show about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from harness.records.launch import Launch
from harness.workloads.calibration import Calibration, Finding, Movement, latest_calibrations
from reports.page import Filters, Page

_READ_BY = {"guest": "the process", "host": "the host", "engine": "the engine"}


class MeterRow(msgspec.Struct, frozen=True, kw_only=True):
    """One meter of one calibration."""

    meter: str
    read_by: str
    moved: tuple[str, ...]
    """A text for each size"""
    judged: str
    """The judgement; it may quote text out of a container"""


def section(page: Page) -> dict[str, Any]:
    """What the template of this section reads."""
    return {"calibrations": shown_calibrations(page.launches)}


def shown_calibrations(launches: Iterable[Launch]) -> tuple[Calibration, ...]:
    """The latest calibration of each image, engine, device and kernel, by name."""
    return tuple(sorted(latest_calibrations(launches).values(), key=lambda each: (each.launch.plan.cell, each.launch.id)))


def calibration_rows(calibration: Calibration) -> tuple[MeterRow, ...]:
    """A row for each meter, in the order of `harness.workloads.calibrated_meters.METERS`."""
    return tuple(
        MeterRow(
            meter=finding.label,
            read_by=_READ_BY[finding.meter.side],
            moved=tuple(map(_moved, finding.movements)) or ("-",) * len(calibration.sizes_bytes),
            judged=_judged(finding),
        )
        for finding in calibration.findings
    )


def size_text(size_bytes: int) -> str:
    """``0.5 GiB``"""
    return f"{size_bytes / 2**30:.4g} GiB"


def _moved(movement: Movement) -> str:
    """``0.503 GiB (+0.6%)``"""
    error = movement.relative_error
    if movement.moved_bytes is None or error is None:
        return movement.why or "-"
    return f"{movement.moved_bytes / 2**30:.3f} GiB ({error:+.1%})"


def _judged(finding: Finding) -> str:
    return f"{finding.judgement}: {finding.why}" if finding.why else finding.judgement


FILTERS: Filters = {"size": size_text, "meters": calibration_rows}
