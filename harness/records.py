"""What is stored of a launch: typed, versioned, raw. Everything else is computed on reading.

Schema history (every old version stays readable):

1. The first. Added since, each with a default that an old record means: probe steps, fixes, flags, GPU, portable builds,
   commits of models, the kernel's words, tasks, telemetry, engine stats.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any, Literal

import msgspec

SCHEMA = 1

DEFAULT_WARM_PASSES = 3

WITHOUT_ACCURACY = ("synthetic",)
"""Pipelines whose weights are random: what comes out is timed and compared bit by bit, and never scored."""

Status = Literal["pass", "wrong output", "fail"]
Purpose = Literal["result", "reference"]
Cause = Literal[
    "build",
    "engine",
    "import",
    "wrong torch",
    "no device",
    "model access",
    "out of memory",
    "gpu fault",
    "crash",
    "timeout",
    "interrupted",
    "error",
]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base: frozen; a field at its default is not written."""


class ExceptionRecord(Record, frozen=True, kw_only=True):
    """One exception of a chain, as the guest saw it."""

    type: str
    message: str = ""
    where: str = ""
    traceback: str = ""


class Verdict(Record, frozen=True, kw_only=True):
    """What became of a launch."""

    status: Status
    stage: str
    """The last stage that was reached: the one that failed, or the last of all."""
    cause: Cause | None = None
    """``None``: passed, or wrong output."""
    summary: str = ""
    signature: str | None = None
    """Id of the known failure that matched; ``None``: none did."""


class ImageRecord(Record, frozen=True, kw_only=True):
    """Which image it really was."""

    name: str
    family: str | None = None
    """``None``: it ended before that could be found out."""
    id: str | None = None
    """The engine's image id, or the recipe's hash of a virtual environment; ``None``: there was no image."""
    digests: tuple[str, ...] = ()
    """Of a registry; none for an image built here."""
    recipe: str | None = None
    """``None``: built elsewhere."""
    portable_of: str | None = None
    """The image whose dependency set this is, with a torch for any machine: no result of that image. ``None``: itself."""


class EngineRecord(Record, frozen=True, kw_only=True):
    """What ran it."""

    name: str
    version: str | None = None
    rootless: bool = False
    runtime: str | None = None
    """What starts its containers: ``crun``, ``runc`` ...; ``None``: not asked, or not said"""
    device_drivers: tuple[str, ...] | None = None
    """``cdi``, ``nvidia``: ways to hand in a GPU that it says it has; ``None``: not asked"""


class WorkloadRecord(Record, frozen=True, kw_only=True):
    """What was run."""

    pipeline: str
    audio: str
    audio_seconds: float
    audio_sha256: str
    """Empty where the recording was not here yet: the image could not be built."""
    reference_sha256: str | None = None
    """``None``: there is no reference."""
    highest_der: float | None = None
    segmentation_batch_size: int
    embedding_batch_size: int
    warm_passes: int
    models: tuple[str, ...] = ()
    """``repository@commit`` of the hub's models; none: the embedded profile's, whose hashes are strixbench's own."""

    @property
    def has_accuracy(self) -> bool:
        """Whether its turns and speakers mean anything."""
        return self.pipeline not in WITHOUT_ACCURACY


class HostRecord(Record, frozen=True, kw_only=True):
    """The machine. No host name, no user name."""

    kernel: str
    distribution: str | None = None
    processor: str | None = None
    processors: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[str, ...] = ()


class ExitRecord(Record, frozen=True, kw_only=True):
    """How the container or process ended."""

    started: bool
    code: int | None = None
    """``None``: never started, or the harness was gone when it ended. A signal's death is 128 + its number."""
    timed_out: bool = False
    out_of_memory: bool = False
    interrupted: bool = False
    run_seconds: float | None = None
    """From its start to its end by the host's clock; ``None``: nobody looked."""
    message: str = ""
    """Why it never started."""


class Plan(Record, frozen=True, kw_only=True):
    """All that is known of a launch before it starts; kept on disk until the launch is stored, so that a killed
    harness loses nothing."""

    id: str
    campaign: str
    owner: str
    cell: str
    label: str | None = None
    planned_at: str
    """UTC, ISO 8601"""
    image: ImageRecord
    variant: str
    environment: dict[str, str] = {}
    """What the variant set."""
    workload: WorkloadRecord
    engine: EngineRecord
    host: HostRecord
    device: str
    last_stage: str
    timeout_seconds: float
    memory_limit_bytes: int | None = None
    """``None``: no limit"""
    command: tuple[str, ...] = ()
    """What was run, fit to paste after quoting."""
    relaxations: tuple[str, ...] = ()
    """Where isolation was weakened, and why."""
    flags: str = ""
    """``least``, ``compat``, or the relaxations of ``--flags``; empty: from before there was a choice"""
    gpu: str | None = None
    """The GPU of ``--gpu``: PCI address, or NVIDIA's number; ``None``: none was chosen, or the image needs none"""
    steps: tuple[str, ...] = ()
    """Of the probe, that were asked for; none in a benchmark."""
    task: str = ""
    """Of `benchmarks.wire.TASKS`; empty: diarization of one recording."""
    options: dict[str, Any] = {}
    """The task's own."""
    purpose: Purpose = "result"
    """``reference``: made to compare others with, and no row of a results table."""
    fixes: tuple[str, ...] = ()
    """Work-arounds of the catalog that this launch was given, beside its variant."""


class Telemetry(Record, frozen=True, kw_only=True):
    """What the host saw while a launch ran, sampled."""

    hertz: float
    times: tuple[float, ...] = ()
    """Unix seconds of each sample"""
    series: dict[str, tuple[float | None, ...]] = {}
    """Meter -> a value a sample; ``None``: this reading failed, or is made less often, as its source then says"""
    sources: dict[str, str] = {}
    """Meter -> which file or call it is"""
    unavailable: dict[str, str] = {}
    """Meter -> why it could not be read at all"""
    cost_seconds: float | None = None
    """Processor seconds of the sampler; ``None``: it did not live to say"""


class Launch(Record, frozen=True, kw_only=True):
    """One start of one cell: the unit of statistics."""

    schema: int = SCHEMA
    plan: Plan
    exit: ExitRecord
    verdict: Verdict
    start_seconds: float | None = None
    """From the order to start until the guest's first line; ``None``: there was no first line."""
    journal: tuple[dict[str, Any], ...] = ()
    """The guest's events as they came."""
    log_tail: str = ""
    """The end of what the libraries printed."""
    kernel_log: str = ""
    """What the kernel said of GPUs and memory meanwhile; empty: nothing, or this user may not read it."""
    telemetry: Telemetry | None = None
    """``None``: nobody sampled"""
    engine_stats: Telemetry | None = None
    """What the container engine itself told of its memory, for comparison; ``None``: it was not asked"""

    @property
    def id(self) -> str:
        return self.plan.id

    @property
    def image(self) -> str:
        return self.plan.image.name

    def ends(self, stage: str) -> dict[str, Any]:
        """The ``end`` event of a stage; empty where it did not end well."""
        return next((e for e in self.journal if e.get("event") == "end" and e.get("stage") == stage), {})

    @property
    def torch_version(self) -> str | None:
        """What torch said of itself; where the imports failed, its package's version."""
        torch = self.ends("import").get("torch")
        version = torch.get("version") if isinstance(torch, dict) else self.imports.get("torch", {}).get("version")
        return str(version) if version else None

    @property
    def chain(self) -> tuple[ExceptionRecord, ...]:
        """The exception that ended the launch, outermost first; empty where none did."""
        return exception_chain(next((e.get("chain") for e in self.journal if e.get("event") == "failed"), None))

    @property
    def imports(self) -> dict[str, dict[str, Any]]:
        """The last word on each import, by name."""
        return {str(e.get("name")): e for e in self.journal if e.get("event") == "import"}

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        """The last word on each step of the probe, by name; the journal may name any."""
        return {str(e.get("name")): e for e in self.journal if e.get("event") == "step"}

    @property
    def results(self) -> tuple[dict[str, Any], ...]:
        """What a task found, one event each; the journal may hold anything in them."""
        return tuple(e for e in self.journal if e.get("event") == "result")

    @property
    def notes(self) -> tuple[str, ...]:
        """The first of them: a guest has a handful to say."""
        return tuple(str(e.get("text")) for e in self.journal if e.get("event") == "note")[:20]

    def pass_seconds(self, stage: str) -> tuple[float, ...]:
        """Seconds of each ``cold`` or ``warm`` pass."""
        values = [e.get("seconds") for e in self.journal if e.get("event") == "pass" and e.get("stage") == stage]
        return tuple(seconds for value in values if (seconds := number(value)) is not None)

    @property
    def load_seconds(self) -> float | None:
        return number(self.ends("load").get("seconds"))

    @property
    def import_seconds(self) -> float | None:
        return number(self.ends("import").get("seconds"))

    @property
    def peak_resident_bytes(self) -> int | None:
        """Of the guest's process, after its last pass."""
        value = number(self.ends("warm").get("peak_resident_bytes"))
        return None if value is None else int(value)

    @property
    def peak_reserved_bytes(self) -> int | None:
        """By torch's allocator on the GPU; ``None`` on a CPU."""
        value = number(self.ends("warm").get("peak_reserved_bytes"))
        return None if value is None else int(value)

    @property
    def output(self) -> dict[str, Any]:
        """What ``verify`` found: ``rttm``, ``speakers``, ``speech_seconds``, ``der`` ..."""
        return self.ends("verify")

    @property
    def der(self) -> float | None:
        """Diarization error rate against the reference, 0.05 is 5%; ``None`` without one, or where weights are random.

        (missed + false alarm + confusion) / total, no collar, overlap scored
        (https://pyannote.github.io/pyannote-metrics/reference.html#diarization).
        """
        return der_of(self.output) if self.plan.workload.has_accuracy else None


def der_of(output: dict[str, Any]) -> float | None:
    """DER of the ``verify`` stage's findings; ``None`` where there is no reference, or none of its speech."""
    parts = output.get("der")
    if not isinstance(parts, dict):
        return None
    names = ("missed_seconds", "false_alarm_seconds", "confusion_seconds", "total_seconds")
    missed, false_alarm, confusion, total = (number(parts.get(name)) for name in names)
    if missed is None or false_alarm is None or confusion is None or not total:
        return None
    return (missed + false_alarm + confusion) / total


def number(value: Any) -> float | None:
    """A journal's value as a float; ``None`` where it is not a finite number: the journal may hold anything."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer too large for a float
        return None


def exception_chain(value: Any) -> tuple[ExceptionRecord, ...]:
    """A journal's ``chain`` typed; entries of another shape are left out."""
    if not isinstance(value, list):
        return ()
    links = [link for link in value if isinstance(link, dict)]
    return tuple(ExceptionRecord(**{k: str(link.get(k, "")) for k in ExceptionRecord.__struct_fields__}) for link in links)


def new_id() -> str:
    """A fresh id whose order is that of time, to the microsecond: ``20261121T204530-123456-1f0a``."""
    now_ns = time.time_ns()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now_ns // 10**9))
    return f"{stamp}-{now_ns // 1000 % 10**6:06d}-{os.urandom(2).hex()}"
