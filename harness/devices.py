"""(family, engine, host) -> what a launch may touch, and which of it this host lacks.

Least privilege is the default of every family; each relaxation is one line of a table here, with its reason, and is
recorded with the launch.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path

import msgspec

from harness.catalog import Family, Image
from harness.engines.find import find_engine, is_rootless
from harness.errors import EngineError
from harness.records import EngineRecord


class Relaxation(msgspec.Struct, frozen=True):
    """One weakening of the default isolation."""

    what: str
    reason: str
    source: str


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is asked for."""

    device: str
    """``cpu`` or ``cuda``: what the guest calls it"""
    nodes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ("no-new-privileges",)
    relaxations: tuple[Relaxation, ...] = ()
    missing: tuple[str, ...] = ()
    """Sentences: what this host lacks for this family."""


_LABEL_DISABLED = Relaxation(
    what="label=disable",
    reason="SELinux keeps confined containers from the GPU's device nodes unless a boolean is set",
    source="https://github.com/containers/container-selinux (container_use_devices)",
)


def request_devices(family: Family | None, engine: EngineRecord, *, root: Path = Path("/")) -> DeviceRequest:
    """What to ask the engine for. An unknown family is probed without any device."""
    if family in ("rocm", "therock"):
        return _amd(engine, root)
    if family == "cuda":
        return _nvidia(root)
    return DeviceRequest(device="cpu")


def obstacles_to(image: Image) -> tuple[str, ...]:
    """What this host lacks to run an image, as far as a glance tells: no engine is asked."""
    if image.engine == "local":
        return ()
    try:
        found = find_engine("auto")
    except EngineError:
        return ("neither Podman nor Docker is here",)
    return request_devices(image.family, EngineRecord(name=found.name, rootless=is_rootless())).missing


def _amd(engine: EngineRecord, root: Path) -> DeviceRequest:
    """The compute node and the render nodes, with the numeric ids of the groups that own them.

    Numeric, since the names need not exist in the image. Rootless Podman can map no group of the host: its
    `--group-add keep-groups` is a word of the command line, which the API takes for the name of a group. There the nodes
    open only where their mode or an ACL lets the user in.
    """
    nodes = [str(root / "dev/kfd"), *sorted(glob.glob(str(root / "dev/dri/renderD*")))]
    present = [node for node in nodes if os.path.exists(node)]
    missing = []
    if nodes[0] not in present:
        missing.append("no /dev/kfd: the amdgpu driver is not loaded, or this machine has no AMD GPU")
    if len(present) <= 1 and nodes[0] in present:
        missing.append("no /dev/dri/renderD*: the amdgpu driver shows no render node")
    groups = () if engine.rootless else tuple(sorted({str(os.stat(node).st_gid) for node in present}))
    return DeviceRequest(
        device="cuda",
        nodes=tuple(present),
        groups=groups,
        security_options=("no-new-privileges", "label=disable"),
        relaxations=(_LABEL_DISABLED,),
        missing=tuple(missing),
    )


def _nvidia(root: Path) -> DeviceRequest:
    """Everything by CDI: the specification names the nodes and libraries
    (https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html)."""
    specifications = [*(root / "etc/cdi").glob("nvidia*"), *(root / "var/run/cdi").glob("nvidia*")]
    missing = (
        ()
        if specifications
        else ("no CDI specification for NVIDIA: run `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`",)
    )
    return DeviceRequest(
        device="cuda",
        nodes=("nvidia.com/gpu=all",),
        security_options=("no-new-privileges", "label=disable"),
        relaxations=(_LABEL_DISABLED,),
        missing=missing,
    )
