"""What is stored of a launch before it starts: which image, engine and work, and the rules that it keeps."""

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from harness.records.host import HostRecord

DEFAULT_WARM_PASSES = 3

BASE = "base"
"""The arm that the others of a ``--vary`` are compared with."""

NULL_ARMS = ("A", "B")
"""The arms of a null test, which differ in nothing."""

Purpose = Literal["result", "verify", "reference", "null"]


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which image it really was."""

    name: str
    family: str | None = None
    """``None``: the launch ended before that could be found out."""
    id: str | None = None
    """The engine's image id, or the recipe's hash of a virtual environment; ``None``: there was no image."""
    digests: tuple[str, ...] = ()
    """Digests in a registry; none for an image built here."""
    recipe: str | None = None
    """``None``: built elsewhere."""
    portable_of: str | None = None
    """The image whose dependency set this is, built with a torch for any machine; it gives no result of that image. ``None``: it is
    no portable build."""


class EngineRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ran it."""

    name: str
    version: str | None = None
    rootless: bool = False
    runtime: str | None = None
    """What starts its containers: ``crun``, ``runc`` ...; ``None``: not asked, or not said"""
    device_drivers: tuple[str, ...] | None = None
    """The ways to pass a GPU in that it reports, ``cdi`` or ``nvidia``; ``None``: not asked"""

    @property
    def title(self) -> str:
        """``docker``, ``podman rootless``"""
        return f"{self.name} rootless" if self.rootless else self.name


class WorkloadRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was run on what: a workload with its profile, and one input."""

    name: str
    """The workload: the name of its module in `harness.workloads` and in `benchmarks.workloads`."""
    profile: str
    """The third part of the cell's id: diarization's pipeline, elsewhere the workload's own name."""
    input: str
    """The fourth part of the cell's id: ``sample-30s``."""
    amount: float
    """What one pass goes through, in the workload's unit: seconds of audio, or images."""
    input_sha256: str
    """Empty where the input was not here yet: the image could not be built."""
    truth_sha256: str | None = None
    """The hash of what the host scores the output by, such as an RTTM; ``None``: there is nothing."""
    highest_error: float | None = None
    """Above this error rate the output counts as wrong; ``None``: not known what is right."""
    numbers: dict[str, int] = {}
    """The profile's settings by name, such as ``segmentation_batch_size``."""
    models: tuple[str, ...] = ()
    """``repository@commit`` of the hub's models; empty for the embedded profile, whose hashes strixbench pins itself."""


class StoppingRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many launches a cell gets: see `harness.analysis.stopping`."""

    launches: int
    """This many; with ``until`` at most this many."""
    until: float | None = None
    """Enough once the 95% interval's half-width is this share of the median, 0.02 is 2%; ``None``: a fixed number"""
    budget_seconds: float | None = None
    """No launch begins later than this after the campaign's first. ``None``: no limit"""


class CoolDown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The wait before a launch until the machine was as cool as at the campaign's start."""

    outcome: Literal["cool", "time is up", "no thermometer"]
    most_seconds: float
    margin_celsius: float
    """How far a thermometer may be above its start."""
    waited_seconds: float = 0.0
    start_celsius: dict[str, float] = {}
    """By thermometer, at the campaign's start."""
    before_celsius: dict[str, float] = {}
    """When the wait began."""
    after_celsius: dict[str, float] = {}
    """When it ended, and the launch began."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the user may set for every launch of a run. A `Plan` has these fields too."""

    label: str | None = None
    warm_passes: int = DEFAULT_WARM_PASSES
    time_limit_seconds: float | None = None
    """For the whole launch, or for each recording of a corpus; ``None``: see `harness.workloads.limits.limits_of`."""
    memory_limit_bytes: int | None = None
    """``None``: no limit"""
    last_stage: str = ""
    """The stage after which the guest stops; empty: the workload's last one."""
    flags: str = ""
    """``least``, ``compat``, or the relaxations of ``--flags``; empty: from before there was a choice, or there is no container"""
    gpu: str | None = None
    """The GPU of ``--gpu``, as a number or a PCI address; in a plan the one that was found by it: a PCI address, or NVIDIA's number.
    ``None``: none was chosen, or the image needs none"""
    options: dict[str, Any] = {}
    """The workload's own."""
    purpose: Purpose = "result"
    """``verify``: a single launch to see whether the output is right. ``reference``: made to compare others with. ``null``: a cell
    against itself, to see how far this machine can tell two things apart. These are no rows of a results table: a null test would
    otherwise take the place of the benchmark that it belongs to."""
    caches: str = ""
    """Where compiled kernels go: ``empty``, each launch has its own cache, or ``keep``, there is one that stays. Empty text: from before
    there was a choice"""
    verify: bool = True
    """Whether the output is compared with the CPU run of the same image, unless it is itself the CPU run."""


class Plan(Settings, frozen=True, kw_only=True, omit_defaults=True):
    """All that is known of a launch before it starts; kept on disk until the launch is stored, so that a killed
    harness loses nothing."""

    id: str
    campaign: str
    owner: str
    cell: str
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
    timeout_seconds: float
    command: tuple[str, ...] = ()
    """What was run, fit to paste after quoting."""
    relaxations: tuple[str, ...] = ()
    """Where isolation was weakened, and why."""
    fixes: tuple[str, ...] = ()
    """The catalog's work-arounds that this launch was given on top of its variant."""
    threads: int | None = None
    """Threads of torch on the CPU; ``None``: as many as the guest may use."""
    guest_knobs: tuple[str, ...] = ()
    """Those of `benchmarks.wire.KNOBS` that the variant switches."""
    unset: tuple[str, ...] = ()
    """Environment variables that the guest removes."""
    knobs: dict[str, str] = {}
    """Those that ``--vary`` or ``--set`` set, with their values."""
    arm: str = ""
    """Its arm of a comparison: see `harness.catalog.cells.Arm`; empty: there was no comparison"""
    round: int | None = None
    """Counted from 0; launches of one round of a campaign are a pair. ``None``: from before rounds were counted"""
    hazards: tuple[str, ...] = ()
    """What was known before it ran to go wrong with it."""
    stopping: StoppingRule | None = None
    """``None``: from before there was a rule, or what was run is no repetition"""
    cool_down: CoolDown | None = None
    """``None``: switched off, or from before there was one"""
    cache_key: str = ""
    """The key of the kept cache that it was given"""
    first_pass_seconds: float | None = None
    """The limit for its first pass, which compiles kernels, counted from the start; ``timeout_seconds`` then count from the end of
    that pass. ``None``: they count from the start"""
    keeps_as: str = ""
    """The kept cache that its own folder of kernels becomes if it is ended in its first pass; empty: none"""
    guest_sha256: str = ""
    """The hash of our own guest, so that a change of it is never taken for one of the machine; empty: from before it was recorded"""

    @property
    def guest_scored(self) -> bool:
        """Whether the guest scored its own output, as it did before its hash was recorded: a killed strixbench of then left the plan."""
        return not self.guest_sha256

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of a probe that were asked for."""
        steps = self.options.get("steps", ())
        return tuple(steps) if isinstance(steps, list | tuple) else ()


def without_knobs(variant: str, knobs: Collection[str]) -> str:
    """A variant's name without these knobs: ``native+lstm-dropout-0+sdma=off`` without ``sdma`` is ``native+lstm-dropout-0``."""
    return "+".join(part for part in variant.split("+") if "=" not in part or part.partition("=")[0] not in knobs)
