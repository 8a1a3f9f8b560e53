"""Numbers as words: each kind of value is formatted here, once, for every renderer. An unknown value is a dash."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.analysis.intervals import Estimate
from harness.analysis.peak_memory import Reading
from harness.telemetry.meters import SLOW_METERS
from harness.workloads.calibrated_meters import LABELS
from reports.table import Span


def number(text: str, *, is_struck: bool = False) -> Span:
    """Words that were made of numbers alone, struck through where the output behind them was wrong."""
    return Span(text, "number", is_struck and text != "-")


def seconds(value: float | None, *, is_struck: bool = False) -> Span:
    """``2.05 s``"""
    return number(format_seconds(value), is_struck=is_struck)


def spread(value: Estimate | None, *, is_struck: bool = False) -> Span:
    """``2.05 s [1.98, 2.11], 1 outlier``"""
    return number(format_spread(value), is_struck=is_struck)


def factor(value: Estimate | None, suffix: str = "x", *, is_struck: bool = False) -> Span:
    """``14.6x``"""
    return number(format_factor(value, suffix), is_struck=is_struck)


def percent(value: float | None) -> Span:
    """``5.2%``"""
    return number(format_percent(value))


def count(value: float | None) -> Span:
    """``3``"""
    return number("-" if value is None else f"{value:.0f}")


def format_seconds(value: float | None) -> str:
    """``2.05 s``"""
    return "-" if value is None else f"{value:.2f} s"


def format_spread(value: Estimate | None) -> str:
    """``2.05 s [1.98, 2.11], 1 outlier``: an interval in brackets, mere extremes in parentheses, and what is odd."""
    return "-" if value is None else ", ".join([with_spread(value, "{:.2f}".format, " s"), *value.flags])


def format_factor(value: Estimate | None, suffix: str = "x") -> str:
    """``14.6x``"""
    return "-" if value is None else f"{value.median:.1f}{suffix}"


def format_percent(value: float | None) -> str:
    """``5.2%``"""
    return "-" if value is None else f"{value:.1%}"


def format_gib(value: float | None) -> str:
    """``0.86 GiB``"""
    return "-" if value is None else f"{value / 2**30:.2f} GiB"


def with_spread(value: Estimate, show: Callable[[float], str], unit: str = "") -> str:
    """``2.05 s [1.98, 2.11]``: the median, then an interval in brackets or mere extremes in parentheses."""
    middle, inner = f"{show(value.median)}{unit}", f"{show(value.low)}, {show(value.high)}"
    if value.n == 1:
        return middle
    return f"{middle} [{inner}]" if value.is_interval else f"{middle} ({inner})"


def format_cosine(value: float | None) -> str:
    """``0.999998``: cut, not rounded, so that only 1 is shown as 1 (up to the last bits of its arithmetic)."""
    return "-" if value is None else f"{int(value * 1_000_000 + 1e-6) / 1_000_000:.6f}"


def format_memory(readings: Sequence[Reading]) -> str:
    """``1.16 GiB (VmHWM)``, ``1.16 GiB (VmHWM, not calibrated)``, ``at least 1.16 GiB (fdinfo: ...)``; a dash for none."""
    texts = []
    for reading in readings:
        # A peak between two samples is missed.
        label = (reading.summed or LABELS[reading.meter]) + (", every 2 s" if reading.meter in SLOW_METERS else "")
        said = f"{label}, {reading.doubt}" if reading.doubt else label
        least, why = ("at least ", f": {reading.gap}") if reading.gap else ("", "")
        texts.append(f"{least}{reading.peak_bytes / 2**30:.2f} GiB ({said}{why})")
    return " + ".join(texts) or "-"
