"""Which memory meters move by what was allocated: ``calibration_of(launch)``. Pure.

On an APU no meter can be trusted untested: the same allocation shows in one stack's VRAM, in another's GTT, and in neither's
cgroup. A launch of `benchmarks.workloads.calibrate` holds known sizes. Here each meter's level while a size is
held is compared with its level just before, when nothing was held.

Three traps that others fell into, each with a test: a total taken for use (it does not move), samples that are summed (a level is
the median of its samples, however many there are), and a factor of a hundred (it moves by something else).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal

import msgspec

from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.launch import Launch
from harness.records.likeness import WORK, key_of
from harness.records.outcome import Telemetry
from harness.records.plan import Plan, Settings
from harness.telemetry.meters import of_kind
from harness.text import counted
from harness.workloads.calibrated_meters import LABELS, METERS, VRAM_AND_GTT, Meter, label_of, series_values, summed_meters
from harness.workloads.limits import START_SECONDS, Limits
from harness.workloads.workload import Workload

TOLERANCE = 0.05
"""A share of the allocated size: how far off a meter may be and still count as moving by it, and how far one may move and still
count as not moving."""

LEAST_SAMPLES = 2
"""Samples in each of the two windows that are compared; a hold lasts long enough for more."""

MOST_SIZES = 20
"""Sizes that are looked at: the journal may hold any number."""

MOST_REASON_CHARACTERS = 200

Judgement = Literal["moves by what is allocated", "moves by something else", "does not move", "unavailable"]


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """How one meter moved while one size was held."""

    asked_bytes: int
    """What was really allocated"""
    moved_bytes: float | None
    """In the direction in which it should move; ``None``: not known, and ``why`` says why"""
    why: str = ""

    @property
    def relative_error(self) -> float | None:
        """The error as a share: 0.05 means that it moved by 5% more than was allocated."""
        return None if self.moved_bytes is None else (self.moved_bytes - self.asked_bytes) / self.asked_bytes


class MeterFinding(msgspec.Struct, frozen=True, kw_only=True):
    """How one meter did."""

    meter: Meter
    judgement: Judgement
    movements: tuple[Movement, ...] = ()
    why: str = ""
    """Why it is not available"""
    source: str = ""
    """The file or call that it was read from, as the reader told it"""
    label: str = ""
    """Its name on pages"""

    @property
    def is_right(self) -> bool:
        return self.judgement == "moves by what is allocated"


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What one launch of the workload found."""

    launch: Launch
    sizes_bytes: tuple[int, ...]
    findings: tuple[MeterFinding, ...]

    def follows(self, name: str) -> bool:
        """Whether a meter moved by what was allocated."""
        return any(each.meter.name == name and each.is_right for each in self.findings)


class _Window(msgspec.Struct, frozen=True):
    """A time in which nothing was allocated or freed."""

    begin: float
    end: float
    meters: Fields


class _Hold(msgspec.Struct, frozen=True):
    """One size: the window in which it was held, and the window just before."""

    allocated_bytes: int
    before: _Window
    held: _Window


def calibration_of(launch: Launch) -> Calibration | None:
    """What a launch of the workload found; ``None`` for any other launch, and for one that did not finish."""
    if launch.plan.workload.name != WORKLOAD.name or launch.verdict.status != "pass":
        return None
    holds = _holds(launch.said.results)
    findings = tuple(_finding(meter, holds, launch) for meter in METERS)
    return Calibration(launch=launch, sizes_bytes=tuple(hold.allocated_bytes for hold in holds), findings=findings)


def latest_calibrations(launches: Iterable[Launch]) -> dict[tuple[str, ...], Calibration]:
    """The latest calibration of each `subject`."""
    found: dict[tuple[str, ...], Calibration] = {}
    for launch in sorted((each for each in launches if each.plan.workload.name == WORKLOAD.name), key=lambda each: each.id):
        calibration = calibration_of(launch)
        if calibration is not None and calibration.sizes_bytes:
            found[subject(launch)] = calibration
    return found


def subject(launch: Launch) -> tuple[str, ...]:
    """What a calibration holds for: one image on one engine, device, variant, kernel and set of GPUs. If any of them differs,
    the same meter may show something else. Fixes and knobs, which `calibrate` does not set, change no meter."""
    plan = launch.plan
    used = key_of(plan, without=(*WORK, "variant", "flags"))
    return (*used, plan.variant.partition("+")[0], str(plan.image.id), plan.device, plan.host.kernel, *plan.host.gpus)


def _finding(meter: Meter, holds: Sequence[_Hold], launch: Launch) -> MeterFinding:
    """How one meter did over all sizes."""
    source, why = _where(meter, launch)
    series = {"guest": None, "host": launch.telemetry, "engine": launch.engine_stats}[meter.side]
    finding = MeterFinding(meter=meter, judgement="unavailable", source=source, label=label_of(meter.name, series))
    if not holds:
        return msgspec.structs.replace(finding, why="the journal tells of no size that was held")
    if why:
        return msgspec.structs.replace(finding, why=why)
    movements = tuple(_movement(meter, hold, series) for hold in holds)
    judgement = judge_movements(movements)
    return msgspec.structs.replace(finding, judgement=judgement, movements=movements, why=_gap(movements))


def judge_movements(movements: Sequence[Movement]) -> Judgement:
    """What a meter does, over all sizes at which that could be seen. One size at which it was not read makes it unavailable."""
    seen = [each for each in movements if each.moved_bytes is not None]
    if not seen or any(each.moved_bytes is None and each.why != HIDDEN for each in movements):
        return "unavailable"
    if all(abs(each.relative_error or 0.0) <= TOLERANCE for each in seen):
        return "moves by what is allocated"
    if all(abs(each.moved_bytes or 0.0) <= TOLERANCE * each.asked_bytes for each in seen):
        return "does not move"
    return "moves by something else"


HIDDEN = "hidden by an earlier peak"
"""Why a peak shows nothing of a size, which is no fault of the meter."""


def _gap(movements: Sequence[Movement]) -> str:
    """Why the first unknown movement is unknown, where the meter is unavailable; empty elsewhere."""
    if judge_movements(movements) != "unavailable":
        return ""
    return next((f"{each.asked_bytes / 2**30:.3g} GiB: {each.why}" for each in movements if each.moved_bytes is None), "")


def _movement(meter: Meter, hold: _Hold, series: Telemetry | None) -> Movement:
    """How far a meter moved while a size was held."""
    if meter.peak_of is not None:
        return _peak_movement(meter, meter.peak_of, hold)
    (before, why_before), (held, why_held) = (_level(meter, window, series) for window in (hold.before, hold.held))
    if before is None or held is None:
        return Movement(asked_bytes=hold.allocated_bytes, moved_bytes=None, why=why_before or why_held)
    return Movement(asked_bytes=hold.allocated_bytes, moved_bytes=before - held if meter.falls else held - before)


def _peak_movement(meter: Meter, level: str, hold: _Hold) -> Movement:
    """How far a peak rose above the level just before, which is what it should show of a size.

    It counts only where the size should lift the peak by a quarter of itself or more. A peak that stays nevertheless did not move,
    and its distance to the level is not taken for a movement.
    """
    asked = hold.allocated_bytes
    names = ((meter.name, hold.before), (level, hold.before), (meter.name, hold.held))
    values = [window.meters.number(name) for name, window in names]
    peak_before, level_before, peak_held = values
    if peak_before is None or level_before is None or peak_held is None:
        missing = next(name for (name, _), value in zip(names, values, strict=True) if value is None)
        return Movement(asked_bytes=asked, moved_bytes=None, why=f"{LABELS[missing]} was not read")
    if level_before + asked - peak_before < asked / 4:
        return Movement(asked_bytes=asked, moved_bytes=None, why=HIDDEN)
    grown = peak_held - peak_before
    return Movement(asked_bytes=asked, moved_bytes=grown if abs(grown) <= TOLERANCE * asked else peak_held - level_before)


def _level(meter: Meter, window: _Window, series: Telemetry | None) -> tuple[float | None, str]:
    """A meter's level in a window, or why there is none: what the guest read at its end, or the median of the samples within it."""
    if meter.side == "guest":
        value = window.meters.number(meter.name)
        return value, "" if value is not None else "it was not read"
    if series is None:
        return None, "nothing was sampled"
    values = series_values(meter.name, series)
    # Lengths may differ where a record was damaged.
    inside = [v for at, v in zip(series.times, values, strict=False) if v is not None and window.begin <= at <= window.end]
    if len(inside) < LEAST_SAMPLES:
        return None, f"{counted(len(inside), 'sample')} in {window.end - window.begin:.1f} s, {LEAST_SAMPLES} are needed"
    return median(inside), ""


def _where(meter: Meter, launch: Launch) -> tuple[str, str]:
    """A meter's source, and why it could not be read at all. Each is empty where there is nothing to tell."""
    if meter.side == "guest":
        told = next((event for event in launch.said.results if event.text("phase") == "baseline"), Fields())
        source, why = (_text(told.fields(each), meter.name) for each in ("sources", "unavailable"))
        return source, "" if meter.name in told.fields("meters") else why or "the guest does not read it"
    series = launch.engine_stats if meter.side == "engine" else launch.telemetry
    if series is None:
        if meter.side == "engine":
            return "", "a process of this host has no engine" if launch.plan.engine.name == "local" else "not asked"
        return "", "nothing was sampled on the host"
    if meter.name == VRAM_AND_GTT:
        why = "" if series_values(meter.name, series) else "it needs both VRAM and GTT"
        return "the sum of the two", why
    parts = summed_meters(meter.name, series)
    reasons = [_text(Fields(series.unavailable), name) for name in (meter.name, *of_kind(series.unavailable, meter.name))]
    why = "" if parts else next(filter(None, reasons), "not sampled")
    return " + ".join(filter(None, (_text(Fields(series.sources), name) for name in parts))), why


def _text(told: Fields, name: str) -> str:
    """A text from a journal or a record, cut; empty where there is none."""
    return (told.text(name) or "")[:MOST_REASON_CHARACTERS]


def _holds(results: Iterable[Fields]) -> tuple[_Hold, ...]:
    """The sizes that were held, each with the window before. Other events, and a hold without a window before it, are left out."""
    found: list[_Hold] = []
    before: _Window | None = None
    for event in results:
        window = _window(event)
        if window is None:
            continue
        if event.text("phase") in ("baseline", "freed"):
            before = window
        elif event.text("phase") == "held":
            allocated = event.count("allocated_bytes")
            if before is not None and allocated and before.end <= window.begin:
                found.append(_Hold(allocated, before, window))
            before = None
    return tuple(found[:MOST_SIZES])


def _window(event: Fields) -> _Window | None:
    begin, end = event.number("begin"), event.number("end")
    if begin is None or end is None or not begin < end or not event.has_fields("meters"):
        return None
    return _Window(begin, end, event.fields("meters"))


GRAIN_BYTES = 2 << 20
"""The guest rounds each size up to a multiple of this (`benchmarks.workloads.calibrate`)."""


def _calibration_lie(results: Sequence[Fields], sizes: Sequence[int]) -> str | None:
    """That a size that was asked for was not held; ``None``: each was."""
    if not any(event.text("phase") == "baseline" for event in results):
        return "it ends without a baseline"
    held = [event.count("allocated_bytes") for event in results if event.text("phase") == "held"]
    for size in sizes:
        if not any(each is not None and 0 <= each - size < GRAIN_BYTES for each in held):
            return f"it ends without having held {size} bytes"
    return None if held else "it ends without having held anything"


class CalibrateWorkload(Workload):
    """Known sizes of memory, held one after the other."""

    name = "calibrate"
    stages = ("calibrate",)

    is_sampled_thoroughly = True  # it holds each size for only a few seconds

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """The holds and the pauses between them, in addition to the start."""
        holds = 2 * len(settings.options.get("sizes_bytes", ())) + 1
        whole = START_SECONDS + holds * settings.options.get("hold_seconds", 0.0)
        return Limits(whole_seconds=settings.time_limit_seconds or whole)

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """A size that was not held."""
        return _calibration_lie(journal.results, plan.options.get("sizes_bytes", ()))


WORKLOAD = CalibrateWorkload()
