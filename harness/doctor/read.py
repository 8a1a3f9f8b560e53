"""This host -> `HostFacts`, read from files. This changes nothing and needs no privilege.

``root`` is where ``/proc``, ``/sys``, ``/etc``, ``/dev`` and ``/var`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from harness import places
from harness.doctor.facts import Card, DeviceNode, Disk, HostFacts, ImageFacts, PciGpu, User
from harness.engines.about import EngineFacts
from harness.images.disk_space import read_free
from harness.machine.enclosure import find_enclosure
from harness.machine.files import ABSENT, FILE_TIMEOUT_SECONDS, Reading, Tree, read_file, whole_number, within
from harness.machine.host import PATIENCE_SECONDS, compute_nodes, memory_bytes
from harness.machine.installed_packages import installed_versions
from harness.machine.kernel_log import KernelText, kernel_seconds

_MODULES = ("amdgpu", "ttm", "amdttm")
_BOOLEANS = ("container_use_devices", "container_use_dri_devices")


def read_facts(
    *,
    engines: tuple[EngineFacts, ...],
    images: tuple[ImageFacts, ...],
    gated: Iterable[str],
    embedded: Iterable[Path],
    environment: Mapping[str, str],
    user: User,
    root: Path = Path("/"),
    kernel_log: Callable[[], KernelText] | None = None,
) -> HostFacts:
    """All facts; what cannot be read says so in its place. ``kernel_log`` gives the kernel's log since boot."""
    system = dict(line.split("=", 1) for line in (read_file(root / "etc/os-release").text or "").splitlines() if "=" in line)
    distribution = f"{system.get('ID', '')} {system.get('ID_LIKE', '')}".replace('"', "").split()
    groups = _groups(read_file(root / "etc/group").text or "")
    release = read_file(root / "proc/sys/kernel/osrelease").text
    cards = [path for path in sorted((root / "sys/class/drm").glob("card*")) if path.name[4:].isdigit()]
    nodes = sorted((root / "dev/dri").glob("renderD*"))
    pci = _pci_gpus(root)
    programs = environment.get("PATH", "")
    parameters = {module: root / f"sys/module/{module}/parameters" for module in _MODULES}
    return HostFacts(
        distribution=tuple(distribution),
        version_id=system.get("VERSION_ID", "").strip().strip("\"'"),
        enclosure=find_enclosure(root),
        kernel=release.strip() if release else None,
        ubuntu_signature=read_file(root / "proc/version_signature"),
        command_line=read_file(root / "proc/cmdline"),
        memory_bytes=memory_bytes(read_file(root / "proc/meminfo").text),
        user=user,
        group_ids={name: groups[name][0] for name in ("render", "video") if name in groups},
        listed_in=tuple(name for name, (_, members) in groups.items() if user.name in members),
        engines=engines,
        subuid=read_file(root / "etc/subuid"),
        subgid=read_file(root / "etc/subgid"),
        runtime_directory=_runtime_directory(environment),
        tun=_node(root, "dev/net/tun"),
        has_newuidmap=shutil.which("newuidmap", path=programs) is not None,
        has_crun=shutil.which("crun", path=programs) is not None,
        pci=pci,
        kfd=_opened(root, "dev/kfd"),
        render_nodes=tuple(filter(None, (_node(root, f"dev/dri/{path.name}") for path in nodes))),
        nvidia=_node(root, "dev/nvidia0"),
        nvidia_driver=read_file(root / "proc/driver/nvidia/version"),
        cdi=tuple(sorted(path.name for folder in ("etc/cdi", "var/run/cdi") for path in (root / folder).glob("*.*"))),
        cards=tuple(_card(folder / "device") for folder in cards if _line(folder / "device/vendor") == "0x1002"),
        kfd_nodes=tuple(compute_nodes(Tree(root, patience_seconds=PATIENCE_SECONDS))),
        amdgpu_is_loaded=os.path.isdir(root / "sys/module/amdgpu"),
        amdgpu_version=read_file(root / "sys/module/amdgpu/version"),
        cwsr_enable=read_file(parameters["amdgpu"] / "cwsr_enable"),
        parameter_names={
            module: tuple(sorted(each.name for each in folder.glob("*")))
            for module, folder in parameters.items()
            if folder.is_dir()
        },
        debug_firmware=_debug_firmware(root),
        packages=installed_versions(root),
        selinux_enforce=read_file(root / "sys/fs/selinux/enforce"),
        selinux_booleans={name: read_file(root / "sys/fs/selinux/booleans" / name) for name in _BOOLEANS},
        iommu_units=tuple(sorted(path.name for path in (root / "sys/class/iommu").glob("*"))),
        iommu_types=_iommu_types(root, pci),
        tuned=read_file(root / "etc/tuned/active_profile"),
        platform_profile=read_file(root / "sys/firmware/acpi/platform_profile"),
        kernel_log=kernel_log() if kernel_log is not None else None,
        up_seconds=kernel_seconds(),
        disks=_disks(engines),
        token=_token(environment),
        cached=tuple(name for name in gated if _is_cached(name)),
        embedded_missing=tuple(path.name for path in embedded if not os.path.isfile(path)),
        images=images,
    )


def _line(path: Path) -> str:
    """The file's text on one line; empty where there is none."""
    return (read_file(path).text or "").strip()


def _groups(text: str) -> dict[str, tuple[int, tuple[str, ...]]]:
    """/etc/group: name -> id and members (group(5))."""
    rows = [line.split(":") for line in text.splitlines()]
    return {
        row[0]: (int(row[2]), tuple(row[3].split(",")))
        for row in rows
        if len(row) == 4 and re.fullmatch(r"[0-9]{1,10}", row[2])
    }


def _runtime_directory(environment: Mapping[str, str]) -> str | None:
    path = environment.get("XDG_RUNTIME_DIR")
    return path if path and os.path.isdir(path) and os.access(path, os.W_OK) else None


def _node(root: Path, name: str) -> DeviceNode | None:
    path = root / name
    try:
        status = path.stat()
    except OSError:
        return None
    return DeviceNode(
        path=f"/{name}",
        openable=os.access(path, os.R_OK | os.W_OK),
        group=status.st_gid,
        mode=stat.S_IMODE(status.st_mode),
        major=os.major(status.st_rdev),
    )


def _opened(root: Path, name: str) -> DeviceNode | None:
    """A node that was also opened, which wakes no GPU: mode and groups do not show what the driver and device rules say."""
    node = _node(root, name)
    if node is None or not node.openable:
        return node

    def attempt() -> None:
        os.close(os.open(root / name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    try:
        within(FILE_TIMEOUT_SECONDS, attempt)
    except OSError as error:
        return msgspec.structs.replace(node, openable=False, refused=errno.errorcode.get(error.errno or 0, str(error)))
    return node


def _pci_gpus(root: Path) -> tuple[PciGpu, ...]:
    """AMD's and NVIDIA's display controllers (class 03) and processing accelerators (class 12)."""
    found = []
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor = _line(folder / "vendor")
        if vendor in ("0x1002", "0x10de") and _line(folder / "class")[:4] in ("0x03", "0x12"):
            driver = os.path.basename(os.path.realpath(folder / "driver")) if os.path.exists(folder / "driver") else None
            found.append(PciGpu(folder.name, vendor, _line(folder / "device"), driver))
    return tuple(found)


def _card(folder: Path) -> Card:
    return Card(
        address=os.path.basename(os.path.realpath(folder)),
        device=_line(folder / "device"),
        vram_bytes=whole_number(_line(folder / "mem_info_vram_total")),
        gtt_bytes=whole_number(_line(folder / "mem_info_gtt_total")),
        # Readable by all: https://lore.kernel.org/amd-gfx/20230728160029.863681-1-Ori.Messinger@amd.com/
        mes=read_file(folder / "fw_version/mes_fw_version"),
        performance_level=read_file(folder / "power_dpm_force_performance_level"),
    )


def _debug_firmware(root: Path) -> Reading:
    """The first GPU's firmware table, which only root may read."""
    folder = root / "sys/kernel/debug/dri"
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    except OSError as error:
        return Reading(refused=error.strerror or type(error).__name__)
    readings = (read_file(folder / name / "amdgpu_firmware_info") for name in names)
    return next((reading for reading in readings if reading != ABSENT), ABSENT)


def _iommu_types(root: Path, pci: Iterable[PciGpu]) -> tuple[str, ...]:
    """The type of each GPU's IOMMU group (Documentation/ABI/testing/sysfs-kernel-iommu_groups)."""
    types = {_line(root / f"sys/bus/pci/devices/{gpu.address}/iommu_group/type") for gpu in pci}
    return tuple(sorted(types - {""}))


def _disks(engines: Iterable[EngineFacts]) -> tuple[Disk, ...]:
    """The disks of the engines' folders, which may be on another host or closed to us, and of our own."""
    asked = [(engine.name, engine.storage) for engine in engines]
    stores = [_disk(f"{name} images", storage.folder, storage.folder) for name, storage in asked if storage.folder]
    spools = [_disk(f"{name} spool", storage.spool, storage.spool) for name, storage in asked if storage.spool]
    return (*stores, *spools, _own_disk("results", places.results()), _own_disk("cache", places.cache()))


def _disk(what: str, path: str, looked_at: str | None) -> Disk:
    free = read_free(looked_at)
    if free is None:
        return Disk(what=what, path=path, free_bytes=None)
    return Disk(what=what, path=path, free_bytes=free.bytes, device=free.device, pool=free.pool)


def _own_disk(what: str, path: Path) -> Disk:
    """The room in the nearest folder that exists, and whether we may write there."""

    def look() -> tuple[str, bool]:
        there = next(folder for folder in (path, *path.parents) if os.path.exists(folder))
        return str(there), os.access(there, os.W_OK | os.X_OK)

    there, writable = within(FILE_TIMEOUT_SECONDS, look) or (None, True)
    return msgspec.structs.replace(_disk(what, str(path), there), writable=writable)


def _token(environment: Mapping[str, str]) -> Literal["variable", "file"] | None:
    """Where huggingface_hub would find a token; no token is read."""
    if environment.get("HF_TOKEN") or environment.get("HUGGING_FACE_HUB_TOKEN"):
        return "variable"
    path = environment.get("HF_TOKEN_PATH") or places.hub_cache().parent / "token"
    try:
        return "file" if os.path.isfile(path) and os.path.getsize(path) > 0 else None
    except OSError:
        return None


def _is_cached(repository: str) -> bool:
    """Whether there is a snapshot of a repository; `models` says which files it holds."""
    snapshots = places.hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return os.path.isdir(snapshots) and bool(os.listdir(snapshots))
