"""Launches -> the rows of the results. The only place that decides which launches speak for a cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Literal

import msgspec

from harness.analysis.cold_and_warm import phase_of
from harness.analysis.intervals import Estimate, estimate, launch_seconds, rate_of
from harness.analysis.peak_memory import Reading, memory_of
from harness.failures.signature import Signature, signatures
from harness.records.launch import Launch
from harness.records.likeness import HASHES, key_of
from harness.records.plan import Purpose
from harness.workloads.calibrate import Calibration, latest_calibrations
from harness.workloads.workload import Figure, Workload, workload_of, workload_of_rows

StageState = Literal["passed", "failed", "wrong output", "not reached"]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A cell on one engine, as its latest campaign saw it."""

    launches: tuple[Launch, ...]
    """In order of time, all of one campaign, without those that were interrupted"""
    status: str
    """``pass``, ``wrong output``, or ``fail`` where at least one launch failed"""
    speaking: Launch
    """The launch that stands for the row: the last that failed, or else the last with wrong output, or else the last"""
    seconds: Estimate | None
    rate: Estimate | None
    """The workload's amount a second, such as seconds of audio: higher is faster"""
    cold_seconds: float | None
    """First pass of launches that began with an empty kernel cache; ``None``: there is none, or the records do not say"""
    load_seconds: float | None
    figures: tuple[Figure, ...]
    """What the last timed launch's output is told by, in the order of its workload's ``figures``; no value without such a launch"""
    memory: tuple[Reading, ...]
    """Each reading names its meter"""

    @property
    def image(self) -> str:
        return self.speaking.image

    @property
    def engine(self) -> str:
        return self.speaking.plan.engine.title

    @property
    def workload(self) -> Workload:
        return workload_of_rows(self.speaking.plan)

    @property
    def remark(self) -> str:
        """What the workload says of every row of this profile; empty: nothing."""
        return self.workload.remark(self.speaking.plan.workload)

    @property
    def stages(self) -> dict[str, StageState]:
        """What became of each stage of its workload, in order. Where the one that was reached is not known any more, it is the first."""
        names, verdict = self.workload.all_stages, self.speaking.verdict
        reached = names.index(verdict.stage) if verdict.stage in names else 0
        ended: StageState = (
            "passed" if verdict.status == "pass" else "wrong output" if verdict.status == "wrong output" else "failed"
        )
        return {
            name: "passed" if place < reached else ended if place == reached else "not reached"
            for place, name in enumerate(names)
        }

    @property
    def is_ranked(self) -> bool:
        """Whether the row is ranked by speed: only output known to be right is, and a portable build never is."""
        return self.status == "pass" and self.rate is not None and not self.is_portable and not self.why_not_compared

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
    """One profile of a workload on one input, with the rows that ran it, the fastest first."""

    workload: Workload
    profile: str
    input: str
    amount: float
    rows: tuple[Row, ...]

    @property
    def remark(self) -> str:
        """What is to be said of all rows; empty: nothing."""
        return self.rows[0].remark

    @property
    def as_fast(self) -> tuple[Row, ...]:
        """Ranked rows after the fastest whose range (an interval or the extremes) overlaps with its own."""
        ranked = [(row, row.seconds) for row in self.rows if row.is_ranked and row.seconds is not None]
        return tuple(row for row, seconds in ranked[1:] if seconds.low <= ranked[0][1].high)


def is_cpu_run(launch: Launch) -> bool:
    """Whether a launch is one that others are compared with: on the CPU, with nothing switched that calls for a comparison."""
    return launch.agreement is None and launch.plan.device == "cpu" and not launch.plan.options


def rows_of(launches: Iterable[Launch], *, stored: Iterable[Launch] = (), purpose: Purpose = "result") -> tuple[Row, ...]:
    """One row for each cell and engine, from its latest campaign.

    A launch that says nothing about a whole run, such as a probe that passed or one that was interrupted, is in none; nor is one with
    another purpose.
    ``stored`` are further launches, among which there may be calibrations.
    """
    launches = tuple(launches)
    calibrations = latest_calibrations((*stored, *launches))
    groups: dict[tuple[str, ...], list[Launch]] = {}
    for launch in _without_overtaken_builds(sorted(launches, key=lambda each: each.id)):
        if launch.plan.purpose == purpose and workload_of(launch.plan).is_result(launch):
            groups.setdefault(key_of(launch.plan), []).append(launch)
    return tuple(_row(latest, calibrations) for group in groups.values() if (latest := latest_campaign(group)))


def _without_overtaken_builds(launches: Sequence[Launch]) -> Iterator[Launch]:
    """The launches without failed builds that never saw the input, where the same cell got further later."""
    keys = {launch.id: key_of(launch.plan, without=(*HASHES, "rootless", "flags", "gpu")) for launch in launches}
    last = {keys[launch.id]: launch.id for launch in launches if launch.plan.workload.input_sha256}
    for launch in launches:
        if launch.plan.workload.input_sha256 or last.get(keys[launch.id], "") < launch.id:
            yield launch


def workloads_of(rows: Iterable[Row]) -> tuple[WorkloadRows, ...]:
    """The rows by profile and input."""
    groups: dict[tuple[str, float, str, str], list[Row]] = {}
    for row in rows:
        record = row.speaking.plan.workload
        groups.setdefault((record.profile, record.amount, record.input, record.input_sha256), []).append(row)
    return tuple(
        WorkloadRows(group[0].workload, profile, name, amount, tuple(sorted(group, key=_rank)))
        for (profile, amount, name, _), group in sorted(groups.items())
    )


def by_name(row: Row) -> tuple[str, str, float, str, str]:
    """The sort key of rows that no speed ranks: the image, and the lengths of one cell as numbers."""
    cell = row.speaking.plan.cell
    return (row.image, cell.rpartition("/")[0], row.speaking.plan.workload.amount, cell, row.engine)


def latest_campaign(launches: Sequence[Launch]) -> tuple[Launch, ...]:
    """The launches of the latest campaign in which one ended, without those that were interrupted: they say nothing. Empty: none did."""
    ended = [launch for launch in launches if launch.verdict.cause != "interrupted"]
    return tuple(launch for launch in ended if launch.plan.campaign == ended[-1].plan.campaign)


def _row(launches: tuple[Launch, ...], calibrations: Mapping[tuple[str, ...], Calibration]) -> Row:
    failed = [launch for launch in launches if launch.verdict.status == "fail"]
    wrong = [launch for launch in launches if launch.verdict.status == "wrong output"]
    speaking = (failed or wrong or launches)[-1]
    timed = [launch for launch in launches if launch_seconds(launch) is not None and launch.verdict.status != "fail"]
    cold = [launch.pass_seconds("cold")[0] for launch in timed if phase_of(launch) == "cold"]
    loads = [launch.load_seconds for launch in timed if launch.load_seconds is not None]
    last = timed[-1] if timed else None
    figures = workload_of_rows(speaking.plan).figures_of(last or speaking)
    return Row(
        launches=launches,
        status=speaking.verdict.status,
        speaking=speaking,
        seconds=estimate([seconds for launch in timed if (seconds := launch_seconds(launch)) is not None]),
        rate=estimate([rate for launch in timed if (rate := rate_of(launch)) is not None]),
        cold_seconds=median(cold) if cold else None,
        load_seconds=median(loads) if loads else None,
        figures=figures if last else tuple(msgspec.structs.replace(figure, value=None) for figure in figures),
        memory=memory_of(timed, calibrations),
    )


def _rank(row: Row) -> tuple[int, float, str]:
    """The sort key: right rows by speed, then those not known to be right, then wrong ones, then failures, each by name."""
    place = {"pass": 0, "wrong output": 2}.get(row.status, 3)
    place = 1 if place == 0 and row.why_not_compared else place
    rate = row.rate.median if row.rate is not None else 0.0
    return place, -rate if place == 0 else 0.0, f"{row.image}/{row.speaking.plan.variant}/{row.engine}"
