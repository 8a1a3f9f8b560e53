"""Launches of a cell -> how much memory they took, by a meter that is known to tell it.

A meter is believed where a calibration of the same image, engine, device and kernel saw it move by what was allocated.
Where there is none, the meters are those that every launch has, and are called not calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.calibration import LABELS, VRAM_AND_GTT, Calibration, label_of, series_values, subject
from harness.processes import SLOW_METERS
from harness.records import Launch, number

NOT_CALIBRATED = "not calibrated"
NONE_FOLLOWS = "no meter that follows"

_OF_A_PROCESSOR = ("vm_hwm_bytes",)
_OF_A_GPU = ("fdinfo_gpu_bytes", VRAM_AND_GTT, "torch_peak_reserved_bytes")
"""The first that was seen to follow speaks: of the process alone, of the whole GPU, of torch's allocator, which does not see
what libraries take beside it."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The largest that one meter said of some launches."""

    peak_bytes: int
    meter: str
    """A name of `harness.calibration.METERS`"""
    summed: str = ""
    """Its label where it is the sum of several GPUs'"""
    doubt: str = ""
    """Why it may be wrong; empty: it was calibrated"""

    @property
    def label(self) -> str:
        """With its rate where that is not what all others have: a peak between two samples is missed."""
        return (self.summed or LABELS[self.meter]) + (", every 2 s" if self.meter in SLOW_METERS else "")


def memory_of(launches: Sequence[Launch], calibrations: Mapping[tuple[str, ...], Calibration]) -> tuple[Reading, ...]:
    """What the launches of a row took: of a GPU row one reading by a meter that follows, of a CPU row the process's peak;
    without a calibration, or with one in which no such meter followed, all that they have of VmHWM and torch's peak."""
    if not launches:
        return ()
    calibration = calibrations.get(subject(launches[-1]))
    if calibration is not None:
        for meter in _OF_A_PROCESSOR if launches[-1].plan.device == "cpu" else _OF_A_GPU:
            peaks = [peak for launch in launches if (peak := peak_bytes(launch, meter)) is not None]
            if calibration.follows(meter) and peaks:
                return (Reading(peak_bytes=max(peaks), meter=meter, summed=label_of(meter, launches[-1].telemetry)),)
    found = []
    for meter in ("vm_hwm_bytes", "torch_peak_reserved_bytes"):
        peaks = [peak for launch in launches if (peak := peak_bytes(launch, meter)) is not None]
        if peaks:
            doubt = NOT_CALIBRATED if calibration is None else "" if calibration.follows(meter) else NONE_FOLLOWS
            found.append(Reading(peak_bytes=max(peaks), meter=meter, doubt=doubt))
    return tuple(found)


def peak_bytes(launch: Launch, meter: str) -> int | None:
    """The most that a meter said of a launch; of one that others move as well, its rise since before the device was used.

    ``None`` where the launch has no such reading, or none from before.
    """
    if meter == "vm_hwm_bytes":
        return launch.peak_resident_bytes
    if meter == "torch_peak_reserved_bytes":
        return launch.peak_reserved_bytes
    if launch.telemetry is None:
        return None
    pairs = zip(launch.telemetry.times, series_values(meter, launch.telemetry), strict=False)
    samples = [(at, value) for at, value in pairs if value is not None]
    if meter == "fdinfo_gpu_bytes":  # the launch's own processes alone: before them there is nothing
        return round(max(value for _, value in samples)) if samples else None
    begun = (e for e in launch.journal if e.get("event") == "begin" and e.get("stage") == "device")
    used_from = number(next(begun, {}).get("at"))
    before = [value for at, value in samples if used_from is not None and at < used_from]
    return round(max(0.0, max(value for _, value in samples) - before[-1])) if before else None


def memory_text(readings: Sequence[Reading]) -> str:
    """``1.16 GiB (VmHWM)``, ``1.16 GiB (VmHWM, not calibrated)``; a dash for none."""
    texts = []
    for reading in readings:
        said = f"{reading.label}, {reading.doubt}" if reading.doubt else reading.label
        texts.append(f"{reading.peak_bytes / 2**30:.2f} GiB ({said})")
    return " + ".join(texts) or "-"
