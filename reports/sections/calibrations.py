"""Calibrations -> what pages show about them."""

from __future__ import annotations

from collections.abc import Iterable

from harness.records.launch import Launch
from harness.workloads.calibrate import Calibration, Movement, latest_calibrations

_READ_BY = {"guest": "the process", "host": "the host", "engine": "the engine"}


def shown_calibrations(launches: Iterable[Launch]) -> tuple[Calibration, ...]:
    """The latest calibration of each image, engine, device and kernel, by name."""
    return tuple(sorted(latest_calibrations(launches).values(), key=lambda each: (each.launch.plan.cell, each.launch.id)))


def calibration_columns(calibration: Calibration) -> tuple[str, ...]:
    return ("Meter", "Read by", *map(size_text, calibration.sizes_bytes), "Judged")


def calibration_rows(calibration: Calibration) -> tuple[tuple[str, ...], ...]:
    """The cells of each meter, under `calibration_columns`; the judgement may quote text out of a container."""
    return tuple(
        (
            found.label,
            _READ_BY[found.meter.side],
            *(tuple(map(_moved, found.movements)) or ("-",) * len(calibration.sizes_bytes)),
            f"{found.judgement}: {found.why}" if found.why else found.judgement,
        )
        for found in calibration.findings
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
