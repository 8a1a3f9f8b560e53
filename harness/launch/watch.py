"""Watches the journal of a running launch and the kernel's log, and says when the launch is to be ended, as
`harness.verdict.time_limits` decides."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.wire import MOST_JOURNAL_BYTES
from harness.catalog.rows import GPU_FAMILIES
from harness.launch.exchange import JournalTail
from harness.machine.gpu_faults import concerns, gpu_events
from harness.machine.kernel_log import FollowedLog, KernelLine
from harness.records.outcome import Ending
from harness.records.plan import Plan
from harness.telemetry.processes import LaunchProcesses
from harness.telemetry.sensors import Files
from harness.verdict.time_limits import Seen, device_has_ended, first_pass_has_ended, is_over_fault, why_end
from harness.workloads.host_clock import Sighting

MOST_EVENTS = MOST_JOURNAL_BYTES // len('{"event":"end"}')
"""A journal that is read to its end has fewer events. After more it was written anew, and what comes then is not noted: a hostile guest
could fill the host's memory."""

KERNEL_SECONDS = 5.0
"""The time between two looks into the kernel's log."""


class Watch:
    """Watches one launch from its start. `give_up` is asked about once a second."""

    def __init__(
        self,
        plan: Plan,
        exchange: Path,
        kernel_log: FollowedLog,
        *,
        clock: Callable[[], float] = time.monotonic,
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._plan = plan
        self._journal = JournalTail(exchange)
        self._kernel_log = kernel_log
        self._clock = clock
        self._begun = clock()
        self._seen = Seen(now=0.0)
        self._looked = 0.0
        self._past: KernelLine | None = None
        """The last line that has turned out not to concern this launch"""
        self._sightings: list[Sighting] = []
        self._left_to_sight = most_events
        self._unseen_until = 0.0
        """When it last looked, and had not seen yet what comes now"""
        self._uses_gpu = plan.device != "cpu" and plan.image.family in GPU_FAMILIES
        since_ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
        self._processes = LaunchProcesses(str(exchange), since_ticks)

    def give_up(self) -> Ending | None:
        """Why the launch is to be ended now; ``None``: it may go on. Waits for nothing."""
        now = self._clock() - self._begun
        self._seen = msgspec.structs.replace(self._seen, now=now)
        self._read_journal(now)
        if self._uses_gpu and now - self._looked >= KERNEL_SECONDS:
            self._looked = now
            self._read_kernel_log(now)
        return why_end(self._plan, self._seen)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """The journal's events as they were seen to come."""
        return tuple(self._sightings)

    def _read_journal(self, now: float) -> None:
        events = self._journal.new_events()
        if events and self._left_to_sight >= 0:
            self._left_to_sight -= len(events)
            told = tuple(event.at for event in events)
            self._sightings.append(Sighting(after=self._unseen_until, by=self._clock() - self._begun, ats=told))
        self._unseen_until = now
        if events is None:
            return
        seen = msgspec.structs.replace(self._seen, last_word=now)
        if seen.device_ended is None and any(map(device_has_ended, events)):
            seen = msgspec.structs.replace(seen, device_ended=now)
        if seen.first_pass_ended is None and any(map(first_pass_has_ended, events)):
            seen = msgspec.structs.replace(seen, first_pass_ended=now)
        self._seen = seen

    def _read_kernel_log(self, now: float) -> None:
        lines = self._kernel_log.glance().lines
        if is_over_fault(self._seen):
            self._past = lines[-1] if lines else None
            self._seen = msgspec.structs.replace(self._seen, fault=None)
        # Judged anew at each look: a later line may name the process that made a fault, which may have died of it since.
        new = lines[lines.index(self._past) + 1 :] if self._past in lines else lines
        events = gpu_events(new, gpu=self._plan.gpu)
        members = self._processes.find(Files()) if any(event.pids for event in events) else ()
        if not any(concerns(event, members) for event in events):
            self._past = lines[-1] if lines else None
            self._seen = msgspec.structs.replace(self._seen, fault=None)
        elif self._seen.fault is None:
            self._seen = msgspec.structs.replace(self._seen, fault=now)
