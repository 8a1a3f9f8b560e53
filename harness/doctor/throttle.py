"""The throttle counters of this host's GPUs, read twice: do they grow at idle? Changes nothing, and needs no privilege."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from harness.machine.files import FILE_TIMEOUT_SECONDS, within
from harness.telemetry.gpu_metrics import parse_gpu_metrics

BETWEEN_SECONDS = 3.0


class Counters(msgspec.Struct, frozen=True):
    """One GPU's."""

    first: dict[str, float]
    last: dict[str, float]
    seconds: float
    """From the first reading to the last."""


def read_throttle_counters(root: Path, *, between_seconds: float = BETWEEN_SECONDS) -> tuple[Counters, ...]:
    """The counters of each GPU whose driver has them. Returns at once where none has."""
    paths = sorted((root / "sys/class/drm").glob("card*/device/gpu_metrics"))
    begun = time.monotonic()
    first = {path: counters for path in paths if (counters := _counters(path))}
    if not first:
        return ()
    time.sleep(between_seconds)
    last = {path: _counters(path) for path in first}
    seconds = time.monotonic() - begun
    return tuple(Counters(first[path], last[path], seconds) for path in first if last[path])


def _counters(path: Path) -> dict[str, float]:
    """By name; empty where they cannot be read, or this format has none."""
    try:
        data = within(FILE_TIMEOUT_SECONDS, path.read_bytes)
    except OSError:
        return {}
    metrics = parse_gpu_metrics(data) if data is not None else ""
    return (
        {}
        if isinstance(metrics, str)
        else {name: value for name, value in metrics.items() if name.startswith("throttle_") and value is not None}
    )
