"""What is stored of the machine."""

import msgspec


class CardRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the amdgpu driver tells about one GPU. What is ``None`` or empty could not be read."""

    device: str
    """PCI id: ``0x1586``"""
    vram_bytes: int | None = None
    gtt_bytes: int | None = None
    vbios: str | None = None
    firmware: tuple[str, ...] = ()
    """The loaded versions, as ``mes=0x00000080``; those that the card does not use, which say 0, are left out."""
    performance_level: str | None = None
    iommu: str | None = None
    """Type of its IOMMU group: ``DMA``, ``DMA-FQ`` or ``identity``."""


class ComputeNodeRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One GPU as the compute driver (KFD) describes it; ``None``: this kernel does not say."""

    target: str
    """``gfx1151``"""
    simd_count: int | None = None
    cwsr_bytes: int | None = None
    """Size of the context save area that the kernel demands."""
    ctl_stack_bytes: int | None = None
    sdma_engines: int | None = None


class HostRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The machine. No host name, no user name, no serial number.

    What is ``None`` or empty could not be read, or the launch is older than the field.
    """

    kernel: str
    distribution: str | None = None
    processor: str | None = None
    processors: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[str, ...] = ()
    kernel_build: str | None = None
    """``#1 SMP PREEMPT_DYNAMIC`` and its date"""
    command_line: tuple[str, ...] = ()
    """The kernel's: see `harness.machine.host.keep_words`."""
    amdgpu: str | None = None
    """The module's version; only a module from outside the kernel's tree (DKMS) has one."""
    amdgpu_source: str | None = None
    """``srcversion`` of the module: a hash of its sources."""
    parameters: tuple[str, ...] = ()
    """``amdgpu.gttsize=-1``, of the modules amdgpu and ttm"""
    cards: tuple[CardRecord, ...] = ()
    compute_nodes: tuple[ComputeNodeRecord, ...] = ()
    firmware_packages: tuple[str, ...] = ()
    """``linux-firmware=20260110-1.fc43``: what is installed, which need not be what is loaded."""
    product: str | None = None
    """The machine's maker and name."""
    bios: str | None = None
    """Version and date."""
    iommu: str | None = None
    """``off``, ``translated`` or ``passthrough``, as the kernel runs it for the GPU, whatever the command line asked for."""
    platform_profile: str | None = None
    tuned_profile: str | None = None
    governor: str | None = None
    """Driver and governor of the first processor's frequency: ``amd-pstate-epp powersave``"""
    selinux: str | None = None
    """``enforcing`` or ``permissive``; ``None``: not in use."""
    boot: str | None = None
    """A part of the hash of the boot's random number. It tells one boot from the next and is no part of the fingerprint."""


def gfx_target(version: int) -> str:
    """``gfx1151`` of ``gfx_target_version 110501``: major, minor and stepping are two decimal digits each, the last two
    printed in hexadecimal (drivers/gpu/drm/amd/amdkfd/kfd_device.c)."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"
