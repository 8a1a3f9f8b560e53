"""Cell + image -> all values of one launch: its plan, the run of an engine, and the request to the guest."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import msgspec

from benchmarks.wire import Request
from harness import places
from harness.catalog.knobs import Family
from harness.catalog.rows import Cell
from harness.engines.base import BuiltImage, Run
from harness.engines.devices import request_devices
from harness.engines.relaxations import flags_text, parse_flags
from harness.images.build import recipe_of
from harness.inputs.launch_inputs import Inputs
from harness.launch import guest_view
from harness.launch.cache_folder import make_folder
from harness.launch.exchange import make_exchange
from harness.launch.guest_hash import guest_sha256
from harness.launch.kept_caches import driver_of, files_of, key_of
from harness.records.host import HostRecord
from harness.records.launch import new_id
from harness.records.plan import EngineRecord, ImageRecord, Plan, Settings, WorkloadRecord
from harness.workloads.workload import workload_named, workload_of

PLAN = "plan.json"
EXCHANGE = "exchange"
TELEMETRY = "telemetry.jsonl"
"""Beside the exchange folder, where no container can write."""
TRUTH = "truth"
"""What the output is scored by, beside the exchange folder too"""
CACHES = "caches"
DRY_RUN_PREFIX = "dry-run-"
"""The beginning of a folder's name in which a pasted line of ``--dry-run`` may still run."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that could start now."""

    plan: Plan
    run: Run
    request: Request
    truth: Path | None = None
    """What the host scores the output by; no engine and no guest is told of it"""


class Origin(msgspec.Struct, frozen=True):
    """Where a launch comes from."""

    campaign: str
    owner: str
    """The process that may sweep it; empty: none may"""
    host: HostRecord


def prepare_launch(
    cell: Cell,
    built: BuiltImage | None,
    engine: EngineRecord,
    *,
    origin: Origin,
    inputs: Inputs,
    settings: Settings,
    family: Family | None,
    launch_id: str | None = None,
    root: Path = Path("/"),
) -> Prepared:
    """All values of one launch; starts and writes nothing. ``built`` is ``None`` where there is no image yet.

    ``root`` is where devices are looked for: tests give a tree of their own.
    """
    launch_id = launch_id or new_id()
    exchange = launches_folder() / launch_id / EXCHANGE
    local = engine.name == "local"
    kept_key = _cache_key(cell, built, engine, origin.host, settings)
    cache_key = kept_key if settings.caches == "keep" else ""
    cache_folder = caches_folder(launch_id, cache_key)
    mounted = (places.GUEST, *inputs.files.values(), exchange, cache_folder)
    # A launch for reference runs on the CPU, whatever the image was built for: it is handed no device.
    handed = None if settings.purpose == "reference" else family
    flags = parse_flags(settings.flags or "least")
    devices = request_devices(handed, engine, flags=flags, gpu=settings.gpu, files=mounted, root=root)
    workload = workload_named(cell.profile.workload)
    limits = workload.limits(settings, inputs.amount, family=handed, device=devices.device)
    given = {
        **msgspec.structs.asdict(settings),
        "options": {**settings.options, **dict(cell.options)},
        "last_stage": settings.last_stage or workload.last_stage,
        "flags": "" if local else flags_text(flags),
        "gpu": devices.gpu,
        "caches": settings.caches or "empty",
    }
    plan = Plan(
        id=launch_id,
        campaign=origin.campaign,
        owner=origin.owner,
        cell=cell.id,
        planned_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        image=_image_record(cell, built, family),
        variant=cell.variant.name,
        environment=cell.variant.environment,
        workload=_workload_record(cell, inputs),
        engine=engine,
        host=origin.host,
        device=devices.device,
        timeout_seconds=limits.whole_seconds,
        relaxations=tuple(f"{r.what}: {r.reason} ({r.source})" for r in devices.relaxations),
        fixes=cell.variant.fixes,
        threads=cell.variant.threads,
        guest_knobs=cell.variant.guest,
        unset=cell.variant.unset,
        knobs=dict(cell.knobs),
        arm=cell.arm,
        cache_key=cache_key,
        first_pass_seconds=limits.first_pass_seconds,
        keeps_as=kept_key if limits.first_pass_seconds is not None and not cache_key else "",
        guest_sha256=guest_sha256(),
        **given,
    )
    here = guest_view.on_host(inputs, exchange=exchange, cache_folder=cache_folder)
    guest = here if local else guest_view.in_container(here)
    environment = guest_view.guest_environment(cell, inputs, guest)
    if local:
        run = guest_view.local_run(cell, plan, exchange, environment)
    else:
        mounts = guest_view.container_mounts(here, guest, exchange)
        run = guest_view.container_run(cell, built, plan, exchange, environment, mounts=mounts, devices=devices)
    return Prepared(plan=plan, run=run, request=_request(plan, guest), truth=inputs.truth)


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


def _request(plan: Plan, guest: guest_view.GuestPlaces) -> Request:
    """What the guest is asked to do."""
    return Request(
        launch=plan.id,
        workload=plan.workload.name,
        device=plan.device,
        last_stage=plan.last_stage,
        warm_passes=plan.warm_passes,
        options=dict(workload_of(plan).guest_options(plan)),
        inputs=dict(guest.files),
        threads=plan.threads,
        first_pass_seconds=plan.first_pass_seconds,
        knobs=plan.guest_knobs,
        unset=plan.unset,
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


def _workload_record(cell: Cell, inputs: Inputs) -> WorkloadRecord:
    truth = hashlib.sha256(inputs.truth.read_bytes()).hexdigest() if inputs.truth else None
    return WorkloadRecord(
        name=cell.profile.workload,
        profile=cell.profile.name,
        input=inputs.name,
        amount=inputs.amount,
        input_sha256=inputs.sha256,
        truth_sha256=truth,
        highest_error=inputs.highest_error,
        numbers={**inputs.numbers, **cell.profile.numbers},
        models=inputs.models,
    )
