"""Launches of the task ``kernels`` -> each image's measured ceilings, and the share of them that diarization reaches.

The guest may have written anything. A kernel without a name, a count or a time is left out.
"""

from __future__ import annotations

from harness.analysis.intervals import Estimate
from harness.analysis.kernel_rows import KernelImage
from harness.analysis.kernel_rows import kernel_images as kernel_images
from reports import tables

COLUMNS = ("Kernel", "Shape", "Time", "First call", "GFLOP/s", "GB/s", "n", "Calls")


def ceiling_lines(image: KernelImage) -> list[str]:
    """The best rates, and how much of them diarization reaches."""
    lines = []
    if image.best_compute is not None:
        best = image.best_compute
        lines.append(f"Best compute rate: {format_rate(best.flop_rate)} GFLOP/s in {best.name}, n = {best.seconds.n}")
    if image.copy is not None:
        copy = image.copy
        lines.append(f"Copy: {format_rate(copy.byte_rate)} GB/s read and written, n = {copy.seconds.n}")
    lines += [
        f"{share.pipeline} on {share.audio}: {share.stage} reaches {share.share:.1%} of the best compute rate: {share.flop / 1e9:.4g} GFLOP counted"
        f" in {format_time(share.seconds)}, n = {share.seconds.n} of bench"
        for share in image.shares
    ]
    return lines


def format_time(value: Estimate) -> str:
    """``12.3 ms [11.9, 12.8]``: an interval in brackets, mere extremes in parentheses."""
    unit, scale = ("s", 1.0) if value.median >= 1 else ("ms", 1e3)
    return tables.with_spread(value, lambda seconds: _digits(seconds * scale), f" {unit}")


def format_call(value: float | None) -> str:
    """``12.3 ms``"""
    if value is None:
        return "-"
    return f"{_digits(value)} s" if value >= 1 else f"{_digits(value * 1e3)} ms"


def format_rate(value: float) -> str:
    """In thousand millions; a dash where there is none."""
    return _digits(value / 1e9) if value else "-"


def _digits(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.6f}"
