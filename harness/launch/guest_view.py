"""What a guest finds where it runs, and so what an engine is asked to start: places, variables, mounts, user, devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness import places
from harness.catalog import kernel_cache_variables
from harness.catalog.rows import Cell
from harness.engines.base import CAMPAIGN_LABEL, IMAGE_LABEL, BuiltImage, Mount, Run
from harness.engines.devices import DeviceRequest
from harness.engines.local import clean_environment, environment_python
from harness.images.build import recipe_of
from harness.inputs.audio import Audio
from harness.inputs.models import Models
from harness.launch import kernel_cache
from harness.records.plan import EngineRecord, Plan
from harness.tools import OWNER_LABEL

IN_CONTAINER = {
    "audio": "/input/audio.wav",
    "reference": "/input/reference.rttm",
    "models": "/models",
    "caches": kernel_cache.INSIDE,
    "scratch": "/tmp",  # noqa: S108 - the container's own tmpfs
}


def folder_inside(name: str) -> str:
    """Where a container sees a folder of `Settings.folders`."""
    return f"/input/{name}"


def in_process(audio: Audio, models: Models, exchange: Path, cache_folder: Path) -> dict[str, str]:
    """The same places where the guest is a process of this host."""
    return {
        "audio": str(audio.path),
        "reference": str(audio.reference),
        "models": str(models.folder or ""),
        "caches": str(cache_folder),
        "scratch": str(exchange),
    }


def guest_environment(cell: Cell, models: Models, inside: Mapping[str, str]) -> dict[str, str]:
    """The guest's variables. A name and a home are set since the user need not exist in the image: torch asks."""
    return {
        "HF_HUB_OFFLINE": "1",
        "PYANNOTE_METRICS_ENABLED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "HOME": inside["scratch"],
        "XDG_CACHE_HOME": f"{inside['scratch']}/cache",
        "USER": "strixbench",
        "LOGNAME": "strixbench",
        **dict.fromkeys(models.environment, inside["models"]),
        **kernel_cache_variables.environment(inside["caches"]),
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


def container_mounts(
    audio: Audio, models: Models, exchange: Path, cache_folder: Path, folders: Mapping[str, Path]
) -> tuple[Mount, ...]:
    """What a container is shown of the host; it writes into its exchange folder and its kernel caches alone."""
    mounts = [
        Mount(str(places.GUEST), "/strixbench/benchmarks"),
        Mount(str(exchange), "/exchange", writable=True),
        Mount(str(audio.path), IN_CONTAINER["audio"]),
    ]
    if models.folder is not None:
        mounts.append(Mount(str(models.folder), IN_CONTAINER["models"]))
    if audio.reference is not None:
        mounts.append(Mount(str(audio.reference), IN_CONTAINER["reference"]))
    mounts.append(Mount(str(cache_folder), IN_CONTAINER["caches"], writable=True))
    return (*mounts, *(Mount(str(path), folder_inside(name)) for name, path in folders.items()))


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
        environment={**environment, **devices.environment},  # `--gpu` outranks what a variant says of visible devices
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

    Rootless, the container's root *is* the caller. For a caller who is root, an unprivileged id.
    """
    if engine.rootless:
        return "0:0"
    uid, gid = os.getuid(), os.getgid()
    return "1000:1000" if uid == 0 else f"{uid}:{gid}"


def _labels(plan: Plan) -> dict[str, str]:
    """What a sweep finds it by. Without an owner, as of a pasted `--dry-run` line, it is nobody's to sweep."""
    owned = {OWNER_LABEL: plan.owner} if plan.owner else {}
    return {CAMPAIGN_LABEL: plan.campaign, IMAGE_LABEL: plan.image.name, **owned}
