"""Launches of the task `calibrate` as a guest and a sampler would leave them. All series here are made up; none was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.records.launch import Launch
from harness.records.outcome import ExitRecord, Telemetry
from harness.telemetry.meters import every_of
from harness.workloads.calibrate import Calibration, MeterFinding, calibration_of
from tests.unit.samples import Event, a_launch, a_plan, passing_journal

GIB = 1 << 30
SIZES = (GIB // 2, GIB, 2 * GIB)
START = 1_795_300_000.0
HOLD = 3.0

At = Callable[[int], float | None]
"""The value of a meter while so many bytes are held."""


def windows(sizes: Sequence[int] = SIZES) -> list[tuple[float, float, int]]:
    """Begin, end, and bytes held: the baseline, then each size and the time after it."""
    held = [0, *(each for size in sizes for each in (size, 0))]
    return [(START + 4 * number, START + 4 * number + HOLD, size) for number, size in enumerate(held)]


def made_up_results(
    guest: Mapping[str, At] | None = None, sizes: Sequence[int] = SIZES, unavailable: Mapping[str, str] | None = None
) -> list[Event]:
    """What the guest journals, with these meters."""
    events: list[Event] = []
    for number, (begin, end, held) in enumerate(windows(sizes)):
        meters = {name: at(held) for name, at in (guest or {}).items()}
        event: Event = {"event": "result", "begin": begin, "end": end, "meters": meters}
        if number == 0:
            events.append({**event, "phase": "baseline", "sources": {}, "unavailable": dict(unavailable or {})})
        elif held:
            events.append({**event, "phase": "held", "asked_bytes": held, "allocated_bytes": held})
        else:
            events.append({**event, "phase": "freed"})
    return events


def made_up_series(
    meters: Mapping[str, At],
    *,
    hertz: float = 2.0,
    sizes: Sequence[int] = SIZES,
    unavailable: Mapping[str, str] | None = None,
    is_thorough: bool = True,
    first: float = 0.0,
) -> Telemetry:
    """What a sampler would have seen, with these meters; between the times nobody knows how much is held: half.

    ``is_thorough``: as a launch of `calibrate` asks the sampler to be; without it, slow meters are read as in any other launch.
    ``first``: when it began, in seconds after the first time in which nothing changes.
    """
    last = windows(sizes)[-1][1]
    times = [START + first + number / hertz for number in range(int((last - START - first) * hertz) + 1)]
    held = [_held_at(at, sizes) for at in times]
    return Telemetry(
        hertz=hertz,
        times=tuple(times),
        series={
            name: tuple(at(size) if n % every_of(name, is_thorough) == 0 else None for n, size in enumerate(held))
            for name, at in meters.items()
        },
        sources=dict.fromkeys(meters, "made up"),
        unavailable=dict(unavailable or {}),
    )


def a_calibration_launch(
    number: int = 1,
    *,
    guest: Mapping[str, At] | None = None,
    sampled: Mapping[str, At] | None = None,
    stats: Mapping[str, At] | None = None,
    results: Sequence[Event] | None = None,
    sizes: Sequence[int] = SIZES,
    **plan: Any,
) -> Launch:
    """A launch of the task that came to its end; ``plan`` is of `a_plan`."""
    import msgspec

    *begun, _ = passing_journal(last_stage="device")
    told = made_up_results(guest, sizes) if results is None else list(results)
    stage = {"stage": "calibrate"}
    journal = (*begun, {"event": "begin", **stage}, *told, {"event": "end", "seconds": 1.0, **stage}, {"event": "done"})
    planned = a_plan(number, last_stage="device", task="calibrate", **plan)
    launch = a_launch(planned, journal=journal, exit=ExitRecord(started=True, code=0))
    return msgspec.structs.replace(
        launch,
        telemetry=None if sampled is None else made_up_series(sampled, sizes=sizes),
        engine_stats=None if stats is None else made_up_series(stats, sizes=sizes),
    )


def calibrated(launch: Launch) -> Calibration:
    """Its calibration, which must be there."""
    found = calibration_of(launch)
    assert found is not None
    return found


def finding(launch: Launch, name: str) -> MeterFinding:
    """What became of one meter."""
    return next(each for each in calibrated(launch).findings if each.meter.name == name)


def _held_at(at: float, sizes: Sequence[int]) -> int:
    for begin, end, size in windows(sizes):
        if begin <= at <= end:
            return size
    return max(sizes) // 2


def largest_error(finding: MeterFinding) -> float | None:
    """The largest error of a meter's movements, by magnitude; ``None``: none is known."""
    errors = [each.relative_error for each in finding.movements if each.relative_error is not None]
    return max(errors, key=abs, default=None)
