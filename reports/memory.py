"""Launches of a cell -> how much memory they took, by a meter that is known to show it.

A meter is trusted where a calibration of the same image, engine, device and kernel saw it move by what was allocated.
Without a calibration the meters are those that every launch has, and they are called not calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.peak_memory import Reading


def memory_text(readings: Sequence[Reading]) -> str:
    """``1.16 GiB (VmHWM)``, ``1.16 GiB (VmHWM, not calibrated)``, ``at least 1.16 GiB (fdinfo: ...)``; a dash for none."""
    texts = []
    for reading in readings:
        said = f"{reading.label}, {reading.doubt}" if reading.doubt else reading.label
        least, why = ("at least ", f": {reading.gap}") if reading.gap else ("", "")
        texts.append(f"{least}{reading.peak_bytes / 2**30:.2f} GiB ({said}{why})")
    return " + ".join(texts) or "-"
