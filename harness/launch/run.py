"""One launch, from its start to its record."""

from __future__ import annotations

import contextlib
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.wire import MAX_TEXT_CHARACTERS
from harness.engines.base import Engine
from harness.failures.recognise import recognise, with_firmware
from harness.launch import kernel_cache
from harness.launch.cache_folder import remove_folder
from harness.launch.engine_stats import StatsWatch
from harness.launch.exchange import make_exchange, open_exchange, read_events, read_log_tail, trim_exchange
from harness.launch.plan import EXCHANGE, PLAN, TELEMETRY, TRUTH, Prepared, caches_folder, launches_folder
from harness.launch.watch import Watch
from harness.machine.kernel_log import KernelText
from harness.records.fields import Fields
from harness.records.journal import Journal, read
from harness.records.launch import Launch, is_id
from harness.records.outcome import CacheRecord, Cause, ExitRecord, Verdict
from harness.records.plan import Plan
from harness.secrets import clean_text
from harness.telemetry.samples import read_telemetry
from harness.telemetry.start import Sampling, sampling
from harness.tools import write_whole
from harness.verdict.judge import judge, with_kept_cache
from harness.verdict.time_limits import most_seconds
from harness.workloads.host_clock import HostClock
from harness.workloads.workload import Evidence, workload_of


def execute(prepared: Prepared, engine: Engine, *, quiet_seconds: float = 0.0, sample: Sampling = sampling) -> Launch:
    """Run a launch to its end and judge it. The launch's folder stays until the launch is stored: see `forget`.

    Before it starts, ``quiet_seconds`` pass where the host's power can be read: what an idle host takes. ``sample`` reads the host's
    meters while the engine runs it.
    """
    plan, workload = prepared.plan, workload_of(prepared.plan)
    folder = launches_folder() / plan.id
    make_exchange(folder / EXCHANGE, prepared.request)
    if prepared.truth is not None:  # where no container sees it, and for the next harness if this one is killed
        write_whole(folder / TRUTH, prepared.truth.read_bytes())
    # Written whole, before the launch starts: if this harness is killed, the next one can say from it what was going on.
    write_whole(folder / PLAN, msgspec.json.encode(plan))
    cache_folder = caches_folder(plan.id, plan.cache_key)
    cache_record = kernel_cache.begin(plan, cache_folder)
    with contextlib.closing(engine.kernel_log.follow()) as kernel_log:
        with sample(
            prepared.run.exchange,
            into=folder / TELEMETRY,
            gpu=plan.gpu,
            is_nvidia=plan.image.family == "cuda",
            quiet_seconds=quiet_seconds,
            is_thorough=workload.is_sampled_thoroughly,
        ):
            watch = Watch(plan, prepared.run.exchange, kernel_log)
            begun, monotonic_begun = time.time(), time.monotonic()
            is_asked = workload.is_sampled_thoroughly and engine.record.name != "local"
            with StatsWatch(engine, prepared.run.name) if is_asked else contextlib.nullcontext() as stats:
                exit_record = engine.run(prepared.run, timeout_seconds=most_seconds(plan), give_up=watch.give_up)
            wall_seconds = time.monotonic() - monotonic_begun
            clock = HostClock(begun=begun, ended=time.time(), seconds=wall_seconds, sightings=watch.sightings)
        said = kernel_log.read()
    launch = conclude(plan, exit_record, clock=clock, kernel_log=said)
    caches_record = kernel_cache.finish(
        plan,
        cache_folder,
        cache_record,
        came_through=launch.said.ends("cold") is not None,
        ended_because=exit_record.ended_because,
    )
    return msgspec.structs.replace(
        launch,
        verdict=with_kept_cache(launch.verdict, exit_record, caches_record),
        wall_seconds=wall_seconds if exit_record.started else None,
        caches=caches_record,
        engine_stats=stats.taken if stats is not None else None,
    )


NO_KERNEL_LOG = KernelText()


def conclude(
    plan: Plan, exit_record: ExitRecord, *, clock: HostClock | None = None, kernel_log: KernelText = NO_KERNEL_LOG
) -> Launch:
    """The record of a launch from what its folder holds. ``clock`` is ``None`` where nobody saw it to its end."""
    folder = launches_folder() / plan.id
    exchange = folder / EXCHANGE
    open_exchange(exchange)
    journal, log_tail = read_events(exchange), read_log_tail(exchange)
    trim_exchange(exchange)
    said = read(journal)
    findings = _examined(plan, said, folder / TRUTH)
    verdict = judge(
        plan,
        exit_record,
        Evidence(
            journal=said,
            log_tail=log_tail,
            kernel_log=with_firmware(kernel_log.text, plan.host),
            findings=Fields(findings),
            clock=clock if exit_record.run_seconds is not None else None,
        ),
    )
    return Launch(
        plan=plan,
        exit=exit_record,
        verdict=_unless_unscored(verdict, Fields(findings)),
        start_seconds=said.first_at - clock.begun if said.first_at is not None and clock is not None else None,
        journal=journal,
        findings=findings,
        log_tail=log_tail,
        kernel_log=clean_text(kernel_log.text),
        kernel_log_refused=clean_text(kernel_log.refused),
        telemetry=read_telemetry(folder / TELEMETRY),
    )


def conclude_left(plan: Plan, exit_record: ExitRecord) -> Launch:
    """The record of a launch that nobody saw to its end. Its kernel caches are freed, as they are after one that was seen."""
    launch = conclude(plan, exit_record)
    begun = CacheRecord(mode=plan.caches, key=plan.cache_key) if plan.caches else None
    with contextlib.suppress(OSError):  # what is known of a kept cache is written, and the disk may be full
        kernel_cache.finish(
            plan, caches_folder(plan.id, plan.cache_key), begun, came_through=launch.said.ends("cold") is not None
        )
    return launch


UNSCORED = "unscored"
"""The finding that our own scoring of an output failed: its traceback"""


def _examined(plan: Plan, said: Journal, truth: Path) -> dict[str, Any]:
    """What the host finds out about an output. A fault of ours in it is a finding: the same output would meet the same fault at every
    later start, and no image may end those."""
    try:
        return dict(workload_of(plan).examine(plan, said, truth if truth.is_file() and not truth.is_symlink() else None))
    except Exception as error:
        told = "".join(traceback.format_exception(error, limit=-20))
        return {
            UNSCORED: clean_text(told)[-MAX_TEXT_CHARACTERS:],
            "error": clean_text(f"{type(error).__name__}: {error}")[:300],
        }


def _unless_unscored(verdict: Verdict, findings: Fields) -> Verdict:
    """The verdict; of an output that would have passed and could not be scored, that nobody knows whether it is right."""
    if not findings.text(UNSCORED) or verdict.status == "fail":
        return verdict
    return Verdict(
        status="fail",
        stage=verdict.stage,
        cause="error",
        summary=f"strixbench could not score its output ({findings.text('error')}): a fault of strixbench, please report it; "
        "`strixbench show` has the traceback",
    )


def not_launched(plan: Plan, *, stage: str, cause: Cause, message: str, log_tail: str = "") -> Launch:
    """The record of a launch that could not even start. The message and the log may quote a build's output."""
    message, log_tail = clean_text(message), clean_text(log_tail)
    signature = recognise((), f"{message}\n{log_tail}")
    return Launch(
        plan=plan,
        exit=ExitRecord(started=False, message=message),
        verdict=Verdict(
            status="fail", stage=stage, cause=cause, summary=message, signature=signature.id if signature else None
        ),
        log_tail=log_tail,
    )


def forget(launch_id: str) -> bool:
    """Remove the folder of a launch that is in the store; returns whether it is gone. Raises `ValueError` for what is no launch's id.

    Its plan goes first: a folder without one is no launch to recover, if this is cut off.
    """
    if not is_id(launch_id):
        raise ValueError(f"{launch_id!r} is no launch's id")
    folder = launches_folder() / launch_id
    if not folder.is_symlink():
        with contextlib.suppress(OSError):
            (folder / PLAN).unlink()
    return remove_folder(folder)
