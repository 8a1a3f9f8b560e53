"""The throttle counters of this host's GPUs, read twice: do they grow at idle? This changes nothing and needs no privilege."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from harness.machine.files import FILE_TIMEOUT_SECONDS, within
from harness.telemetry.gpu_metrics import parse_gpu_metrics


class Counters(msgspec.Struct, frozen=True):
    """One GPU's counters."""

    first: dict[str, float]
    last: dict[str, float]
    seconds: float
    """From the first reading to the last."""


def read_throttle_counters(root: Path, *, between_seconds: float = 3.0) -> tuple[Counters, ...]:
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
    """The counters by name; empty where they cannot be read, or this format has none."""
    try:
        data = within(FILE_TIMEOUT_SECONDS, path.read_bytes)
    except OSError:
        return {}
    metrics = parse_gpu_metrics(data) if data is not None else ""
    if isinstance(metrics, str):
        return {}
    return {name: value for name, value in metrics.items() if name.startswith("throttle_") and value is not None}
