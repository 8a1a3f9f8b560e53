"""What a guest finds where it runs, and so what an engine is asked to start: folders, variables, mounts, user, devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath

import msgspec

from harness import places
from harness.catalog import kernel_cache_variables
from harness.catalog.rows import Cell
from harness.engines.base import CAMPAIGN_LABEL, IMAGE_LABEL, BuiltImage, Mount, Run
from harness.engines.devices import DeviceRequest
from harness.engines.local import clean_environment, environment_python
from harness.images.build import recipe_of
from harness.inputs.launch_inputs import Inputs
from harness.launch.cache_folder import CACHES_IN_CONTAINER
from harness.records.plan import EngineRecord, Plan
from harness.tools import OWNER_LABEL


class GuestPlaces(msgspec.Struct, frozen=True, kw_only=True):
    """Where a guest finds what it reads and writes."""

    files: Mapping[str, str]
    """By their names in `harness.inputs.launch_inputs.Inputs.files`"""
    caches: str
    scratch: str


def on_host(inputs: Inputs, *, exchange: Path, cache_folder: Path) -> GuestPlaces:
    """The places on this host, as a guest sees them that is a process of it."""
    files = {name: str(path) for name, path in inputs.files.items()}
    return GuestPlaces(files=files, caches=str(cache_folder), scratch=str(exchange))


def in_container(host: GuestPlaces) -> GuestPlaces:
    """The same places as a container sees them."""
    return GuestPlaces(
        files={name: f"/input/{name}{PurePath(path).suffix}" for name, path in host.files.items()},
        caches=CACHES_IN_CONTAINER,
        scratch="/tmp",  # noqa: S108 - the container's own tmpfs
    )


def guest_environment(cell: Cell, inputs: Inputs, guest: GuestPlaces) -> dict[str, str]:
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
        **{variable: guest.files[name] for variable, name in inputs.variables.items()},
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
    return (
        Mount(str(places.GUEST), "/strixbench/benchmarks"),
        Mount(str(exchange), "/exchange", writable=True),
        *(Mount(path, guest.files[name]) for name, path in host.files.items()),
        Mount(host.caches, guest.caches, writable=True),
    )


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
