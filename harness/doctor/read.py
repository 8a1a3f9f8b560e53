"""This host -> `HostFacts`. Reads files and asks the engines; changes nothing, and needs no privilege.

``root`` is where ``/proc``, ``/sys``, ``/etc``, ``/dev`` and ``/var`` are looked for: tests give a tree of their own.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from harness import places
from harness.doctor.facts import Card, DeviceNode, Disk, HostFacts, ImageFacts, KfdNode, PciGpu, User
from harness.engines.about import EngineFacts
from harness.images.disk_space import read_free
from harness.machine.enclosure import find_enclosure
from harness.machine.files import ABSENT, FILE_TIMEOUT_SECONDS, Reading, read_file, whole_number, within
from harness.machine.firmware_packages import installed_versions
from harness.machine.host import memory_bytes
from harness.machine.kernel_log import KernelText, kernel_seconds
from harness.records.host import gfx_target

_PARAMETERS = {"amdgpu": ("cwsr_enable", "gttsize", "vramlimit"), "ttm": ("pages_limit",), "amdttm": ("pages_limit",)}
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
    pci = _pci_gpus(root)
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
        has_newuidmap=_on_path("newuidmap", environment),
        has_crun=_on_path("crun", environment),
        pci=pci,
        kfd=_opened(root, "dev/kfd"),
        render_nodes=_nodes(root, "dev/dri/renderD*"),
        nvidia=_node(root, "dev/nvidia0"),
        nvidia_driver=read_file(root / "proc/driver/nvidia/version"),
        cdi=tuple(sorted(path.name for folder in ("etc/cdi", "var/run/cdi") for path in (root / folder).glob("*.*"))),
        cards=tuple(_card(folder / "device") for folder in cards if _line(folder / "device/vendor") == "0x1002"),
        kfd_nodes=tuple(_kfd_nodes(root)),
        amdgpu_is_loaded=os.path.isdir(root / "sys/module/amdgpu"),
        amdgpu_version=read_file(root / "sys/module/amdgpu/version"),
        parameters=_parameters(root),
        parameter_names=_parameter_names(root),
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


def _number(path: Path) -> int | None:
    text = _line(path)
    return int(text) if re.fullmatch(r"[0-9]{1,19}", text) else None


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


def _on_path(program: str, environment: Mapping[str, str]) -> bool:
    return shutil.which(program, path=environment.get("PATH", "")) is not None


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
    """A node that was opened as well, which wakes no GPU: mode and groups do not tell what driver and device rules say."""
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


def _nodes(root: Path, pattern: str) -> tuple[DeviceNode, ...]:
    names = [os.path.relpath(path, root) for path in sorted(glob.glob(str(root / pattern)))]
    return tuple(node for node in (_node(root, name) for name in names) if node is not None)


def _pci_gpus(root: Path) -> tuple[PciGpu, ...]:
    """Display controllers (class 03) and AMD's processing accelerators (12), of AMD and NVIDIA."""
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
        vram_bytes=_number(folder / "mem_info_vram_total"),
        gtt_bytes=_number(folder / "mem_info_gtt_total"),
        # Readable by all: https://lore.kernel.org/amd-gfx/20230728160029.863681-1-Ori.Messinger@amd.com/
        mes=read_file(folder / "fw_version/mes_fw_version"),
        performance_level=read_file(folder / "power_dpm_force_performance_level"),
    )


def _kfd_nodes(root: Path) -> Iterable[KfdNode]:
    for path in sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")):
        rows = dict(line.partition(" ")[::2] for line in (read_file(path).text or "").splitlines())
        version = whole_number(rows.get("gfx_target_version", "").strip())
        if version:  # 0 is a processor
            yield KfdNode(gfx_target(version), rows.get("cwsr_size", "0").strip() not in ("", "0"))


def _parameters(root: Path) -> dict[str, Reading]:
    return {
        f"{module}.{name}": read_file(root / f"sys/module/{module}/parameters/{name}")
        for module, names in _PARAMETERS.items()
        for name in names
    }


def _parameter_names(root: Path) -> dict[str, tuple[str, ...]]:
    folders = {module: root / f"sys/module/{module}/parameters" for module in _PARAMETERS}
    return {
        module: tuple(sorted(path.name for path in folder.glob("*"))) for module, folder in folders.items() if folder.is_dir()
    }


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
    """The engines' folders are the engines' own: each is there, or is another host's or closed to us."""
    asked = [(engine.name, engine.storage) for engine in engines]
    stores = [_engine_disk(f"{name} images", storage.folder) for name, storage in asked if storage.folder]
    spools = [_engine_disk(f"{name} spool", storage.spool) for name, storage in asked if storage.spool]
    return (*stores, *spools, _disk("results", places.results()), _disk("cache", places.cache()))


def _engine_disk(what: str, folder: str) -> Disk:
    free = read_free(folder)
    if free is None:
        return Disk(what=what, path=folder, free_bytes=None)
    return Disk(what=what, path=folder, free_bytes=free.bytes, device=free.device, pool=free.pool)


def _disk(what: str, path: Path) -> Disk:
    """Free bytes of the nearest folder that exists, and whether we may write there."""

    def look() -> tuple[int, bool, int]:
        there = next(folder for folder in (path, *path.parents) if os.path.exists(folder))
        status = os.statvfs(there)
        return status.f_bavail * status.f_frsize, os.access(there, os.W_OK | os.X_OK), os.stat(there).st_dev

    try:
        told = within(FILE_TIMEOUT_SECONDS, look)
    except OSError:
        told = None
    if told is None:
        return Disk(what=what, path=str(path), free_bytes=None)
    return Disk(what=what, path=str(path), free_bytes=told[0], writable=told[1], device=told[2])


def _token(environment: Mapping[str, str]) -> Literal["variable", "file"] | None:
    """Where huggingface_hub would find a token. Whether, not what: no value is read here."""
    if environment.get("HF_TOKEN") or environment.get("HUGGING_FACE_HUB_TOKEN"):
        return "variable"
    path = environment.get("HF_TOKEN_PATH") or places.hub_cache().parent / "token"
    try:
        return "file" if os.path.isfile(path) and os.path.getsize(path) > 0 else None
    except OSError:
        return None


def _is_cached(repository: str) -> bool:
    """Whether a snapshot of a repository is there; which files it holds is for `models` to say."""
    snapshots = places.hub_cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    return re.search(r"\w", " ".join(os.listdir(snapshots))) is not None if os.path.isdir(snapshots) else False
