"""Telemetry -> energy and memory. Pure: raw samples are stored, and this is computed on reading.

A pass's power is integrated over the pass by the trapezoid rule, with the samples at its borders interpolated; an energy
counter is read at the borders instead. The power of the idle host, sampled once in a campaign before its first launch, is
subtracted. Where too few samples fall into a pass, or do not cover it, there is a sentence in place of a number.

Prices are never stored: the reader gives them as options.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from harness.records.journal import number
from harness.records.launch import Launch
from harness.records.outcome import Telemetry
from harness.records.plan import Plan
from harness.records.price import Price
from harness.telemetry.coverage import Window, points_of, whole_of, why_uncovered, windows_of, worked_of
from harness.telemetry.meters import every_of, kind_of, of_kind, suffix_of
from harness.text import counted

FEWEST_SAMPLES = 4
"""Samples inside a window. With fewer, its interpolated borders would weigh more than the samples."""

JOULES_PER_KWH = 3.6e6
SECONDS_PER_HOUR = 3600.0

Points = Sequence[tuple[float, float]]


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """Energy used over some windows, net of the idle host where its power is known."""

    meter: str
    """What was read, such as ``socket_power_watts``"""
    joules: float
    """Over all windows, the idle host included"""
    seconds: float
    amount: float
    """What the passes went through, in the workload's unit"""
    samples: int
    """Inside the windows"""
    passes: int
    idle_watts: float | None
    """``None``: nobody sampled the idle host"""

    @property
    def watts(self) -> float:
        """Mean power, the idle host included."""
        return self.joules / self.seconds

    @property
    def net_joules(self) -> float:
        """Without the idle host's share, where it is known."""
        return self.joules - (self.idle_watts or 0.0) * self.seconds

    def joules_of(self, amount: float) -> float:
        """What an amount takes: 3600 for an hour of audio."""
        return self.net_joules * amount / self.amount


class Memory(msgspec.Struct, frozen=True):
    """What one of the host's meters saw of a launch."""

    meter: str
    bytes: float
    gap: str = ""
    """Why it may have been more, in words: the readings miss part of the launch; empty: they do not"""


def energy_of(launch: Launch, campaign: Iterable[Launch] = (), *, stage: str = "warm") -> Energy | str:
    """The energy that the passes of a stage used; a sentence where it is not known. ``campaign``: where the idle host was sampled.

    Passes that are each too short for `FEWEST_SAMPLES` are taken together, from the start of the first to the end of the last.
    """
    telemetry = launch.telemetry
    if telemetry is None:
        return "nobody sampled"
    meters = power_meters(telemetry, on_cpu=launch.plan.device == "cpu")
    if not meters:
        return _why_no_power(launch, telemetry)
    windows = windows_of(launch, stage)
    if not windows:
        return f"no {stage} pass ended"
    if any(_why_not(telemetry, meters, window) for window in windows):
        windows = (whole_of(windows),)
        if why := _why_not(telemetry, meters, windows[0]):
            return why
    return Energy(
        meter=" + ".join(meters),
        joules=sum(joules_between(points_of(telemetry, meter), meter, window) for meter in meters for window in windows),
        seconds=sum(window.end - window.begin for window in windows),
        amount=launch.plan.workload.amount * sum(window.passes for window in windows),
        samples=sum(min(_samples_inside(telemetry, meter, window) for meter in meters) for window in windows),
        passes=sum(window.passes for window in windows),
        idle_watts=idle_watts_of(campaign, meters),
    )


def idle_watts_of(launches: Iterable[Launch], meters: Sequence[str]) -> float | None:
    """The idle host's power by some meters, before the first of a campaign's launches; ``None`` where nobody sampled it."""
    for launch in launches:
        telemetry, begun = launch.telemetry, _begun(launch)
        if telemetry is None or begun is None or not telemetry.times:
            continue
        quiet = Window(telemetry.times[0], begun)
        if meters and all(_samples_inside(telemetry, meter, quiet) >= FEWEST_SAMPLES for meter in meters):
            watts = 0.0
            for meter in meters:
                points = [point for point in points_of(telemetry, meter) if point[0] <= begun]
                window = Window(points[0][0], points[-1][0])
                watts += joules_between(points, meter, window) / (window.end - window.begin)
            return watts
    return None


def is_idle_known(launches: Iterable[Launch], plan: Plan) -> bool:
    """Whether earlier samples settle what the idle host draws: they give its power by the meters that the coming launch would
    use, or show that no such meter answers here.

    Only a launch that looked at the same GPUs can settle it: one on the processor does not ask an NVIDIA card. A launch that never
    wrote to its journal settles nothing, since nobody knows when its idle time ended.
    """
    for launch in launches:
        if launch.telemetry is None or not launch.telemetry.times or _looked_at(launch.plan) != _looked_at(plan):
            continue
        meters = power_meters(launch.telemetry, on_cpu=plan.device == "cpu")
        if not meters or idle_watts_of([launch], meters) is not None:
            return True
    return False


def _looked_at(plan: Plan) -> tuple[str | None, bool]:
    """The parts of a plan that decide which GPUs its sampler reads; see `harness.telemetry.sampler.sensors_of`."""
    return plan.gpu, plan.image.family == "cuda"


def power_meters(telemetry: Telemetry, *, on_cpu: bool) -> tuple[str, ...]:
    """The meters whose sum is what a launch used.

    They are the socket's meter where there is one, since an APU's processor and graphics share it, and otherwise the processor's;
    and those of the other GPUs, unless the launch ran on the processor.
    """
    named = telemetry.series
    sockets = of_kind(named, "socket_power_watts")
    processor = sockets or of_kind(named, "cpu_package_joules")
    if on_cpu:
        return processor
    # Each GPU's counter is preferred to its power.
    gpus = {suffix_of(meter): meter for kind in ("gpu_power_watts", "gpu_joules") for meter in of_kind(named, kind)}
    apus = {suffix_of(meter) for meter in sockets}
    others = tuple(gpus[suffix] for suffix in sorted(gpus) if suffix not in apus)
    return (*sockets, *others) if sockets else (*others, *processor)


def joules_between(points: Points, meter: str, window: Window) -> float:
    """Energy in a window, from points (seconds, watts), or (seconds, joules) where the meter is a counter."""
    if _is_counter(meter):
        return _at(points, window.end) - _at(points, window.begin)
    inside = [point for point in points if window.begin < point[0] < window.end]
    path = [(window.begin, _at(points, window.begin)), *inside, (window.end, _at(points, window.end))]
    return sum((later - earlier) * (a + b) / 2 for (earlier, a), (later, b) in pairwise(path))


def cost_of(joules: float | None, seconds: float | None, price: Price) -> float | None:
    """Energy at its price plus the machine's time at its own; ``None`` without a price, or where what it pays for is not known."""
    if price.per_kwh is None and price.per_hour is None:
        return None
    if (price.per_kwh is not None and joules is None) or (price.per_hour is not None and seconds is None):
        return None
    of_energy = (price.per_kwh or 0.0) * (joules or 0.0) / JOULES_PER_KWH
    return of_energy + (price.per_hour or 0.0) * (seconds or 0.0) / SECONDS_PER_HOUR


def memory_of(launch: Launch) -> tuple[Memory, ...]:
    """What each of the host's meters saw, by its name.

    For memory that the whole host shares it is the rise, for the launch's own the peak. Peaks between two samples are missed.
    ``gap`` says where the readings do not cover the passes.
    """
    telemetry, worked = launch.telemetry, worked_of(launch)
    if telemetry is None:
        return ()
    found = []

    def add(name: str, points: Points, value: float, every: int = 1) -> None:
        gap = why_uncovered(telemetry, [at for at, _ in points], worked, every=every) if worked is not None else ""
        found.append(Memory(name, value, gap))

    both = _sum_of(telemetry, ("vram_used_bytes", "gtt_used_bytes"))
    if both:
        add("rise of VRAM + GTT", both, max(value for _, value in both) - both[0][1])
    elif only := _sum_of(telemetry, ("vram_used_bytes",)):
        add("rise of VRAM", only, max(value for _, value in only) - only[0][1])
    for meter, name in (
        ("fdinfo_gpu_bytes", "peak of fdinfo"),
        ("kfd_vram_bytes", "peak of KFD"),
        ("tree_resident_bytes", "peak of the processes' RSS"),
        ("cgroup_memory_bytes", "peak of the cgroup"),
    ):
        if points := points_of(telemetry, meter):
            add(name, points, max(value for _, value in points), every_of(meter, is_thorough=False))
    if points := points_of(telemetry, "mem_available_bytes"):
        add("drop of MemAvailable", points, points[0][1] - min(value for _, value in points))
    return tuple(found)


def _begun(launch: Launch) -> float | None:
    """When the order to start was given, in Unix seconds."""
    first = number(launch.journal[0].get("at")) if launch.journal else None
    return first - launch.start_seconds if first is not None and launch.start_seconds is not None else None


def _why_not(telemetry: Telemetry, meters: Iterable[str], window: Window) -> str:
    """Why some meters do not give a window's energy, in words; empty where they do."""
    for meter in meters:
        times = [at for at, _ in points_of(telemetry, meter)]
        if why := why_uncovered(telemetry, times, window, only_borders=_is_counter(meter)):
            return f"{meter}: {why}"
        inside = _samples_inside(telemetry, meter, window)
        if inside < FEWEST_SAMPLES:
            seconds = window.end - window.begin
            return f"passes of {seconds:.1f} s in all hold {counted(inside, 'sample')}, of {FEWEST_SAMPLES} that are needed"
    return ""


def _is_counter(meter: str) -> bool:
    return kind_of(meter).endswith("_joules")


def _samples_inside(telemetry: Telemetry, meter: str, window: Window) -> int:
    return sum(window.begin <= at <= window.end for at, _ in points_of(telemetry, meter))


def _at(points: Points, when: float) -> float:
    """The value at a moment, interpolated between its neighbours; outside the points, that of the nearest."""
    for (earlier, a), (later, b) in pairwise(points):
        if earlier <= when <= later:
            return a if later == earlier else a + (b - a) * (when - earlier) / (later - earlier)
    return points[0][1] if when < points[0][0] else points[-1][1]


def _why_no_power(launch: Launch, telemetry: Telemetry) -> str:
    """The recorded reason for the first of the wanted meters that has one."""
    wanted = ("cpu_package_joules",) if launch.plan.device == "cpu" else ("gpu_power_watts", "cpu_package_joules")
    return next(
        (telemetry.unavailable[meter] for meter in wanted if meter in telemetry.unavailable), "no meter of power answered"
    )


def _sum_of(telemetry: Telemetry, kinds: Sequence[str]) -> list[tuple[float, float]]:
    """The sum of some kinds of meter over all GPUs, at each sample where all of them answered; nothing where a kind is missing."""
    meters = [meter for kind in kinds for meter in of_kind(telemetry.series, kind)]
    if any(not of_kind(telemetry.series, kind) for kind in kinds):
        return []
    columns = [telemetry.series[meter] for meter in meters]
    return [
        (at, sum(value for value in row if value is not None))
        for at, *row in zip(telemetry.times, *columns, strict=False)
        if all(value is not None for value in row)
    ]
