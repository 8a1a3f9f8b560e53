"""Launches -> the rows of the results. The only place that decides which launches speak for a cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

import msgspec

from benchmarks.wire import STAGES
from harness.analysis.cold_and_warm import phase_of
from harness.analysis.intervals import Estimate, estimate, launch_seconds, realtime_factor
from harness.analysis.peak_memory import Reading, memory_of
from harness.failures.recognise import Signature, signatures
from harness.records.launch import Launch
from harness.records.plan import WITHOUT_ACCURACY, Purpose
from harness.workloads.calibrate import Calibration, latest_calibrations


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A cell on one engine, as its latest campaign saw it."""

    launches: tuple[Launch, ...]
    """In order of time, all of one campaign; interrupted ones only where there is no other"""
    status: str
    """``pass``, ``wrong output``, or ``fail`` where at least one launch failed"""
    speaking: Launch
    """The launch that stands for the row: the last that failed, or else the last with wrong output, or else the last"""
    seconds: Estimate | None
    realtime: Estimate | None
    cold_seconds: float | None
    """First pass of launches that began with an empty kernel cache; ``None``: there is none, or the records do not say"""
    load_seconds: float | None
    der: float | None
    speakers: int | None
    """``None``: not known, or from random weights"""
    memory: tuple[Reading, ...]
    """Each reading names its meter"""

    @property
    def image(self) -> str:
        return self.speaking.image

    @property
    def engine(self) -> str:
        return self.speaking.plan.engine.title

    @property
    def is_ranked(self) -> bool:
        """Whether the row is ranked by speed: only output known to be right is, and a portable build never is."""
        return self.status == "pass" and self.realtime is not None and not self.is_portable and not self.why_not_compared

    @property
    def is_struck(self) -> bool:
        """Whether any timed launch has wrong output: then the figures are struck through."""
        return any(launch.verdict.status == "wrong output" for launch in self.launches)

    @property
    def why_not_compared(self) -> str:
        """Why the output was not compared with the CPU run's, though it had to be; empty: it was, or this is a CPU run itself."""
        for launch in self.launches:
            if launch.verdict.status != "fail" and not is_cpu_run(launch):
                if launch.agreement is None:
                    return "no comparison was made"
                if launch.agreement.why_not:
                    return launch.agreement.why_not
        return ""

    @property
    def is_portable(self) -> bool:
        return self.speaking.plan.image.portable_of is not None

    @property
    def signature(self) -> Signature | None:
        """The known failure, where one was recognised and is still in the list."""
        return signatures().get(self.speaking.verdict.signature or "")


class WorkloadRows(msgspec.Struct, frozen=True):
    """One pipeline on one recording, with the rows that ran it, the fastest first."""

    profile: str
    input: str
    amount: float
    rows: tuple[Row, ...]

    @property
    def has_accuracy(self) -> bool:
        return self.profile not in WITHOUT_ACCURACY

    @property
    def as_fast(self) -> tuple[Row, ...]:
        """Ranked rows after the fastest whose range (an interval or the extremes) overlaps with its own."""
        ranked = [(row, row.seconds) for row in self.rows if row.is_ranked and row.seconds is not None]
        return tuple(row for row, seconds in ranked[1:] if seconds.low <= ranked[0][1].high)


def is_cpu_run(launch: Launch) -> bool:
    """Whether a launch is one that others are compared with: on the CPU, with nothing switched that calls for a comparison."""
    return launch.agreement is None and launch.plan.device == "cpu"


def rows_of(launches: Iterable[Launch], *, stored: Iterable[Launch] = (), purpose: Purpose = "result") -> tuple[Row, ...]:
    """One row for each cell and engine, from its latest campaign.

    A probe that passed or reached its steps says nothing about a whole run; nor does a task, or a launch with another purpose.
    ``stored`` are further launches, among which there may be calibrations.
    """
    launches = tuple(launches)
    calibrations = latest_calibrations((*stored, *launches))
    groups: dict[tuple[str, ...], list[Launch]] = {}
    for launch in _without_overtaken_builds(sorted(launches, key=lambda each: each.id)):
        if launch.plan.last_stage != STAGES[-1] and (launch.verdict.status == "pass" or launch.steps):
            continue
        if launch.plan.task or launch.plan.purpose != purpose:
            continue
        plan = launch.plan
        # Two recordings may have one name and length.
        audio = f"{plan.workload.input_sha256}/{plan.workload.truth_sha256}"
        flags = plan.flags if plan.flags != "least" else ""
        key = (plan.cell, audio, plan.engine.name, str(plan.engine.rootless), flags, plan.gpu or "")
        groups.setdefault(key, []).append(launch)
    return tuple(_row(latest_campaign(group), calibrations) for group in groups.values())


def _without_overtaken_builds(launches: Sequence[Launch]) -> Iterator[Launch]:
    """The launches without failed builds that never saw the recording, where the same cell got further later."""
    last = {(launch.plan.cell, launch.plan.engine.name): launch.id for launch in launches if launch.plan.workload.input_sha256}
    for launch in launches:
        plan = launch.plan
        if plan.workload.input_sha256 or last.get((plan.cell, plan.engine.name), "") < launch.id:
            yield launch


def workloads_of(rows: Iterable[Row]) -> tuple[WorkloadRows, ...]:
    """The rows by pipeline and recording."""
    groups: dict[tuple[str, float, str, str], list[Row]] = {}
    for row in rows:
        workload = row.speaking.plan.workload
        groups.setdefault((workload.profile, workload.amount, workload.input, workload.input_sha256), []).append(row)
    return tuple(
        WorkloadRows(pipeline, audio, seconds, tuple(sorted(group, key=_rank)))
        for (pipeline, seconds, audio, _), group in sorted(groups.items())
    )


def by_name(row: Row) -> tuple[str, str, float, str, str]:
    """The sort key of rows that no speed ranks: the image, and the lengths of one cell as numbers."""
    cell = row.speaking.plan.cell
    return (row.image, cell.rpartition("/")[0], row.speaking.plan.workload.amount, cell, row.engine)


def latest_campaign(launches: Sequence[Launch]) -> tuple[Launch, ...]:
    """The latest campaign's launches that were not interrupted; a campaign with no other launches counts only where all are so."""
    ended = [launch for launch in launches if launch.verdict.cause != "interrupted"] or list(launches)
    return tuple(launch for launch in ended if launch.plan.campaign == ended[-1].plan.campaign)


def _row(launches: tuple[Launch, ...], calibrations: Mapping[tuple[str, ...], Calibration]) -> Row:
    failed = [launch for launch in launches if launch.verdict.status == "fail"]
    wrong = [launch for launch in launches if launch.verdict.status == "wrong output"]
    speaking = (failed or wrong or launches)[-1]
    timed = [launch for launch in launches if launch_seconds(launch) is not None and launch.verdict.status != "fail"]
    cold = [launch.pass_seconds("cold")[0] for launch in timed if phase_of(launch) == "cold"]
    loads = [launch.load_seconds for launch in timed if launch.load_seconds is not None]
    last = timed[-1] if timed else None
    speakers = last.output.get("speakers") if last and last.plan.workload.has_accuracy else None
    return Row(
        launches=launches,
        status=speaking.verdict.status,
        speaking=speaking,
        seconds=estimate([seconds for launch in timed if (seconds := launch_seconds(launch)) is not None]),
        realtime=estimate([factor for launch in timed if (factor := realtime_factor(launch)) is not None]),
        cold_seconds=median(cold) if cold else None,
        load_seconds=median(loads) if loads else None,
        der=last.der if last else None,
        speakers=speakers if type(speakers) is int else None,
        memory=memory_of(timed, calibrations),
    )


def _rank(row: Row) -> tuple[int, float, str]:
    """The sort key: right rows by speed, then those not known to be right, then wrong ones, then failures, each by name."""
    place = {"pass": 0, "wrong output": 2}.get(row.status, 3)
    place = 1 if place == 0 and row.why_not_compared else place
    factor = row.realtime.median if row.realtime is not None else 0.0
    return place, -factor if place == 0 else 0.0, f"{row.image}/{row.speaking.plan.variant}/{row.engine}"
