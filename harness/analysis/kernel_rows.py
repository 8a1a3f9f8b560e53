"""Launches of the kernels -> each image's measured ceilings, and the share of them that other workloads reach. Pure.

The guest may have written anything. A kernel without a name, a count or a time is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from harness.analysis.host_differences import differences
from harness.analysis.intervals import Estimate, estimate
from harness.analysis.rows import latest_campaign, rows_of
from harness.records.fields import Fields
from harness.records.launch import Launch
from harness.records.likeness import WORK, key_of
from harness.workloads.kernels import WORKLOAD as KERNELS
from harness.workloads.kernels import call_seconds, kernel_lie, rate_lie
from harness.workloads.workload import overlong

MOST_TEXT_CHARACTERS = 200

MOST_KERNELS = 100


class KernelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel in one image."""

    name: str
    shape: str
    seconds: Estimate
    """Over launches, from each launch's median call"""
    first_seconds: float | None
    """The first call, as a median over launches"""
    calls: int
    """Timed calls of all launches together"""
    flop: float
    bytes: float

    @property
    def flop_rate(self) -> float:
        """FLOP a second; 0: this kernel computes nothing."""
        return self.flop / self.seconds.median

    @property
    def byte_rate(self) -> float:
        """Bytes a second that must be moved at least."""
        return self.bytes / self.seconds.median


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a workload's pass against the image's best rate."""

    profile: str
    input: str
    stage: str
    flop: float
    """Counted, for one pass"""
    seconds: Estimate
    """The stage's time in warm passes, over launches of `bench`"""
    best: KernelRow

    @property
    def flop_rate(self) -> float:
        return self.flop / self.seconds.median

    @property
    def share(self) -> float:
        """The stage's rate as a share of the best kernel's: 1 is that rate."""
        return self.flop_rate / self.best.flop_rate


class KernelImage(msgspec.Struct, frozen=True, kw_only=True):
    """The latest ``kernels`` of an image, a variant and an engine."""

    launches: tuple[Launch, ...]
    """Launches that timed anything, or failed"""
    rows: tuple[KernelRow, ...]
    bad: tuple[tuple[str, str], ...]
    """Kernels that failed, were wrong or crashed the process, and why"""
    shares: tuple[Share, ...] = ()

    @property
    def speaking(self) -> Launch:
        return self.launches[-1]

    @property
    def best_compute(self) -> KernelRow | None:
        """The kernel with the most FLOP a second."""
        return max((row for row in self.rows if row.flop), key=lambda row: row.flop_rate, default=None)

    @property
    def copy(self) -> KernelRow | None:
        """The copy that no cache holds."""
        return next((row for row in self.rows if row.name == "copy"), None)


def kernel_images(launches: Sequence[Launch]) -> tuple[KernelImage, ...]:
    """One for each image, variant, engine and GPU, from its latest campaign, with the shares of the passes in the same launches."""
    groups: dict[tuple[str, ...], list[Launch]] = {}
    for launch in sorted(launches, key=lambda each: each.id):
        if launch.plan.workload.name == KERNELS.name and launch.plan.purpose == "result":
            groups.setdefault(_key(launch), []).append(launch)
    found = (_image(latest, launches) for _, group in sorted(groups.items()) if (latest := latest_campaign(group)))
    return tuple(image for image in found if image.rows or image.bad)


def _key(launch: Launch) -> tuple[str, ...]:
    """What two launches must share to be the same image used in the same way."""
    return (*key_of(launch.plan, without=WORK), launch.plan.device)


def _image(launches: Sequence[Launch], store: Sequence[Launch]) -> KernelImage:
    ended: dict[str, list[tuple[Fields, tuple[float, ...]]]] = {}
    bad: dict[str, str] = {}
    for launch in launches:
        last = _last_words(launch)
        spent = call_seconds(event for event in last.values() if event.text("outcome") == "ok")
        too_long = overlong("calls", spent, launch.exit.run_seconds)
        for name, event in last.items():
            seconds = _seconds(event)
            if event.text("outcome") == "ok" and (lie := too_long or _lie(event, launch)):
                bad[name] = f"the journal cannot be true: {lie}"
            elif event.text("outcome") == "ok" and seconds:
                ended.setdefault(name, []).append((event, seconds))
            elif event.text("outcome") != "ok":
                bad[name] = _why(event, launch)
    rows = tuple(_row(name, events) for name, events in list(ended.items())[:MOST_KERNELS])
    image = KernelImage(launches=tuple(launches), rows=rows, bad=tuple(bad.items())[:MOST_KERNELS])
    best = image.best_compute
    shares = tuple(_shares(image.speaking, best, store)) if best is not None else ()
    return msgspec.structs.replace(image, shares=shares)


def _last_words(launch: Launch) -> dict[str, Fields]:
    """The last event of each kernel, in the order in which they began."""
    named = ((event.text("kernel"), event) for event in launch.said.results)
    return {name[:MOST_TEXT_CHARACTERS]: event for name, event in named if name is not None}


def _seconds(event: Fields) -> tuple[float, ...]:
    """The calls' times, without values that cannot be times."""
    return tuple(value for value in event.numbers("seconds") if value is not None and value > 0)


def _lie(event: Fields, launch: Launch) -> str | None:
    """What cannot be true of a timed kernel. A launch that passed had its counts checked against the table; others did not yet."""
    return rate_lie(event) if launch.verdict.status == "pass" else kernel_lie(event, launch.plan.device)


def _why(event: Fields, launch: Launch) -> str:
    if event.text("outcome") == "trying":
        return f"did not come to its end: {launch.verdict.cause or launch.verdict.status}"
    chain = event.chain("chain")
    root = f"{chain[-1].type}: {chain[-1].message}" if chain else "no exception was kept"
    return f"{(event.text('outcome') or 'no outcome')[:20]}: {root[:MOST_TEXT_CHARACTERS]}"


def _row(name: str, events: Sequence[tuple[Fields, tuple[float, ...]]]) -> KernelRow:
    last = events[-1][0]
    of_launches = estimate([median(seconds) for _, seconds in events])
    first = [value for event, _ in events if (value := event.number("first_seconds")) is not None]
    assert of_launches is not None  # there is an event, and it has seconds
    return KernelRow(
        name=name,
        shape=(last.text("shape") or "")[:MOST_TEXT_CHARACTERS],
        seconds=of_launches,
        first_seconds=median(first) if first else None,
        calls=sum(len(seconds) for _, seconds in events),
        flop=max(0.0, last.number("flop") or 0.0),
        bytes=max(0.0, last.number("bytes") or 0.0),
    )


def _shares(kernels: Launch, best: KernelRow, store: Sequence[Launch]) -> Iterable[Share]:
    """The shares, from rows of the results that ran the same image in the same way on the same machine and were right."""
    work = kernels.said.found(KERNELS.name).fields("work") if kernels.verdict.status == "pass" else Fields()
    for row in rows_of(store):
        if row.status != "pass" or _key(row.speaking) != _key(kernels) or row.speaking.plan.image.id != kernels.plan.image.id:
            continue
        if differences(kernels.plan.host, row.speaking.plan.host):
            continue
        for stage, flop in row.workload.flop_of_parts(row.speaking.plan.workload, work).items():
            seconds = estimate([value for launch in row.launches if (value := _stage_seconds(launch, stage)) is not None])
            if seconds is not None:
                workload = row.speaking.plan.workload
                yield Share(profile=workload.profile, input=workload.input, stage=stage, flop=flop, seconds=seconds, best=best)


def _stage_seconds(launch: Launch, stage: str) -> float | None:
    """One stage's time, as a median over a launch's warm passes."""
    told = (each.parts.number(stage) for each in launch.said.passes("warm"))
    seconds = [value for value in told if value is not None and value > 0]
    return median(seconds) if seconds else None
