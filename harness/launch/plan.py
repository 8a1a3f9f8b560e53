"""Cell + image -> all values of one launch: its plan, the run of an engine, and the request to the guest."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.wire import Request
from harness import places
from harness.catalog.knobs import Family
from harness.catalog.rows import Cell
from harness.engines.base import BuiltImage, Run
from harness.engines.devices import request_devices
from harness.engines.relaxations import flags_text
from harness.images.build import recipe_of
from harness.inputs.audio import Audio
from harness.inputs.models import Models
from harness.launch import guest_view
from harness.launch.cache_folder import make_folder
from harness.launch.exchange import make_exchange
from harness.launch.kept_caches import driver_of, files_of, key_of
from harness.launch.kernel_cache import CacheMode
from harness.records.host import HostRecord
from harness.records.launch import new_id
from harness.records.plan import DEFAULT_WARM_PASSES, WITHOUT_ACCURACY, EngineRecord, ImageRecord, Plan, Purpose, WorkloadRecord
from harness.verdict.time_limits import Limits, limits_of

PLAN = "plan.json"
EXCHANGE = "exchange"
TELEMETRY = "telemetry.jsonl"
"""Beside the exchange folder, where no container can write."""
CACHES = "caches"
DRY_RUN_PREFIX = "dry-run-"
"""The beginning of a folder's name in which a pasted line of ``--dry-run`` may still run."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the user may set for every launch."""

    warm_passes: int = DEFAULT_WARM_PASSES
    label: str | None = None
    timeout_seconds: float | None = None
    """For the whole launch; ``None``: see `harness.verdict.time_limits.limits_of`."""
    reckoned_seconds: float | None = None
    """The most that a task is expected to take; ``None``: ten times the audio's length for each pass, at least ten minutes."""
    memory_bytes: int | None = None
    last_stage: str = "verify"
    flags: tuple[str, ...] = ()
    """Relaxations: names of `harness.engines.devices.COMPAT`"""
    gpu: str | None = None
    """A number or a PCI address; ``None``: not chosen"""
    steps: tuple[str, ...] = ()
    """The steps of a probe, which come after the device stage."""
    step_timeout_seconds: float | None = None
    """``None``: see `harness.verdict.time_limits.limits_of`."""
    task: str = ""
    """One of `benchmarks.wire.TASKS`; empty: diarization of one recording."""
    options: Mapping[str, Any] = {}
    """The options of the task."""
    folders: Mapping[str, Path] = {}
    """What else the task reads, by a name that it knows; read-only in a container."""
    purpose: Purpose = "result"
    caches: CacheMode = "empty"
    """Where compiled kernels go: each launch has its own cache, or there is one that stays."""
    verify: bool = True
    """Whether the output is compared with the CPU run of the same image, unless it is itself the CPU run."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that could start now."""

    plan: Plan
    run: Run
    request: Request


def prepare_launch(
    cell: Cell,
    built: BuiltImage | None,
    engine: EngineRecord,
    *,
    campaign: str,
    audio: Audio,
    models: Models,
    settings: Settings,
    host: HostRecord,
    family: Family | None,
    owned_by: str,
    launch_id: str | None = None,
    root: Path = Path("/"),
) -> Prepared:
    """All values of one launch; starts and writes nothing. ``built`` is ``None`` where there is no image yet.

    ``root`` is where devices are looked for: tests give a tree of their own.
    """
    launch_id = launch_id or new_id()
    exchange = launches_folder() / launch_id / EXCHANGE
    local = engine.name == "local"
    if cell.pipeline.name in WITHOUT_ACCURACY:  # random turns against a reference would be a number that means nothing
        audio = msgspec.structs.replace(audio, reference=None, highest_der=None)
    kept_key = _cache_key(cell, built, engine, host, settings)
    cache_key = kept_key if settings.caches == "keep" else ""
    cache_folder = caches_folder(launch_id, cache_key)
    mounted = (places.GUEST, audio.path, *filter(None, [models.folder]), exchange, cache_folder, *settings.folders.values())
    # A launch for reference runs on the CPU, whatever the image was built for: it is handed no device.
    handed = None if settings.purpose == "reference" else family
    devices = request_devices(handed, engine, flags=settings.flags, gpu=settings.gpu, files=mounted, root=root)
    limits = limits_of(
        audio_seconds=audio.seconds,
        passes=1 + settings.warm_passes,
        family=handed,
        device=devices.device,
        steps=settings.steps,
        reckoned_seconds=settings.reckoned_seconds,
        timeout_seconds=settings.timeout_seconds,
        step_timeout_seconds=settings.step_timeout_seconds,
    )
    plan = Plan(
        id=launch_id,
        campaign=campaign,
        owner=owned_by,
        cell=cell.id,
        label=settings.label,
        planned_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        image=_image_record(cell, built, family),
        variant=cell.variant.name,
        environment=cell.variant.environment,
        workload=_workload_record(cell, audio, models, settings),
        engine=engine,
        host=host,
        device=devices.device,
        last_stage=settings.last_stage,
        timeout_seconds=limits.whole_seconds,
        memory_limit_bytes=settings.memory_bytes,
        relaxations=tuple(f"{r.what}: {r.reason} ({r.source})" for r in devices.relaxations),
        flags="" if local else flags_text(settings.flags),
        gpu=devices.gpu,
        steps=settings.steps,
        fixes=cell.variant.fixes,
        task=settings.task,
        options=dict(settings.options),
        purpose=settings.purpose,
        knobs=dict(cell.knobs),
        arm=cell.arm,
        caches=settings.caches,
        cache_key=cache_key,
        first_pass_seconds=limits.first_pass_seconds,
        keeps_as=kept_key if limits.first_pass_seconds is not None and not cache_key else "",
    )
    here = guest_view.on_host(audio, models, settings.folders, exchange=exchange, cache_folder=cache_folder)
    guest = here if local else guest_view.in_container(here)
    environment = guest_view.guest_environment(cell, models, guest)
    if local:
        run = guest_view.local_run(cell, plan, exchange, environment)
    else:
        mounts = guest_view.container_mounts(here, guest, exchange)
        run = guest_view.container_run(cell, built, plan, exchange, environment, mounts=mounts, devices=devices)
    return Prepared(plan=plan, run=run, request=_request(plan, cell, guest, limits))


def make_folders(prepared: Prepared) -> None:
    """Make what a pasted ``--dry-run`` line needs to find."""
    make_exchange(prepared.run.exchange, prepared.request)
    make_folder(caches_folder(prepared.plan.id, prepared.plan.cache_key))


def launches_folder() -> Path:
    """Where each launch has its folder while it runs."""
    return places.results() / "launches"


def caches_folder(launch_id: str, cache_key: str) -> Path:
    """The folder that a launch may keep compiled kernels in: its own, or the kept one of a key."""
    return files_of(cache_key) if cache_key else launches_folder() / launch_id / CACHES


def _request(plan: Plan, cell: Cell, guest: guest_view.GuestPlaces, limits: Limits) -> Request:
    """What the guest is asked to do."""
    return Request(
        launch=plan.id,
        pipeline=plan.workload.pipeline,
        device=plan.device,
        last_stage=plan.last_stage,
        audio=guest.audio,
        reference=guest.reference,
        models=guest.models,
        warm_passes=plan.workload.warm_passes,
        segmentation_batch_size=plan.workload.segmentation_batch_size,
        embedding_batch_size=plan.workload.embedding_batch_size,
        threads=cell.variant.threads,
        steps=plan.steps,
        step_timeout_seconds=limits.step_seconds,
        compiling_step_timeout_seconds=limits.compiling_step_seconds,
        first_pass_seconds=limits.first_pass_seconds,
        knobs=cell.variant.guest,
        unset=cell.variant.unset,
        task=plan.task,
        options=dict(plan.options),
        folders=dict(guest.folders),
    )


def _cache_key(cell: Cell, built: BuiltImage | None, engine: EngineRecord, host: HostRecord, settings: Settings) -> str:
    """The key of a cell's kept cache. An image that is not built yet goes by its recipe or reference."""
    return key_of(
        cell.image.name,
        built.id if built else cell.image.reference or recipe_of(cell.image).hash,
        engine=engine,
        gpus=(*host.gpus, settings.gpu or ""),
        driver=driver_of(host),
        variables=cell.variant.environment,
        knobs=(*cell.variant.guest, *(f"without {name}" for name in cell.variant.unset)),
    )


def _image_record(cell: Cell, built: BuiltImage | None, family: Family | None) -> ImageRecord:
    return ImageRecord(
        name=cell.image.name,
        family=family,
        id=built.id if built else None,
        digests=built.digests if built else (),
        recipe=None if cell.image.reference else recipe_of(cell.image).hash,
        portable_of=cell.image.portable_of or (built.portable_of if built else None),
    )


def _workload_record(cell: Cell, audio: Audio, models: Models, settings: Settings) -> WorkloadRecord:
    reference = hashlib.sha256(audio.reference.read_bytes()).hexdigest() if audio.reference else None
    # What a pipeline should reach is known for the recording as it is with the pipeline that can be scored.
    highest = audio.highest_der if cell.pipeline.name == "embedded" else None
    return WorkloadRecord(
        pipeline=cell.pipeline.name,
        audio=audio.name,
        audio_seconds=audio.seconds,
        audio_sha256=audio.sha256,
        reference_sha256=reference,
        highest_der=highest,
        segmentation_batch_size=cell.pipeline.segmentation_batch_size,
        embedding_batch_size=cell.pipeline.embedding_batch_size,
        warm_passes=settings.warm_passes,
        models=models.revisions,
    )
