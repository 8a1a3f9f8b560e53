"""What is stored of a launch: typed, versioned, raw. Everything else is computed on reading.

Schema history (every old version stays readable: `harness.records.upgrade`):

1. The first. Added since, each with a default for older records: probe steps, fixes, flags, GPU, portable builds,
   commits of models, the kernel's words, tasks, telemetry, stopping rules and cool-downs, knobs with arms and rounds, hazards,
   engine stats, remarks of engines, limits of a first pass and why a launch was ended.
2. The host scores an output, and ``findings`` has what it found. A workload has a name, a profile, an input and an amount, where schema
   1 had a pipeline, a recording and its seconds; the batch sizes are its numbers. The plan has the number of passes, and no ``task`` or
   ``steps`` any more: the workload's name and its options say these.
"""

import os
import re
import time
from functools import cached_property
from typing import Any

import msgspec

from benchmarks.wire import MEMORY_METERS
from harness.records.fields import Fields
from harness.records.journal import Journal, read
from harness.records.outcome import (
    Agreement,
    CacheRecord,
    Decision,
    ExceptionRecord,
    ExitRecord,
    Telemetry,
    Verdict,
)
from harness.records.plan import Plan

SCHEMA = 2


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """One start of one cell: the unit of statistics."""

    schema: int = msgspec.field(default_factory=lambda: SCHEMA)  # unlike a default it is always written
    plan: Plan
    exit: ExitRecord
    verdict: Verdict
    start_seconds: float | None = None
    """From the request to start until the guest's first line; ``None``: there was no first line."""
    wall_seconds: float | None = None
    """From the request to start until the engine had removed it; ``None``: not measured, as in older records"""
    caches: CacheRecord | None = None
    """``None``: from before there was a choice, or it was never started"""
    journal: tuple[dict[str, Any], ...] = ()
    """The guest's events as they came; `said` has them typed."""
    findings: dict[str, Any] = {}
    """What the host found out about the output by itself: see `harness.workloads.workload.Workload.examine`. Empty: nothing, or it is
    from before the host looked, and what the guest said stands in the journal"""
    log_tail: str = ""
    """The end of what the libraries printed."""
    kernel_log: str = ""
    """What the kernel said about GPUs and memory meanwhile; empty: nothing, or it could not be read."""
    kernel_log_refused: str = ""
    """Why it could not be read; empty: it was read, or nobody looked, as in older records"""
    telemetry: Telemetry | None = None
    """``None``: nobody sampled"""
    decision: Decision | None = None
    """``None``: it was interrupted, or there was no rule."""
    agreement: Agreement | None = None
    """``None``: there was nothing to compare (it is the CPU run itself, its workload compares nothing, or it failed), or no comparison was asked for."""
    remarks: tuple[str, ...] = ()
    """How the image's own variables change the launch, in the image's words: see `harness.analysis.image_variables`."""
    engine_stats: Telemetry | None = None
    """The memory that the container engine itself reported, for comparison; ``None``: it was not asked"""

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def image(self) -> str:
        return self.plan.image.name

    @cached_property
    def said(self) -> Journal:
        """The guest's events, typed when they are first asked for; no part of the record."""
        return read(self.journal)

    @property
    def torch_version(self) -> str | None:
        """The version that torch reports; where the imports failed, that of its package."""
        return self.said.found("import").fields("torch").text("version") or self.said.version_of("torch")

    @property
    def chain(self) -> tuple[ExceptionRecord, ...]:
        """The exception that ended the launch, outermost first; empty where none did."""
        failure = self.said.failure
        return failure.chain if failure else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Known hazards, how the image's own variables change the launch, what the host remarked on its output, and the guest's first
        notes."""
        return (*self.plan.hazards, *self.remarks, *Fields(self.findings).texts("remarks"), *self.said.notes[:20])

    def pass_seconds(self, stage: str) -> tuple[float, ...]:
        """Seconds of each ``cold`` or ``warm`` pass."""
        return tuple(each.seconds for each in self.said.passes(stage) if each.seconds is not None)

    @property
    def load_seconds(self) -> float | None:
        return self._stage_seconds("load")

    @property
    def import_seconds(self) -> float | None:
        return self._stage_seconds("import")

    @property
    def peak_resident_bytes(self) -> int | None:
        """The most that the guest's process held, read after its last pass."""
        return self.said.found("warm").count("peak_resident_bytes")

    @property
    def peak_reserved_bytes(self) -> int | None:
        """The most that torch's allocator reserved on the GPU; ``None`` on a CPU."""
        return self.said.found("warm").count("peak_reserved_bytes")

    @property
    def memory(self) -> dict[str, int]:
        """Bytes by meter, of `benchmarks.wire.MEMORY_METERS`, as the guest read them after its last pass."""
        found = self._after_passes.fields("memory")
        return {name: value for name in MEMORY_METERS if (value := found.count(name)) is not None}

    @property
    def memory_unavailable(self) -> dict[str, str]:
        """The meters that could not be read, and why: such a meter is not 0."""
        reasons, known = self._after_passes.fields("memory_unavailable"), self.memory
        return {name: why for name in MEMORY_METERS if name not in known and (why := reasons.text(name)) is not None}

    @property
    def _after_passes(self) -> Fields:
        """What the guest found when its last pass had ended."""
        end = self.said.ends("warm") or self.said.ends("cold")
        return end.found if end else Fields()

    def _stage_seconds(self, stage: str) -> float | None:
        end = self.said.ends(stage)
        return end.seconds if end else None


def new_id() -> str:
    """A fresh id; ids sort by time, to the microsecond: ``20261121T204530-123456-1f0a``."""
    now_ns = time.time_ns()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ns // 10**9))
    return f"{stamp}-{now_ns // 1000 % 10**6:06d}-{os.urandom(2).hex()}"


def is_id(text: str) -> bool:
    """Whether a text is an id of `new_id`, or of earlier versions: ``20261121T204530-1f0a9c``. Nothing else is taken for the folder
    of a launch."""
    return re.fullmatch(r"[0-9]{8}T[0-9]{6}-([0-9]{6}-[0-9a-f]{4}|[0-9a-f]{6})", text) is not None
