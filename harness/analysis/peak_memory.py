"""Launches of a cell -> how much memory they took, by a meter that is known to show it. Pure.

A meter is trusted where a calibration of the same image, engine, device and kernel saw it move by what was allocated.
Without a calibration the meters are those that every launch has, and they are called not calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.records.journal import number
from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from harness.telemetry.coverage import why_uncovered, worked_of
from harness.telemetry.meters import every_of
from harness.workloads.calibrate import Calibration, subject
from harness.workloads.calibrated_meters import VRAM_AND_GTT, label_of, series_values

_OF_A_PROCESSOR = ("vm_hwm_bytes",)

_OF_A_GPU = ("fdinfo_gpu_bytes", VRAM_AND_GTT, "torch_peak_reserved_bytes")
"""In order of preference: the process alone, the whole GPU, torch's allocator, which misses what libraries take beside it. The
first that was seen to follow is used."""

_OF_THE_HOST = ("fdinfo_gpu_bytes", VRAM_AND_GTT)
"""Meters that are sampled from outside"""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The largest value that one meter showed for some launches."""

    peak_bytes: int
    meter: str
    """A name of `harness.workloads.calibrated_meters.METERS`"""
    summed: str = ""
    """Its label where it is the sum of several GPUs'"""
    doubt: str = ""
    """Why it may be wrong; empty: it was calibrated"""
    gap: str = ""
    """Why it may have been more, in words: the readings miss part of the passes; empty: they do not"""


def memory_of(launches: Sequence[Launch], calibrations: Mapping[tuple[str, ...], Calibration]) -> tuple[Reading, ...]:
    """The memory that a row's launches took: one reading by a meter that follows, which for a CPU row is the process's peak.

    Without a calibration, or where no such meter followed in it, all that the launches have of VmHWM and torch's peak.
    """
    if not launches:
        return ()
    calibration = calibrations.get(subject(launches[-1]))
    if calibration is not None:
        meters = _OF_A_PROCESSOR if launches[-1].plan.device == "cpu" else _OF_A_GPU
        telling = [_told(launches, meter) for meter in meters if calibration.follows(meter)]
        # A meter that was read all along is preferred to one with gaps.
        best = min((each for each in telling if each is not None), key=lambda each: bool(each.gap), default=None)
        if best is not None:
            return (best,)
    found = []
    for meter in ("vm_hwm_bytes", "torch_peak_reserved_bytes"):
        peaks = [peak for launch in launches if (peak := peak_bytes(launch, meter)) is not None]
        if peaks:
            follows = calibration is not None and calibration.follows(meter)
            doubt = "not calibrated" if calibration is None else "" if follows else "no meter that follows"
            found.append(Reading(peak_bytes=max(peaks), meter=meter, doubt=doubt))
    return tuple(found)


def _told(launches: Sequence[Launch], meter: str) -> Reading | None:
    """The largest value of a meter over the launches whose passes its readings cover; where there is none, over all."""
    peaks = [(gap_of(launch, meter), peak) for launch in launches if (peak := peak_bytes(launch, meter)) is not None]
    if not peaks:
        return None
    gap, peak = max(peaks, key=lambda each: (not each[0], each[1]))
    return Reading(peak_bytes=peak, meter=meter, summed=label_of(meter, launches[-1].telemetry), gap=gap)


def gap_of(launch: Launch, meter: str) -> str:
    """What part of a launch's passes a meter's samples miss, in words; empty where they cover all, or where it is one of the
    guest's own, which keeps its peak itself."""
    worked = worked_of(launch)
    if meter not in _OF_THE_HOST or launch.telemetry is None or worked is None:
        return ""
    times = [at for at, _ in _samples_of(launch.telemetry, meter)]
    return why_uncovered(launch.telemetry, times, worked, every=every_of(meter, is_thorough=False))


def _samples_of(telemetry: Telemetry, meter: str) -> list[tuple[float, float]]:
    pairs = zip(telemetry.times, series_values(meter, telemetry), strict=False)
    return [(at, value) for at, value in pairs if value is not None]


def peak_bytes(launch: Launch, meter: str) -> int | None:
    """The highest value of a meter in a launch; for a meter that others move too, its rise since before the device was used.

    ``None`` where the launch has no such reading, or none from before the device was used.
    """
    if meter == "vm_hwm_bytes":
        return launch.peak_resident_bytes
    if meter == "torch_peak_reserved_bytes":
        return launch.peak_reserved_bytes
    if launch.telemetry is None:
        return None
    samples = _samples_of(launch.telemetry, meter)
    if meter == "fdinfo_gpu_bytes":  # only the launch's own processes, so it starts from nothing
        return round(max(value for _, value in samples)) if samples else None
    begun = (e for e in launch.journal if e.get("event") == "begin" and e.get("stage") == "device")
    used_from = number(next(begun, {}).get("at"))
    before = [value for at, value in samples if used_from is not None and at < used_from]
    return round(max(0.0, max(value for _, value in samples) - before[-1])) if before else None
