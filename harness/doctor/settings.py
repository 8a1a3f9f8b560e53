"""Checks of settings that decide how much memory the GPU gets, how isolated it is, and how fast it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Status
from harness.doctor.parameters import sensible_pages
from harness.doctor.remedies import add_argument, outside, remove_argument, replace_argument
from harness.machine.files import ABSENT, Reading

MEMORY = "memory"
ISOLATION = "isolation"
POWER = "power"

_GIB = 1 << 30


def check_gpu_memory(facts: HostFacts) -> Iterator[Finding]:
    """What the GPU may take of the machine's memory: VRAM is carved out by the firmware, GTT is lent by the kernel."""
    for card in facts.cards:
        if card.gtt_bytes is None or card.vram_bytes is None or facts.memory_bytes is None:
            yield Finding(MEMORY, "gtt", "unknown", f"{card.address}: VRAM or GTT size cannot be read")
            continue
        sizes = [f"{size / _GIB:.1f} GiB" for size in (card.vram_bytes, card.gtt_bytes, facts.memory_bytes)]
        text = "{}: VRAM {}, GTT {} of {} of memory".format(card.address, *sizes)
        if facts.enclosure.container:
            why = "the memory is this container's limit: only the host can tell how much the GPU may take"
            yield Finding(MEMORY, "gtt", "ok", text, why=why)
        elif card.gtt_bytes > facts.memory_bytes:
            why = "the driver promises more than there is: a launch that relies on it ends the host, not itself"
            source = "https://github.com/ROCm/legacy-rocm-build/issues/6004"
            yield Finding(MEMORY, "gtt", "warning", text, why=why, fix=_limit(facts, facts.memory_bytes), source=source)
        # The kernel lends half of the memory; a percent less is rounding, and what firmware kept.
        elif facts.has_strix_halo and card.gtt_bytes < 0.49 * facts.memory_bytes:
            why = "GTT is below the kernel's default of half the memory; pyannote itself needs 2 to 3 GB"
            source = "https://github.com/ROCm/legacy-rocm-build/issues/5595"
            yield Finding(MEMORY, "gtt", "note", text, why=why, fix=_limit(facts, facts.memory_bytes), source=source)
        else:
            yield Finding(MEMORY, "gtt", "ok", text)


def _limit(facts: HostFacts, memory_bytes: int) -> str:
    """How a sensible limit gets onto the kernel's command line, in place of what sets it now."""
    word = f"ttm.pages_limit={sensible_pages(memory_bytes)}"
    words = (facts.command_line.text or "").split()
    set_now = [each for name in ("ttm.pages_limit=", "amdgpu.gttsize=") for each in words if each.startswith(name)]
    return replace_argument(facts, set_now[0], word) if set_now else add_argument(facts, word)


def check_selinux(facts: HostFacts) -> Iterator[Finding]:
    """Whether a confined container may open GPU nodes."""
    mode = facts.selinux_enforce
    if mode.refused is not None:
        text = f"the mode of SELinux cannot be read: {mode.refused}"
        yield Finding(ISOLATION, "selinux", "unknown", text, fix="getenforce")
        return
    # The first of two values counts: the other is what a reload would set.
    booleans = [
        (facts.selinux_booleans.get(name, ABSENT).text or "").split()[:1]
        for name in ("container_use_devices", "container_use_dri_devices")
    ]
    wide, narrow = (value == ["1"] for value in booleans)
    if mode.text is None:
        yield Finding(ISOLATION, "selinux", "ok", "SELinux is not in use")
    elif mode.text.strip() != "1":
        yield Finding(ISOLATION, "selinux", "ok", "SELinux is permissive")
    elif not facts.pci:
        yield Finding(ISOLATION, "selinux", "ok", "SELinux is enforcing")
    elif booleans == [[], []]:
        yield Finding(
            ISOLATION,
            "selinux",
            "unknown",
            "SELinux is enforcing, and its container booleans cannot be read",
            why="they decide whether a confined container may open the GPU's nodes",
            fix="getsebool container_use_devices container_use_dri_devices",
        )
    elif wide:
        yield Finding(ISOLATION, "selinux", "ok", "SELinux is enforcing, container_use_devices is on")
    else:
        yield Finding(
            ISOLATION,
            "selinux",
            "note" if narrow else "warning",
            "SELinux is enforcing, "
            + ("container_use_dri_devices is on, container_use_devices off" if narrow else "both container booleans are off"),
            why="/dev/dri is allowed; /dev/kfd was seen to be allowed on some hosts, and may not be here"
            if narrow
            else "a confined container cannot open the GPU's nodes; without the boolean it must run with label=disable",
            fix=outside(facts, "sudo setsebool -P container_use_devices=on"),
            source="https://github.com/containers/container-selinux",
        )


def check_iommu(facts: HostFacts) -> Iterator[Finding]:
    """How the GPU reaches memory: translated, passed through, or with no IOMMU at all."""
    if not facts.amd:
        return
    if facts.command_line.text is None:
        yield Finding(ISOLATION, "iommu", "unknown", "the kernel's command line cannot be read")
        return
    words = facts.command_line.text.split()
    if "amd_iommu=pt" in words:
        yield Finding(
            ISOLATION,
            "iommu argument",
            "warning",
            "amd_iommu=pt is not a value that the kernel knows",
            why="the kernel ignores it, and memory access stays translated; iommu=pt passes it through",
            fix=remove_argument(facts, "amd_iommu=pt"),
            source="https://docs.kernel.org/admin-guide/kernel-parameters.html",
        )
    source = "https://github.com/kyuz0/amd-strix-halo-toolboxes/issues/66"
    on = f"the IOMMU is on, the GPU's group is {', '.join(facts.iommu_types)}"
    if "amd_iommu=off" in words or "iommu=off" in words or not facts.iommu_units:
        said = next((word for word in words if word in ("amd_iommu=off", "iommu=off")), "no unit is shown")
        why = "this was reported to be 5 to 12% faster; the price is DMA isolation and the NPU"
        yield Finding(ISOLATION, "iommu", "note", f"the IOMMU is off ({said})", why=why, source=source)
    elif not facts.iommu_types:
        yield Finding(ISOLATION, "iommu", "ok", "the IOMMU is on; which mode the GPU has is not shown")
    elif any(kind.startswith("DMA") for kind in facts.iommu_types):
        why = "compare only with results of the same mode: off was reported 5 to 12% faster, without DMA isolation or NPU"
        yield Finding(ISOLATION, "iommu", "note", on, why=why, source=source)
    else:
        yield Finding(ISOLATION, "iommu", "ok", on)


def check_power(facts: HostFacts) -> Iterator[Finding]:
    """Settings that hold clocks down."""
    profile = (facts.platform_profile.text or "").strip()
    yield from _clocks(
        "platform profile",
        "platform profile",
        facts.platform_profile,
        slows=profile in ("low-power", "quiet", "cool"),
        why="the firmware holds power and clocks down",
        fix=outside(facts, "echo performance | sudo tee /sys/firmware/acpi/platform_profile"),
    )
    if (facts.tuned.text or "").strip():
        yield from _clocks(
            "tuned",
            "tuned profile",
            facts.tuned,
            slows="powersave" in (facts.tuned.text or ""),
            why="it holds clocks down",
            fix="sudo tuned-adm profile accelerator-performance",
        )
    for card in facts.cards:
        folder = f"/sys/bus/pci/devices/{card.address}"
        yield from _clocks(
            "performance level",
            f"{card.address}: performance level",
            card.performance_level,
            slows=(card.performance_level.text or "").strip() in ("low", "manual"),
            why="clocks are held where somebody set them",
            fix=outside(facts, f"echo auto | sudo tee {folder}/power_dpm_force_performance_level"),
        )


def _clocks(check: str, name: str, reading: Reading, *, slows: bool, why: str, fix: str) -> Iterator[Finding]:
    """The finding on one setting, where the host has it."""
    if reading.refused is not None:
        yield Finding(POWER, check, "unknown", f"{name} cannot be read: {reading.refused}")
    elif reading.text is not None:
        status: Status = "warning" if slows else "ok"
        text = f"{name} {reading.text.strip()}"
        yield Finding(POWER, check, status, text, why=why if slows else "", fix=fix if slows else "")
