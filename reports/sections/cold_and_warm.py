"""Launches -> the table of the three times."""

from __future__ import annotations

from harness.analysis.cold_and_warm_rows import cold_and_warm_rows as cold_and_warm_rows


def growth_text(growth: tuple[float, float] | None) -> str:
    """``+12 files, +3.4 MiB``; a dash where it was not counted."""
    return "-" if growth is None else f"{growth[0]:+.0f} files, {growth[1] / 2**20:+.1f} MiB"
