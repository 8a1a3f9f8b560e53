"""What a guest finds where it runs, and so what an engine is asked to start: folders, variables, mounts, user, devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from harness import places
from harness.catalog import kernel_cache_variables
from harness.catalog.rows import Cell
from harness.engines.base import CAMPAIGN_LABEL, IMAGE_LABEL, BuiltImage, Mount, Run
from harness.engines.devices import DeviceRequest
from harness.engines.local import clean_environment, environment_python
from harness.images.build import recipe_of
from harness.inputs.audio import Audio
from harness.inputs.models import Models
from harness.launch.cache_folder import CACHES_IN_CONTAINER
from harness.records.plan import EngineRecord, Plan
from harness.tools import OWNER_LABEL


class GuestPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where a guest finds what it reads and writes."""

    audio: str
    reference: str | None
    models: str
    """Empty: there are none"""
    caches: str
    scratch: str
    folders: Mapping[str, str]
    """By their names in `harness.launch.plan.Settings.folders`"""


def on_host(audio: Audio, models: Models, folders: Mapping[str, Path], *, exchange: Path, cache_folder: Path) -> GuestPlaces:
    """The places on this host, as a guest sees them that is a process of it."""
    return GuestPlaces(
        audio=str(audio.path),
        reference=str(audio.reference) if audio.reference else None,
        models=str(models.folder or ""),
        caches=str(cache_folder),
        scratch=str(exchange),
        folders={name: str(path) for name, path in folders.items()},
    )


def in_container(host: GuestPlaces) -> GuestPlaces:
    """The same places as a container sees them."""
    return GuestPlaces(
        audio="/input/audio.wav",
        reference="/input/reference.rttm" if host.reference else None,
        models="/models" if host.models else "",
        caches=CACHES_IN_CONTAINER,
        scratch="/tmp",  # noqa: S108 - the container's own tmpfs
        folders={name: f"/input/{name}" for name in host.folders},
    )


def guest_environment(cell: Cell, models: Models, guest: GuestPlaces) -> dict[str, str]:
    """The guest's variables. Name and home are set because torch asks for them, and the user need not exist in the image."""
    return {
        "HF_HUB_OFFLINE": "1",
        "PYANNOTE_METRICS_ENABLED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": guest.scratch,
        "XDG_CACHE_HOME": f"{guest.scratch}/cache",
        "USER": "strixbench",
        "LOGNAME": "strixbench",
        **dict.fromkeys(models.environment, guest.models),
        **kernel_cache_variables.environment(guest.caches),
        **cell.variant.environment,
    }


def local_run(cell: Cell, plan: Plan, exchange: Path, environment: Mapping[str, str]) -> Run:
    """A plan as a process of this host."""
    python = str(environment_python(recipe_of(cell.image)))
    return Run(
        name=f"strixbench-{plan.id}",
        image=plan.image.id or "",
        argv=(python, "-m", "benchmarks", str(exchange)),
        environment=clean_environment(environment),
        mounts=(),
        working_directory=str(places.ROOT),
        exchange=exchange,
        memory_bytes=plan.memory_limit_bytes,
        labels=_labels(plan),
    )


def container_mounts(host: GuestPlaces, guest: GuestPlaces, exchange: Path) -> tuple[Mount, ...]:
    """What a container is shown of the host; it writes into its exchange folder and its kernel caches alone."""
    mounts = [
        Mount(str(places.GUEST), "/strixbench/benchmarks"),
        Mount(str(exchange), "/exchange", writable=True),
        Mount(host.audio, guest.audio),
    ]
    if host.models:
        mounts.append(Mount(host.models, guest.models))
    if host.reference is not None and guest.reference is not None:
        mounts.append(Mount(host.reference, guest.reference))
    mounts.append(Mount(host.caches, guest.caches, writable=True))
    return (*mounts, *(Mount(path, guest.folders[name]) for name, path in host.folders.items()))


def container_run(
    cell: Cell,
    built: BuiltImage | None,
    plan: Plan,
    exchange: Path,
    environment: Mapping[str, str],
    *,
    mounts: tuple[Mount, ...],
    devices: DeviceRequest,
) -> Run:
    """A plan as a container. ``built`` is ``None`` where there is no image yet."""
    return Run(
        name=f"strixbench-{plan.id}",
        image=built.id if built else cell.image.reference or recipe_of(cell.image).tag,
        argv=(cell.image.python, "-m", "benchmarks", "/exchange"),
        environment={**environment, **devices.environment},  # `--gpu` outranks what a variant says about visible devices
        mounts=mounts,
        working_directory="/strixbench",
        exchange=exchange,
        user=cell.image.user or container_user(plan.engine),
        devices=devices.nodes,
        gpus=devices.gpus,
        groups=devices.groups,
        security_options=devices.security_options,
        ipc=devices.ipc,
        shm_bytes=devices.shm_bytes,
        memory_bytes=plan.memory_limit_bytes,
        labels=_labels(plan),
    )


def container_user(engine: EngineRecord) -> str:
    """``uid:gid`` inside the container: the caller's own, so that what it writes is the caller's.

    Rootless, the container's root *is* the caller. A caller who is root gets an unprivileged id.
    """
    if engine.rootless:
        return "0:0"
    uid, gid = os.getuid(), os.getgid()
    return "1000:1000" if uid == 0 else f"{uid}:{gid}"


def _labels(plan: Plan) -> dict[str, str]:
    """What a sweep finds a container by. One without an owner, such as that of a pasted `--dry-run` line, is never swept."""
    owned = {OWNER_LABEL: plan.owner} if plan.owner else {}
    return {CAMPAIGN_LABEL: plan.campaign, IMAGE_LABEL: plan.image.name, **owned}
