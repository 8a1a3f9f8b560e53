"""What is stored of a launch before it starts: which image, engine and work, and the rules that it keeps."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from harness.records.host import HostRecord

DEFAULT_WARM_PASSES = 3

WITHOUT_ACCURACY = ("synthetic",)
"""Pipelines whose weights are random: what comes out is timed and compared bit by bit, and never scored."""

Purpose = Literal["result", "verify", "reference", "null"]


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class EngineRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ran it."""

    name: str
    version: str | None = None
    rootless: bool = False
    runtime: str | None = None
    """What starts its containers: ``crun``, ``runc`` ...; ``None``: not asked, or not said"""
    device_drivers: tuple[str, ...] | None = None
    """``cdi``, ``nvidia``: ways to hand in a GPU that it says it has; ``None``: not asked"""


class WorkloadRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class StoppingRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many launches a cell gets: see `harness.analysis.stopping`."""

    launches: int
    """As many; with ``until`` at most as many."""
    until: float | None = None
    """Enough once the 95% interval's half-width is this share of the median, 0.02 is 2%; ``None``: a fixed number"""
    budget_seconds: float | None = None
    """From the campaign's first launch on: none begins later. ``None``: no limit"""


class CoolDown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
