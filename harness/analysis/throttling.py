"""Telemetry -> whether a launch was held back: throttled, or at a low clock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from harness.telemetry.coverage import LONGEST_GAP_PERIODS, Window, period_of, points_of, whole_of, why_uncovered, windows_of
from harness.telemetry.meters import kind_of, of_kind, suffix_of

FEWEST_SAMPLES = 2
"""Readings inside the passes that a momentary value needs: a clock, or a limiter that is at work now."""

LOW_CLOCK_HERTZ = 1.0e9
"""A busy GPU below this clock is held back: a Strix Halo has been seen at 2.36 to 2.71 GHz under load (nix-amd-ai#132), and
at 600 to 885 MHz where its clock was stuck (https://github.com/ROCm/legacy-rocm-build/issues/5750)."""

BUSY_PERCENT = 50.0
"""Clocks are judged while the GPU is at least this busy: an idle GPU sleeps at a low clock."""

_HEAT = ("prochot", "thm_", "thermal")
_POWER = ("spl", "fppt", "sppt", "power", "current")
"""Limiters are told apart by cause: a busy APU is often at its power limit by design, while heat points to a fan."""


def signs_of_throttling(launch: Launch) -> tuple[str, ...]:
    """``throttled by ...`` and ``low clock ...`` where the passes show it; ``... unknown: ...`` where nothing can be said.

    Empty means that the meters were read and showed neither. On the processor, where there may be no such meter, it means only
    that nothing was seen.
    """
    telemetry = launch.telemetry
    windows = (*windows_of(launch, "cold"), *windows_of(launch, "warm"))
    if telemetry is None or not windows:
        return ()
    is_on_gpu = launch.plan.device != "cpu"
    return (*_throttling(telemetry, windows, is_on_gpu), *(_clock(telemetry, windows) if is_on_gpu else ()))


def _throttling(telemetry: Telemetry, windows: Sequence[Window], is_on_gpu: bool) -> list[str]:
    answers = {
        meter.removeprefix(prefix): answer(telemetry, meter, windows)
        for meter in telemetry.series
        for prefix, answer in (("throttle_", _has_grown), ("throttling_", _was_on))
        if meter.startswith(prefix)
    }
    limiters = [name for name, was_at_work in answers.items() if was_at_work]
    signs = []
    for by, words in (("heat", _HEAT), ("power", _POWER), ("other limits", ())):
        named = [
            each
            for each in limiters
            if (kind_of(each).startswith(words) if words else not kind_of(each).startswith(_HEAT + _POWER))
        ]
        if named:
            signs.append(f"throttled by {by}: {', '.join(named)}")
    if not answers and is_on_gpu:
        signs.append("throttling unknown: no meter of it answered")
    elif not signs and None in answers.values():
        signs.append("throttling unknown: too few readings in or around the passes")
    return signs


def _clock(telemetry: Telemetry, windows: Sequence[Window]) -> list[str]:
    """The sign of a low clock: by the GPU that worked most, and its median clock over the passes' samples when it was busy."""
    meters = of_kind(telemetry.series, "gfx_clock_hertz")
    if not meters:
        return ["clock unknown: no meter of it answered"]
    found, is_known = [], True
    for meter in meters:
        busy = dict(points_of(telemetry, f"gpu_busy_percent{suffix_of(meter)}"))
        points = [(at, value) for at, value in points_of(telemetry, meter) if at in busy]
        is_known = is_known and _are_enough(telemetry, points, windows)
        hertz = [value for at, value in points if busy[at] >= BUSY_PERCENT and _is_inside(at, windows)]
        if len(hertz) >= FEWEST_SAMPLES:
            found.append((len(hertz), median(hertz)))
    hertz_at_work = max(found)[1] if found else None
    if hertz_at_work is not None and hertz_at_work < LOW_CLOCK_HERTZ:
        return [f"low clock: {hertz_at_work / 1e9:.2f} GHz at work, below {LOW_CLOCK_HERTZ / 1e9:.1f} GHz"]
    return [] if is_known else ["clock unknown: too few readings in the passes"]


def _is_inside(at: float, windows: Iterable[Window]) -> bool:
    return any(each.begin <= at <= each.end for each in windows)


def _are_enough(telemetry: Telemetry, points: Sequence[tuple[float, float]], windows: Sequence[Window]) -> bool:
    """Whether momentary readings are dense enough to speak for the passes."""
    inside = sum(_is_inside(at, windows) for at, _ in points)
    return inside >= FEWEST_SAMPLES and not why_uncovered(telemetry, [at for at, _ in points], whole_of(windows))


def _has_grown(telemetry: Telemetry, meter: str, windows: Sequence[Window]) -> bool | None:
    """Whether a counter of a limiter's time moved during a pass; ``None``: it cannot be told. A counter has 32 bits and may
    wrap, so any change counts."""
    answers = [_has_grown_in(telemetry, points_of(telemetry, meter), window) for window in windows]
    return True if True in answers else None if None in answers else False


def _has_grown_in(telemetry: Telemetry, points: Sequence[tuple[float, float]], window: Window) -> bool | None:
    """The same for one pass. It looks around the pass too, since a short one may hold one reading or none."""
    before = [point for point in points if point[0] <= window.begin][-1:]
    inside = [point for point in points if window.begin < point[0] < window.end]
    after = [point for point in points if point[0] >= window.end][:1]
    if len({value for _, value in inside}) > 1:
        return True
    if not before or not after:
        return None
    if len({value for _, value in (*before, *inside, *after)}) == 1:
        return False
    # A counter that moved between readings far from the pass need not have moved during it.
    around = LONGEST_GAP_PERIODS * period_of(telemetry.times, telemetry.hertz, window.end)
    (begin, _), (end, _) = before[0], after[0]
    return True if window.begin - begin <= around and end - window.end <= around else None


def _was_on(telemetry: Telemetry, meter: str, windows: Sequence[Window]) -> bool | None:
    """Whether a limiter was at work at some moment of a pass; ``None``: it cannot be told."""
    points = points_of(telemetry, meter)
    if any(value for at, value in points if _is_inside(at, windows)):
        return True
    return False if _are_enough(telemetry, points, windows) else None
