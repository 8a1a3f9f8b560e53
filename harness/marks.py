"""Telemetry -> whether a launch was held back: throttled, or at a low clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from harness.coverage import Window, points_of, windows_of
from harness.meter_names import kind_of, of_kind
from harness.records import Launch, Telemetry

FEWEST_SAMPLES = 4

LOW_CLOCK_HERTZ = 1.0e9
"""Below it, at work, something holds the clock: a Strix Halo has been seen at 2.36 to 2.71 GHz under load (nix-amd-ai#132), and
at 600 to 885 MHz where its clock was stuck (https://github.com/ROCm/legacy-rocm-build/issues/5750)."""

BUSY_PERCENT = 50.0
"""Clocks are judged while the GPU is this busy: an idle one sleeps at a low clock."""

_HEAT = ("prochot", "thm_", "thermal")
_POWER = ("spl", "fppt", "sppt", "power", "current")
"""An APU at work is often at its power limit, which is how it was built; heat is somebody's fan."""


def marks_of(launch: Launch) -> tuple[str, ...]:
    """``throttled by ...`` and ``low clock ...``, where the passes show it."""
    telemetry = launch.telemetry
    windows = (*windows_of(launch, "cold"), *windows_of(launch, "warm"))
    if telemetry is None or not windows:
        return ()
    marks = []
    limiters = [meter.removeprefix("throttle_") for meter in telemetry.series if _has_grown(telemetry, meter, windows)]
    limiters += [meter.removeprefix("throttling_") for meter in telemetry.series if _was_on(telemetry, meter, windows)]
    for by, words in (("heat", _HEAT), ("power", _POWER), ("other limits", ())):
        named = [
            each
            for each in limiters
            if (kind_of(each).startswith(words) if words else not kind_of(each).startswith(_HEAT + _POWER))
        ]
        if named:
            marks.append(f"throttled by {by}: {', '.join(named)}")
    hertz = _busy_clock(telemetry, windows)
    if launch.plan.device != "cpu" and hertz is not None and hertz < LOW_CLOCK_HERTZ:
        marks.append(f"low clock: {hertz / 1e9:.2f} GHz at work, below {LOW_CLOCK_HERTZ / 1e9:.1f} GHz")
    return tuple(marks)


def _inside(telemetry: Telemetry, meter: str, windows: Iterable[Window]) -> list[float]:
    return [value for at, value in points_of(telemetry, meter) if any(each.begin <= at <= each.end for each in windows)]


def _has_grown(telemetry: Telemetry, meter: str, windows: Sequence[Window]) -> bool:
    """Whether a counter of a limiter's time moved during a pass. It is of 32 bits, and may wrap: any change counts."""
    if not meter.startswith("throttle_"):
        return False
    return any(len(set(_inside(telemetry, meter, [window]))) > 1 for window in windows)


def _was_on(telemetry: Telemetry, meter: str, windows: Sequence[Window]) -> bool:
    return meter.startswith("throttling_") and any(_inside(telemetry, meter, windows))


def _busy_clock(telemetry: Telemetry, windows: Sequence[Window]) -> float | None:
    """Median clock of the GPU that worked most, over samples of the passes at which it was busy."""
    found = []
    for meter in of_kind(telemetry.series, "gfx_clock_hertz"):
        suffix = meter.removeprefix("gfx_clock_hertz")
        busy = dict(points_of(telemetry, f"gpu_busy_percent{suffix}"))
        hertz = [
            value
            for at, value in points_of(telemetry, meter)
            if busy.get(at, 0.0) >= BUSY_PERCENT and any(each.begin <= at <= each.end for each in windows)
        ]
        if len(hertz) >= FEWEST_SAMPLES:
            found.append((len(hertz), median(hertz)))
    return max(found)[1] if found else None
