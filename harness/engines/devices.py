"""(family, engine, host) -> what a launch may touch, and which of it this host lacks: how a GPU is handed in.

``root`` is where ``/dev``, ``/sys`` and ``/etc`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from harness.catalog.knobs import Family
from harness.catalog.rows import Image
from harness.engines.discovery import Refusal, find_engine, is_rootless, search_engine
from harness.engines.node_groups import node_groups
from harness.engines.relaxations import CDI_OF_AMD, COMPAT, EVERY_AMD_GPU, Relaxation, selinux_relaxation
from harness.errors import EngineError, UsageError
from harness.machine.enclosure import Enclosure, find_enclosure
from harness.machine.gpus import AMD_VENDOR, amd_gpus, choose_gpu, compute_gpus, render_vendor, visible_device
from harness.records.plan import EngineRecord

Way = Literal["cdi", "nodes", "gpus"]
"""How a GPU is handed in: by a CDI specification, node by node, or by `docker run --gpus`."""


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine is asked for."""

    device: str
    """``cpu`` or ``cuda``: what the guest calls it"""
    nodes: tuple[str, ...] = ()
    """Nodes and CDI names, as `harness.engines.base.Run` has them"""
    gpus: str | None = None
    groups: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    """Variables that belong to what is handed in."""
    security_options: tuple[str, ...] = ("no-new-privileges",)
    ipc: str | None = None
    shm_bytes: int | None = 1 << 30
    relaxations: tuple[Relaxation, ...] = ()
    gpu: str | None = None
    """The chosen one, by the name that is recorded"""
    missing: tuple[str, ...] = ()
    """Sentences: what this host lacks for this family."""


WAYS: dict[tuple[str, str], tuple[Way, ...]] = {
    ("amd", "podman"): ("cdi", "nodes"),
    ("amd", "docker"): ("cdi", "nodes"),
    ("nvidia", "podman"): ("cdi",),
    ("nvidia", "docker"): ("cdi", "gpus"),
}
"""(vendor, engine) -> the ways to hand in its GPU; the first that is open on this host is taken. NVIDIA's libraries come from the
host with the device, so nodes alone are of no use."""

CDI_SINCE = {"podman": (4, 1), "docker": (25, 0)}
"""https://docs.docker.com/build/building/cdi/ and https://github.com/containers/podman/releases/tag/v4.1.0"""

MOST_CDI_BYTES = 16 << 20


def request_devices(
    family: Family | None,
    engine: EngineRecord,
    *,
    flags: tuple[str, ...] = (),
    gpu: str | None = None,
    files: tuple[Path, ...] = (),
    root: Path = Path("/"),
) -> DeviceRequest:
    """What to ask the engine for. An unknown family is probed without any device.

    ``flags`` are names of `COMPAT`, ``gpu`` is a number or a PCI address, ``files`` will be mounted. Raises `UsageError`
    where this host has no such GPU.
    """
    if engine.name == "local":
        return DeviceRequest(device="cpu" if family in ("cpu", None) else "cuda")
    if family in ("rocm", "therock"):
        request = _amd(engine, whole_folder="/dev/dri" in flags, gpu=gpu, root=root)
    elif family == "cuda":
        request = _nvidia(engine, gpu=gpu, root=root)
    else:
        request = DeviceRequest(device="cpu")
    if "label=disable" not in flags:
        relaxation = selinux_relaxation(files, has_gpu=request.device != "cpu", root=root)
        if relaxation is not None:
            request = _relaxed(request, relaxation)
    for name in flags:
        if name != "/dev/dri" or family in ("rocm", "therock"):
            request = _relaxed(request, COMPAT[name])
    return request


def obstacles_to(images: Iterable[Image]) -> dict[str, tuple[str, ...]]:
    """What this host lacks to run each image, by its name, as far as a glance tells: no engine is asked.

    The host is looked at once for all images: `list` would otherwise spend most of its time on that.
    """
    images = tuple(images)
    families = {image.family for image in images if image.engine != "local"}
    lacking = _lacking(families) if families else {}
    return {image.name: () if image.engine == "local" else lacking[image.family] for image in images}


def _lacking(families: Collection[Family | None]) -> dict[Family | None, tuple[str, ...]]:
    """What this host lacks for each family."""
    try:
        found = find_engine("auto")
    except EngineError:
        searches = [search_engine("podman", environment=os.environ), search_engine("docker", environment=os.environ)]
        refusals = [each for each in searches if isinstance(each, Refusal)]
        denied = tuple(f"permission denied on {each.path}, see `strixbench doctor`" for each in refusals[:1])
        return dict.fromkeys(families, denied or ("neither Podman nor Docker is here",))
    engine = EngineRecord(name=found.name, rootless=is_rootless())
    return {family: request_devices(family, engine).missing for family in families}


def _amd(engine: EngineRecord, *, whole_folder: bool, gpu: str | None, root: Path) -> DeviceRequest:
    """The compute node and the render nodes, or what a CDI specification says.

    A chosen GPU is always handed in by its node, since each specification numbers GPUs in its own way. Nodes of another
    vendor's GPU are left out where sysfs tells the vendor. All of AMD's are handed in where none was chosen, and where one was
    chosen but the engine has no device cgroup: see `EVERY_AMD_GPU`.
    """
    enclosure = find_enclosure(root)
    if gpu is not None and whole_folder:
        raise UsageError(f"--gpu {gpu} and --flags /dev/dri exclude each other: the whole folder hands in every GPU")
    chosen = choose_gpu(gpu, amd_gpus(root)) if gpu is not None else None
    kfd = root / "dev/kfd"
    render = [
        node for node in sorted((root / "dev/dri").glob("renderD*")) if render_vendor(node.name, root) in (AMD_VENDOR, None)
    ]
    seen = compute_gpus(root) if chosen is not None and not _has_device_cgroup(engine, enclosure) else ()
    visible = visible_device(chosen, seen) if chosen is not None else None
    if chosen is not None:
        wanted_nodes = [Path(chosen.render_node).name] if visible is None else [gpu.render_node for gpu in seen]
        render = [node for node in render if node.name in wanted_nodes]
    nodes = [node for node in (kfd, *render) if node.exists()]
    missing = []
    if not kfd.exists():
        missing.append("no /dev/kfd: the amdgpu driver is not loaded, or this machine has no AMD GPU")
    elif not render:
        wanted = chosen.render_node if chosen else "/dev/dri/renderD*"
        missing.append(f"no {wanted}: the amdgpu driver shows no render node")
    groups, obstacles = node_groups(engine, nodes, enclosure, root)
    way = next(way for way in WAYS["amd", engine.name] if way == "nodes" or _cdi_is_open("amd.com/gpu=all", engine, root))
    request = DeviceRequest(
        device="cuda",
        nodes=tuple(_named(node, root) for node in nodes),
        groups=groups,
        gpu=chosen.pci if chosen else None,
        missing=(*missing, *obstacles),
    )
    if whole_folder:
        folder = root / "dev/dri"
        return msgspec.structs.replace(request, nodes=tuple(_named(path, root) for path in (kfd, folder) if path.exists()))
    if visible is not None:
        return _relaxed(msgspec.structs.replace(request, environment={"ROCR_VISIBLE_DEVICES": visible}), EVERY_AMD_GPU)
    if way == "cdi" and chosen is None:
        return _relaxed(msgspec.structs.replace(request, nodes=("amd.com/gpu=all",)), CDI_OF_AMD)
    return request


def _nvidia(engine: EngineRecord, *, gpu: str | None, root: Path) -> DeviceRequest:
    """By CDI: the specification names the nodes and libraries; or by Docker's own `--gpus`
    (https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html)."""
    if gpu is not None and not gpu.isdecimal():
        raise UsageError(f"--gpu {gpu!r}: NVIDIA's GPUs are chosen by their number, as `nvidia-smi -L` shows it")
    name = f"nvidia.com/gpu={gpu or 'all'}"
    request = DeviceRequest(device="cuda", nodes=(name,), gpu=gpu)
    for way in WAYS["nvidia", engine.name]:
        if way == "cdi" and _cdi_is_open(name, engine, root):
            return request
        if way == "gpus" and _has_nvidia_runtime(engine, root):
            return DeviceRequest(device="cuda", gpus=f"device={gpu}" if gpu else "all", gpu=gpu)
    return msgspec.structs.replace(request, missing=(_why_no_nvidia(name, engine, root),))


def _why_no_nvidia(name: str, engine: EngineRecord, root: Path) -> str:
    """Why an NVIDIA GPU cannot be handed in, and what to do."""
    declared = declared_devices(root)
    if any(device.startswith("nvidia.com/gpu=") for device in declared):
        if name not in declared:
            return f"no {name} in this host's CDI specification: it has {', '.join(sorted(declared))}"
        since = ".".join(map(str, CDI_SINCE[engine.name]))
        can = f"{engine.name} {engine.version or ''} takes no CDI device ({engine.name} {since} is the first that can"
        more = ", and `nvidia-ctk runtime configure --runtime=docker` makes `--gpus` work)" if engine.name == "docker" else ")"
        return can + more
    return "no CDI specification for NVIDIA: run `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`"


def _cdi_is_open(name: str, engine: EngineRecord, root: Path) -> bool:
    """Whether the host declares a device and the engine takes it. An engine that was not asked is assumed to."""
    if name not in declared_devices(root):
        return False
    if engine.device_drivers is not None and engine.name == "docker" and "cdi" not in engine.device_drivers:
        return False
    return engine.version is None or _version(engine.version) >= CDI_SINCE[engine.name]


def _has_nvidia_runtime(engine: EngineRecord, root: Path) -> bool:
    if engine.device_drivers is not None and "nvidia" in engine.device_drivers:
        return True
    # Docker offers `--gpus` where this program is, configured or not.
    return any((root / folder / "nvidia-container-runtime-hook").exists() for folder in ("usr/bin", "usr/local/bin"))


def _version(text: str) -> tuple[int, ...]:
    """``(4, 3)`` of ``4.3.1``; a part that is not a number counts as 0."""
    return tuple(int(part) if part.isdecimal() else 0 for part in (*text.split("."), "0")[:2])


def _named(node: Path, root: Path) -> str:
    """A node for the engine. One of another tree arrives where programs look for it."""
    return str(node) if root == Path("/") else f"{node}:/{node.relative_to(root)}"


def _has_device_cgroup(engine: EngineRecord, enclosure: Enclosure) -> bool:
    """Whether the engine can keep a container from a node. The kernel lets only root of the first namespace do so; runc and crun
    leave it out elsewhere."""
    return not engine.rootless and enclosure.unmapped_group is None


def _relaxed(request: DeviceRequest, relaxation: Relaxation) -> DeviceRequest:
    """The request with one weakening, and its record."""
    request = msgspec.structs.replace(request, relaxations=(*request.relaxations, relaxation))
    if relaxation.what == "ipc=host":
        return msgspec.structs.replace(request, ipc="host", shm_bytes=None)
    if relaxation.what in ("seccomp=unconfined", "label=disable"):
        return msgspec.structs.replace(request, security_options=(*request.security_options, relaxation.what))
    return request


def declared_devices(root: Path = Path("/")) -> frozenset[str]:
    """What the host's CDI specifications declare (https://github.com/cncf-tags/container-device-interface), by qualified names
    such as ``amd.com/gpu=all``. A file that cannot be read declares none; the engine decides whether the rest of one is right."""
    found: set[str] = set()
    # Where every engine looks unless it was told otherwise.
    for path in (path for folder in ("etc/cdi", "var/run/cdi") for path in (root / folder).glob("*")):
        if path.suffix in (".json", ".yaml", ".yml"):
            found.update(_devices_of(path))
    return frozenset(found)


def _devices_of(path: Path) -> Iterator[str]:
    """The names that one specification declares."""
    try:
        if path.stat().st_size > MOST_CDI_BYTES:
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if path.suffix == ".json":
        try:
            content = json.loads(text)
            kind, names = content["kind"], [device["name"] for device in content["devices"]]
        except (ValueError, LookupError, TypeError, RecursionError):
            return
    else:
        # By line: two scalars need no YAML reader. A `name` below `containerEdits` would be taken for a device's, but the
        # specification has no such field there.
        kind_line = re.search(r"""^kind:\s*["']?([^\s"'#]+)""", text, re.MULTILINE)
        kind = kind_line.group(1) if kind_line else None
        names = re.findall(r"""^\s*(?:-\s+)?name:\s*["']?([^\s"'#]+)""", text, re.MULTILINE)
    if isinstance(kind, str):
        yield from (f"{kind}={name}" for name in names)
