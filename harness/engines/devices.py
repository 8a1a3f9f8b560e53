"""(family, engine, host) -> what a launch may touch, and which of it this host lacks.

Least privilege is the default of every family; each relaxation is one line of a table here, with its reason, and is
recorded with the launch. Capabilities stand in no table: all are dropped, always.

``root`` is where ``/dev``, ``/sys`` and ``/etc`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from harness.catalog.knobs import Family
from harness.catalog.rows import Image
from harness.engines.base import KEEP_GROUPS
from harness.engines.cdi import declared_devices
from harness.engines.find import find_engine, find_refusal, is_rootless
from harness.errors import EngineError, UsageError
from harness.machine.enclosure import Enclosure, find_enclosure, how_to_map
from harness.machine.gpus import AMD_VENDOR, amd_gpus, choose_gpu, compute_gpus, render_vendor, visible_device
from harness.records.plan import EngineRecord
from harness.text import nearest

Way = Literal["cdi", "nodes", "gpus"]
"""How a GPU is handed in: by a CDI specification, node by node, or by `docker run --gpus`."""

Groups = Literal["numbers", "keep", "none"]


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
    """The one that was chosen, by the name that is recorded"""
    missing: tuple[str, ...] = ()
    """Sentences: what this host lacks for this family."""


WAYS: dict[tuple[str, str], tuple[Way, ...]] = {
    ("amd", "podman"): ("cdi", "nodes"),
    ("amd", "docker"): ("cdi", "nodes"),
    ("nvidia", "podman"): ("cdi",),
    ("nvidia", "docker"): ("cdi", "gpus"),
}
"""(vendor, engine) -> the ways to hand in its GPU, the first that is open here. NVIDIA's libraries come with the device,
from the host, so nodes alone are of no use."""

GROUPS: dict[tuple[str, bool], Groups] = {
    ("podman", False): "numbers",
    ("podman", True): "keep",
    ("docker", False): "numbers",
    ("docker", True): "none",
}
"""(engine, rootless) -> how a container's process comes into the groups that own the nodes. Numbers, since the names
need not exist in the image. A rootless engine can map none of the host's groups: Podman can leave the caller's own with
the process, which only the runtime crun does; Docker cannot."""

CDI_SINCE = {"podman": (4, 1), "docker": (25, 0)}
"""https://docs.docker.com/build/building/cdi/ and https://github.com/containers/podman/releases/tag/v4.1.0"""

COMPAT: dict[str, Relaxation] = {
    "ipc=host": Relaxation(
        "ipc=host",
        "asked for by --flags; AMD's instructions have it, and memory faults on Strix Halo were reported without",
        "https://github.com/whylucian/softab",
    ),
    "seccomp=unconfined": Relaxation(
        "seccomp=unconfined",
        "asked for by --flags; AMD's instructions have it as an option that lets memory be mapped across processes",
        "https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html",
    ),
    "label=disable": Relaxation(
        "label=disable",
        "asked for by --flags; the common recipe for GPUs on hosts with SELinux",
        "https://github.com/containers/container-selinux",
    ),
    "/dev/dri": Relaxation(
        "/dev/dri",
        "asked for by --flags; AMD's instructions hand in the whole folder, with the display's nodes",
        "https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html",
    ),
}
"""What ``--flags compat`` weakens: the set that most recipes for these images copy."""

_LABEL_DISABLED = Relaxation(
    what="label=disable",
    reason="SELinux is enforcing here and the boolean container_use_devices is not on, so that a confined container is kept "
    "from the GPU's nodes (`setsebool -P container_use_devices on` makes this needless)",
    source="https://github.com/containers/container-selinux",
)
_FILES_CLOSED = Relaxation(
    what="label=disable",
    reason="SELinux is enforcing here and keeps a confined container from files that are not labelled for containers, as "
    "those in a home folder are not: the guest, the recording, the models and the exchange folder are mounted",
    source="https://docs.podman.io/en/latest/markdown/podman-run.1.html#volume-v-source-volume-host-dir-container-dir-options",
)
_CDI_OF_AMD = Relaxation(
    what="amd.com/gpu=all",
    reason="this host has a CDI specification for AMD GPUs: all that it lists is handed in, which may be more than the "
    "render node (`--gpu` hands in one node alone)",
    source="https://instinct.docs.amd.com/projects/container-toolkit/en/latest/container-runtime/cdi-guide.html",
)

_EVERY_AMD_GPU = Relaxation(
    what="every AMD render node",
    reason="this engine cannot keep a container from single GPUs (it has no device cgroup), so ROCm sees all of them and "
    "fails at its start, hsa_init 1008, where the render node of one is missing: all are handed in, and "
    "ROCR_VISIBLE_DEVICES leaves the chosen one alone visible",
    source="https://github.com/ROCm/legacy-rocm-build/issues/3144, https://github.com/ROCm/legacy-rocm-build/issues/2860",
)

_TYPES_FOR_CONTAINERS = ("container_file_t", "svirt_sandbox_file_t")
"""Of files that a confined container may read and write; the second is the first's old name."""


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
    where no such GPU is here.
    """
    if engine.name == "local":
        return DeviceRequest(device="cpu" if family in ("cpu", None) else "cuda")
    if family in ("rocm", "therock"):
        request = _amd(engine, whole_folder="/dev/dri" in flags, gpu=gpu, root=root)
    elif family == "cuda":
        request = _nvidia(engine, gpu=gpu, root=root)
    else:
        request = DeviceRequest(device="cpu")
    if "label=disable" not in flags and _read(root / "sys/fs/selinux/enforce") == "1":
        if request.device != "cpu" and not _may_use_devices(root):
            request = _relaxed(request, _LABEL_DISABLED)
        elif any(_selinux_type(path) not in _TYPES_FOR_CONTAINERS for path in files):
            request = _relaxed(request, _FILES_CLOSED)
    for name in flags:
        if name != "/dev/dri" or family in ("rocm", "therock"):
            request = _relaxed(request, COMPAT[name])
    return request


def parse_flags(text: str) -> tuple[str, ...]:
    """``least``, ``compat``, or names of `COMPAT` with commas between them. Raises `UsageError`."""
    if text in ("least", "compat"):
        return () if text == "least" else tuple(COMPAT)
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in COMPAT:
            known = ("least", "compat", *COMPAT)
            raise UsageError(f"--flags {name!r}{nearest(name, set(known))}: there are {', '.join(known)}")
    return tuple(name for name in COMPAT if name in names)


def flags_text(flags: tuple[str, ...]) -> str:
    """The reverse of `parse_flags`."""
    return {(): "least", tuple(COMPAT): "compat"}.get(flags) or ",".join(flags)


def obstacles_to(images: Iterable[Image]) -> dict[str, tuple[str, ...]]:
    """By image name, what this host lacks to run it, as far as a glance tells: no engine is asked.

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
        refusals = filter(None, (find_refusal(name, environment=os.environ) for name in ("podman", "docker")))
        denied = tuple(f"permission denied on {each.path}, see `strixbench doctor`" for each in refusals)[:1]
        return dict.fromkeys(families, denied or ("neither Podman nor Docker is here",))
    engine = EngineRecord(name=found.name, rootless=is_rootless())
    return {family: request_devices(family, engine).missing for family in families}


def _amd(engine: EngineRecord, *, whole_folder: bool, gpu: str | None, root: Path) -> DeviceRequest:
    """The compute node and the render nodes, or what a CDI specification says.

    A chosen GPU is always handed in by its node: how a specification numbers GPUs is its own affair. Nodes of another
    vendor's GPU are left out where sysfs tells; where there are several of AMD's and none was chosen, all are handed in.
    So they are where one was chosen and the engine has no device cgroup: see `_EVERY_AMD_GPU`.
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
    groups, obstacles = _groups(engine, nodes, enclosure, root)
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
        return _relaxed(msgspec.structs.replace(request, environment={"ROCR_VISIBLE_DEVICES": visible}), _EVERY_AMD_GPU)
    if way == "cdi" and chosen is None:
        return _relaxed(msgspec.structs.replace(request, nodes=("amd.com/gpu=all",)), _CDI_OF_AMD)
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
    """Whether the host declares a device and the engine takes it. One that was not asked is believed to."""
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
    """``(4, 3)`` of ``4.3.1``; what is no number counts as none."""
    return tuple(int(part) if part.isdecimal() else 0 for part in (*text.split("."), "0")[:2])


def _named(node: Path, root: Path) -> str:
    """A node for the engine. One of another tree arrives where programs look for it."""
    return str(node) if root == Path("/") else f"{node}:/{node.relative_to(root)}"


def _has_device_cgroup(engine: EngineRecord, enclosure: Enclosure) -> bool:
    """Whether the engine can keep a container from a node: the kernel lets nobody but the first namespace's root do so, and
    runc and crun leave it out elsewhere."""
    return not engine.rootless and enclosure.unmapped_group is None


def _groups(
    engine: EngineRecord, nodes: list[Path], enclosure: Enclosure, root: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The groups to ask for, and what keeps the process from nodes in spite of them. None where everyone may open them."""
    closed = [node for node in nodes if os.stat(node).st_mode & 0o006 != 0o006]
    if not closed:
        return (), ()
    way = GROUPS[engine.name, engine.rootless]
    # Its number is another group outside, so it is never asked for; a caller who has the group nevertheless can hand it on.
    unmapped = [node for node in closed if os.stat(node).st_gid == enclosure.unmapped_group]
    if way != "numbers":
        unmapped = [node for node in unmapped if not os.access(node, os.R_OK | os.W_OK)]
    if unmapped:
        names = [f"/{node.relative_to(root)}" for node in unmapped]
        return (), (
            f"{' and '.join(names)}: owned by a group of {enclosure.host} that this container does not map (it shows as "
            f"{enclosure.unmapped_group}), so that nothing in here can be given it. On {enclosure.host}, "
            + how_to_map(enclosure, names, _group_number("render", root)),
        )
    if way == "numbers":
        return tuple(sorted({str(os.stat(node).st_gid) for node in closed}, key=int)), ()
    barred = [node for node in closed if not os.access(node, os.R_OK | os.W_OK)]
    if barred:
        owners = ", ".join(sorted({_group_name(os.stat(node).st_gid) for node in barred}))
        return (), (
            f"you may not open {', '.join(map(str, barred))}: `sudo usermod -aG {owners.replace(' ', '')} $USER`, then log in again",
        )
    if way == "none":
        return (), ("rootless Docker cannot hand in the groups that own the GPU's nodes: use Podman, or rootful Docker",)
    if engine.runtime not in (None, "crun"):
        return (), (
            f"rootless Podman runs containers with {engine.runtime} here, and keep-groups, which opens the GPU's nodes, needs "
            'crun: install it and set `runtime = "crun"` under [engine] in containers.conf',
        )
    return (KEEP_GROUPS,), ()


def _group_number(name: str, root: Path) -> int | None:
    """Of a group of this system; ``None``: it has none of that name."""
    found = re.search(rf"(?m)^{re.escape(name)}:[^:]*:(\d{{1,10}}):", _read(root / "etc/group"))
    return int(found[1]) if found else None


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _relaxed(request: DeviceRequest, relaxation: Relaxation) -> DeviceRequest:
    """The request with one weakening, and its record."""
    request = msgspec.structs.replace(request, relaxations=(*request.relaxations, relaxation))
    if relaxation.what == "ipc=host":
        return msgspec.structs.replace(request, ipc="host", shm_bytes=None)
    if relaxation.what in ("seccomp=unconfined", "label=disable"):
        return msgspec.structs.replace(request, security_options=(*request.security_options, relaxation.what))
    return request


def _may_use_devices(root: Path) -> bool:
    """Whether SELinux is known to let containers use devices. The file holds what the boolean is and what it will be."""
    return _read(root / "sys/fs/selinux/booleans/container_use_devices").startswith("1")


def _selinux_type(path: Path) -> str | None:
    """``user_home_t`` of a file, or of the nearest folder above one that is not there yet; ``None``: it has no label."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        label = os.getxattr(path, "security.selinux").decode(errors="replace")
    except OSError:
        return None
    return label.rstrip("\0").split(":")[2] if label.count(":") >= 2 else None


def _read(path: Path) -> str:
    """A small file's text; empty where there is none to read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
