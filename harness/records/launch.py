"""What is stored of a launch: typed, versioned, raw. Everything else is computed on reading.

Schema history (every old version stays readable):

1. The first. Added since, each with a default that an old record means: probe steps, fixes, flags, GPU, portable builds,
   commits of models, the kernel's words, tasks, telemetry, stopping rules and cool-downs, knobs with arms and rounds, hazards,
   engine stats, remarks of engines, limits of a first pass and why a launch was ended.
"""

from __future__ import annotations

import os
import time
from typing import Any, Literal

import msgspec

from benchmarks.wire import MEMORY_METERS
from harness.records.host import HostRecord
from harness.records.journal import _mapping, der_of, number

SCHEMA = 1

DEFAULT_WARM_PASSES = 3

WITHOUT_ACCURACY = ("synthetic",)
"""Pipelines whose weights are random: what comes out is timed and compared bit by bit, and never scored."""

Status = Literal["pass", "wrong output", "fail"]
Purpose = Literal["result", "verify", "reference", "null"]
Ending = Literal["time", "first pass", "gpu fault"]
"""Why strixbench ended a launch: its time was up, that for its first pass was, or it stood still after a fault of the GPU."""

TIME_IS_UP: tuple[Ending, ...] = ("time", "first pass")
"""What of these is a matter of a limit."""

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
    ended_because: Ending | None = None
    """``None``: it ended by itself, or ``timed_out`` says all, as in records from before"""
    remark: str = ""
    """What the engine could not do as it should have, though it started."""


class StoppingRule(Record, frozen=True, kw_only=True):
    """How many launches a cell gets: see `harness.analysis.stopping`."""

    launches: int
    """As many; with ``until`` at most as many."""
    until: float | None = None
    """Enough once the 95% interval's half-width is this share of the median, 0.02 is 2%; ``None``: a fixed number"""
    budget_seconds: float | None = None
    """From the campaign's first launch on: none begins later. ``None``: no limit"""


StopReason = Literal["precise", "launches", "failures", "budget"]


class Decision(Record, frozen=True, kw_only=True):
    """What the stopping rule said behind a launch."""

    stop: StopReason | None = None
    """``None``: the cell was to be launched again."""
    half_width: float | None = None
    """Of the 95% interval, as a share of the median; ``None``: fewer than six values"""
    values: int = 0
    """Launches of the cell that had a time until then."""
    elapsed_seconds: float = 0.0
    """Since the campaign's first launch began."""


class CoolDown(Record, frozen=True, kw_only=True):
    """The wait in front of a launch until the machine was as cool as at the campaign's start."""

    outcome: Literal["cool", "time is up", "no thermometer"]
    most_seconds: float
    margin_celsius: float
    """Above its start that a thermometer may be."""
    waited_seconds: float = 0.0
    start_celsius: dict[str, float] = {}
    """By thermometer, at the campaign's start."""
    before_celsius: dict[str, float] = {}
    """When the wait began."""
    after_celsius: dict[str, float] = {}
    """When it ended, and the launch began."""


class CacheRecord(Record, frozen=True, kw_only=True):
    """The folder of compiled kernels that a launch was given, before and after it. ``None``: not counted."""

    mode: str
    """``empty``: its own; ``keep``: shared with others of the same image, GPU and driver"""
    key: str = ""
    """Of a kept cache"""
    files_before: int | None = None
    bytes_before: int | None = None
    files_after: int | None = None
    bytes_after: int | None = None
    seen_before: bool = False
    """Whether the same work had come through its first pass with this cache before"""
    remark: str = ""
    """What a person should know of it"""
    kept_as: str = ""
    """The kept cache that its own folder has become: it was ended while it compiled"""


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
    """``verify``: a single launch to see whether the output is right. ``reference``: made to compare others with. ``null``: a cell against itself, true launches of it that say how far this
    machine can tell two things apart; were they rows as well, a null test would take the place of the benchmark beside which it
    is to stand. None of these is a row of a results table."""
    fixes: tuple[str, ...] = ()
    """Work-arounds of the catalog that this launch was given, beside its variant."""
    knobs: dict[str, str] = {}
    """Those that ``--vary`` or ``--set`` set, with their values."""
    arm: str = ""
    """Of a comparison: see `harness.catalog.cells.Arm`; empty: it was none"""
    round: int | None = None
    """From 0: launches of one round of a campaign are a pair; ``None``: from before rounds were counted"""
    hazards: tuple[str, ...] = ()
    """What was known to go wrong with it before it ran."""
    stopping: StoppingRule | None = None
    """``None``: from before there was a rule, or what was run is no repetition"""
    cool_down: CoolDown | None = None
    """``None``: switched off, or from before there was one"""
    caches: str = ""
    """``empty`` or ``keep``: see `CacheRecord`; empty text: from before there was a choice"""
    cache_key: str = ""
    """Of the kept cache that it was given"""
    first_pass_seconds: float | None = None
    """How long its first pass, which compiles kernels, was waited for from the start on; ``timeout_seconds`` then count from its
    end. ``None``: they count from the start"""
    keeps_as: str = ""
    """The kept cache that its own folder of kernels becomes where it is ended in its first pass; empty: none"""


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


class Agreement(Record, frozen=True, kw_only=True):
    """How far an output agrees with that of the CPU run of the same image, pipeline and recording: see `harness.verdict.agreement`."""

    reference: str | None = None
    """The id of the CPU run; ``None``: there is none to compare with."""
    why_not: str = ""
    """Why nothing was compared; empty: it was."""
    der: float | None = None
    """Of this hypothesis against the CPU run's; ``None``: weights are random, or it cannot be told."""
    speakers: int | None = None
    """``None``: weights are random, or it cannot be told."""
    reference_speakers: int | None = None
    """Likewise."""
    cosine: float | None = None
    """Of the fixed chunk's embedding to the CPU run's; ``None``: cannot be told, as all below."""
    difference: float | None = None
    """The largest of the fixed chunk's sampled segmentation values, absolute."""
    relative_difference: float | None = None
    """The same in parts of the CPU run's largest value."""
    sampled: int = 0
    """How many values of the segmentation were compared."""
    reasons: tuple[str, ...] = ()
    """What is wrong; none: it agrees."""

    @property
    def is_right(self) -> bool:
        """Whether it was compared, and agrees."""
        return not self.why_not and not self.reasons


class Launch(Record, frozen=True, kw_only=True):
    """One start of one cell: the unit of statistics."""

    schema: int = SCHEMA
    plan: Plan
    exit: ExitRecord
    verdict: Verdict
    start_seconds: float | None = None
    """From the order to start until the guest's first line; ``None``: there was no first line."""
    wall_seconds: float | None = None
    """From the order to start until the engine had removed it; ``None``: nobody looked, as in records from before"""
    caches: CacheRecord | None = None
    """``None``: from before there was a choice, or it was never started"""
    journal: tuple[dict[str, Any], ...] = ()
    """The guest's events as they came."""
    log_tail: str = ""
    """The end of what the libraries printed."""
    kernel_log: str = ""
    """What the kernel said of GPUs and memory meanwhile; empty: nothing, or it could not be read."""
    kernel_log_refused: str = ""
    """Why it could not be read; empty: it was, or it is a record from before, or nobody looked"""
    telemetry: Telemetry | None = None
    """``None``: nobody sampled"""
    decision: Decision | None = None
    """``None``: it was interrupted, or no rule was asked."""
    agreement: Agreement | None = None
    """``None``: nothing was to be compared (it is itself the CPU run, a task, or it failed), or it was not asked for."""
    remarks: tuple[str, ...] = ()
    """What the image's own variables make of it: see `harness.analysis.image_variables`; they are the image's words."""
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
        """Known hazards, what the image's own variables make of it, then the first of what the guest had to say, which is a
        handful."""
        return (*self.plan.hazards, *self.remarks, *[str(e.get("text")) for e in self.journal if e.get("event") == "note"][:20])

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
    def memory(self) -> dict[str, int]:
        """Bytes by meter, of `benchmarks.wire.MEMORY_METERS`, as the guest read them after its last pass."""
        found = {name: number(value) for name, value in _mapping(self._last_pass_stage.get("memory")).items()}
        return {name: int(value) for name in MEMORY_METERS if (value := found.get(name)) is not None and value >= 0}

    @property
    def memory_unavailable(self) -> dict[str, str]:
        """Meters that could not be read, and why: none of them is 0."""
        reasons = _mapping(self._last_pass_stage.get("memory_unavailable"))
        return {name: str(reasons[name]) for name in MEMORY_METERS if name in reasons and name not in self.memory}

    @property
    def _last_pass_stage(self) -> dict[str, Any]:
        return self.ends("warm") or self.ends("cold")

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
