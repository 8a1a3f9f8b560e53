"""What the checks look at: a host as a value, so that a check is a pure function and a test can make up a host."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.engines.about import EngineFacts
from harness.images.build_needs import Free, Need
from harness.machine.enclosure import Enclosure
from harness.machine.files import ABSENT, Reading
from harness.machine.kernel_log import KernelText
from harness.records.host import ComputeNodeRecord


class User(msgspec.Struct, frozen=True):
    """Who asks."""

    id: int
    name: str | None
    groups: tuple[int, ...]
    """The groups of this login session: one that was given later is not among them."""


class DeviceNode(msgspec.Struct, frozen=True):
    """A file in ``/dev``."""

    path: str
    openable: bool
    """Whether this user may read and write it."""
    group: int
    mode: int
    refused: str = ""
    """Why the driver or a device rule refused to open /dev/kfd; empty: it opened, or it was not tried."""
    major: int = 0


class PciGpu(msgspec.Struct, frozen=True):
    """A display or compute device on the PCI bus, with or without a driver."""

    address: str
    vendor: str
    device: str
    driver: str | None


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What the amdgpu driver tells about one GPU."""

    address: str
    device: str
    vram_bytes: int | None = None
    gtt_bytes: int | None = None
    mes: Reading = ABSENT
    """The version of the loaded scheduler firmware, in hexadecimal."""
    performance_level: Reading = ABSENT


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A folder where something is kept, or will be."""

    what: str
    path: str
    free_bytes: int | None
    """``None``: the disk did not answer in time."""
    writable: bool = True
    """Whether this user may write there; not asked where an engine does the writing."""
    device: int | None = None
    """The device of its file system (``st_dev``); ``None``: not known."""
    pool: str | None = None
    """What its file system shares room with others in; see `harness.images.disk_space.pool_of`. ``None``: nothing."""

    @property
    def free(self) -> Free | None:
        """The room there; ``None``: not known."""
        return None if self.free_bytes is None else Free(self.path, self.free_bytes, self.device, self.pool)


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the catalog."""

    name: str
    family: str | None
    needs_engine: bool = True
    need: Need | None = None
    """What its build takes; ``None``: it is not built here."""
    is_recommended: bool = False
    """Whether the catalog gives it a place among the first to try."""
    obstacles: tuple[str, ...] = ()
    """What it needs and this host lacks."""
    todo: tuple[str, ...] = ()
    """What its row lacks."""


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the checks look at."""

    distribution: tuple[str, ...] = ()
    """``ID`` and ``ID_LIKE`` of os-release."""
    version_id: str = ""
    """``VERSION_ID`` of os-release: ``24.04``; empty: a rolling release."""
    enclosure: Enclosure = Enclosure()
    """The container that this is, if any."""
    kernel: str | None = None
    ubuntu_signature: Reading = ABSENT
    command_line: Reading = ABSENT
    memory_bytes: int | None = None
    user: User
    group_ids: dict[str, int] = {}
    """The ids of ``render`` and ``video``, where the host has these groups."""
    listed_in: tuple[str, ...] = ()
    """Groups that name the user in /etc/group."""

    engines: tuple[EngineFacts, ...] = ()
    subuid: Reading = ABSENT
    subgid: Reading = ABSENT
    runtime_directory: str | None = None
    """``XDG_RUNTIME_DIR``; ``None``: not set, or not a folder that this user may write to."""
    tun: DeviceNode | None = None
    has_newuidmap: bool = False
    has_crun: bool = False

    pci: tuple[PciGpu, ...] = ()
    kfd: DeviceNode | None = None
    render_nodes: tuple[DeviceNode, ...] = ()
    nvidia: DeviceNode | None = None
    nvidia_driver: Reading = ABSENT
    cdi: tuple[str, ...] = ()
    """The file names of the CDI specifications."""
    cards: tuple[Card, ...] = ()
    kfd_nodes: tuple[ComputeNodeRecord, ...] = ()

    amdgpu_is_loaded: bool = False
    amdgpu_version: Reading = ABSENT
    """Only a module from outside the kernel's tree (DKMS) has one."""
    cwsr_enable: Reading = ABSENT
    """amdgpu's parameter of that name."""
    parameter_names: dict[str, tuple[str, ...]] = {}
    """Module -> all its parameters; a module that is not loaded is absent."""
    debug_firmware: Reading = ABSENT
    packages: dict[str, str] | None = None
    """Firmware packages with their versions; ``None``: no package database was understood."""

    selinux_enforce: Reading = ABSENT
    selinux_booleans: dict[str, Reading] = {}
    iommu_units: tuple[str, ...] = ()
    iommu_types: tuple[str, ...] = ()
    """The types of the IOMMU groups that hold a GPU: ``DMA``, ``DMA-FQ`` or ``identity``."""
    tuned: Reading = ABSENT
    platform_profile: Reading = ABSENT

    kernel_log: KernelText | None = None
    """What the kernel said about GPUs and memory since boot; ``None``: nobody looked."""
    up_seconds: float = 0.0
    """The time since boot when that log was read, by its clock."""

    disks: tuple[Disk, ...] = ()
    token: Literal["variable", "file"] | None = None
    """Where a Hugging Face token is configured; nothing here looks at its value."""
    cached: tuple[str, ...] = ()
    """The gated repositories in the Hugging Face cache."""
    embedded_missing: tuple[str, ...] = ()
    """The files of the embedded profile that are not here."""
    images: tuple[ImageFacts, ...] = ()

    @property
    def amd(self) -> tuple[PciGpu, ...]:
        return tuple(gpu for gpu in self.pci if gpu.vendor == "0x1002")

    @property
    def has_strix_halo(self) -> bool:
        return any(gpu.device == STRIX_HALO for gpu in self.amd)

    @property
    def has_engine(self) -> bool:
        return any(engine.error is None for engine in self.engines)

    @property
    def opens_nodes_as_user(self) -> bool:
        """Whether the engine that `auto` takes has only its user's rights; a daemon of root's passes any node on."""
        used = next((engine for engine in self.engines if engine.error is None), None)
        if used is None:  # once this user may open its socket, root's Docker is what will be used
            return not any(engine.name == "docker" and engine.refusal is not None for engine in self.engines)
        return used.rootless is not False

    @property
    def is_rootless(self) -> bool:
        return self.user.id != 0


STRIX_HALO = "0x1586"
"""The PCI device id of gfx1151."""
