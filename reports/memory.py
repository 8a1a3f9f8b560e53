"""How much memory a row took, as a text."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.peak_memory import Reading
from harness.telemetry.meters import SLOW_METERS
from harness.workloads.calibrated_meters import LABELS


def memory_text(readings: Sequence[Reading]) -> str:
    """``1.16 GiB (VmHWM)``, ``1.16 GiB (VmHWM, not calibrated)``, ``at least 1.16 GiB (fdinfo: ...)``; a dash for none."""
    texts = []
    for reading in readings:
        # A peak between two samples is missed.
        label = (reading.summed or LABELS[reading.meter]) + (", every 2 s" if reading.meter in SLOW_METERS else "")
        said = f"{label}, {reading.doubt}" if reading.doubt else label
        least, why = ("at least ", f": {reading.gap}") if reading.gap else ("", "")
        texts.append(f"{least}{reading.peak_bytes / 2**30:.2f} GiB ({said}{why})")
    return " + ".join(texts) or "-"
