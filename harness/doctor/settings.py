"""Checks of settings that decide how much memory the GPU gets, how isolated it is, and how fast it runs. Pure."""

from __future__ import annotations

from harness.doctor.facts import HostFacts
from harness.doctor.finding import Finding, Status, Subject
from harness.doctor.parameters import sensible_pages
from harness.doctor.remedies import add_argument, outside, remove_argument, replace_argument

MEMORY = Subject("memory")
ISOLATION = Subject("isolation")
POWER = Subject("power")

_GIB = 1 << 30


def check_gpu_memory(facts: HostFacts) -> tuple[Finding, ...]:
    """What the GPU may take of the machine's memory: VRAM is carved out by the firmware, GTT is lent by the kernel."""
    found = []
    for card in facts.cards:
        if card.gtt_bytes is None or card.vram_bytes is None or facts.memory_bytes is None:
            text = f"{card.address}: VRAM or GTT size cannot be read"
            found.append(MEMORY.says("gtt", "unknown", text))
            continue
        text = (
            f"{card.address}: VRAM {_gib(card.vram_bytes)}, GTT {_gib(card.gtt_bytes)} of {_gib(facts.memory_bytes)} of memory"
        )
        if facts.enclosure.container:
            why = "the memory is this container's limit: what the GPU may take is the host's to judge"
            found.append(MEMORY.says("gtt", "ok", text, why=why))
            continue
        # The kernel lends half of the memory; a percent less is rounding, and what firmware kept.
        small = facts.has_strix_halo and card.gtt_bytes < 0.49 * facts.memory_bytes
        large = card.gtt_bytes > facts.memory_bytes
        why = "GTT is below the kernel's default of half; pyannote itself needs 2 to 3 GB" if small else ""
        if large:
            why = "the driver promises more than there is: a launch that believes it ends the host, not itself"
        found.append(
            MEMORY.says(
                "gtt",
                "warning" if large else "note" if small else "ok",
                text,
                why=why,
                fix=_limit(facts, facts.memory_bytes) if small or large else "",
                source="https://github.com/ROCm/legacy-rocm-build/issues/6004"
                if large
                else "https://github.com/ROCm/legacy-rocm-build/issues/5595"
                if small
                else "",
            )
        )
    return tuple(found)


def _limit(facts: HostFacts, memory_bytes: int) -> str:
    """A sensible limit on the kernel's command line, in place of what sets it now."""
    word = f"ttm.pages_limit={sensible_pages(memory_bytes)}"
    words = (facts.command_line.text or "").split()
    set_now = [each for name in ("ttm.pages_limit=", "amdgpu.gttsize=") for each in words if each.startswith(name)]
    return replace_argument(facts, set_now[0], word) if set_now else add_argument(facts, word)


def check_selinux(facts: HostFacts) -> tuple[Finding, ...]:
    """Whether a confined container may open GPU nodes."""
    mode = facts.selinux_enforce
    if mode.refused is not None:
        text = f"the mode of SELinux cannot be read: {mode.refused}"
        return (ISOLATION.says("selinux", "unknown", text, fix="getenforce"),)
    if mode.text is None:
        return (ISOLATION.says("selinux", "ok", "SELinux is not in use"),)
    if mode.text.strip() != "1":
        return (ISOLATION.says("selinux", "ok", "SELinux is permissive"),)
    if not facts.pci:
        return (ISOLATION.says("selinux", "ok", "SELinux is enforcing"),)
    wide, narrow = (_boolean(facts, name) for name in ("container_use_devices", "container_use_dri_devices"))
    if wide is None and narrow is None:
        return (
            ISOLATION.says(
                "selinux",
                "unknown",
                "SELinux is enforcing, and its container booleans cannot be read",
                why="they decide whether a confined container may open the GPU's nodes",
                fix="getsebool container_use_devices container_use_dri_devices",
            ),
        )
    if wide:
        text = "SELinux is enforcing, container_use_devices is on"
        return (ISOLATION.says("selinux", "ok", text),)
    return (
        ISOLATION.says(
            "selinux",
            "note" if narrow else "warning",
            "SELinux is enforcing, "
            + ("container_use_dri_devices is on, container_use_devices off" if narrow else "both container booleans are off"),
            why="/dev/dri is allowed, /dev/kfd may not be: seen to be allowed on some hosts"
            if narrow
            else "a confined container cannot open the GPU's nodes; without the boolean it must run with label=disable",
            fix=outside(facts, "sudo setsebool -P container_use_devices=on"),
            source="https://github.com/containers/container-selinux",
        ),
    )


def _boolean(facts: HostFacts, name: str) -> bool | None:
    """The current value: the first of two (the other is what a reload would set)."""
    reading = facts.selinux_booleans.get(name)
    words = (reading.text or "").split() if reading is not None else []
    return words[0] == "1" if words else None


def check_iommu(facts: HostFacts) -> tuple[Finding, ...]:
    """How the GPU reaches memory: translated, passed through, or with no IOMMU at all."""
    if not facts.amd:
        return ()
    if facts.command_line.text is None:
        text = "the kernel's command line cannot be read"
        return (ISOLATION.says("iommu", "unknown", text),)
    words = facts.command_line.text.split()
    found = []
    if "amd_iommu=pt" in words:
        found.append(
            ISOLATION.says(
                "iommu argument",
                "warning",
                "amd_iommu=pt is not a value that the kernel knows",
                why="it is ignored, and memory access stays translated; iommu=pt is what passes it through",
                fix=remove_argument(facts, "amd_iommu=pt"),
                source="https://docs.kernel.org/admin-guide/kernel-parameters.html",
            )
        )
    kinds = ", ".join(facts.iommu_types)
    if "amd_iommu=off" in words or "iommu=off" in words or not facts.iommu_units:
        said = next((word for word in words if word in ("amd_iommu=off", "iommu=off")), "no unit is shown")
        why = "5 to 12% faster was reported; the price is DMA isolation and the NPU"
        found.append(_iommu("note", f"the IOMMU is off ({said})", why))
    elif not kinds:
        found.append(_iommu("ok", "the IOMMU is on; which mode the GPU has is not shown", ""))
    else:
        translated = any(kind.startswith("DMA") for kind in facts.iommu_types)
        why = "compare only with results of the same mode: off was reported 5 to 12% faster, without DMA isolation or NPU"
        found.append(
            _iommu("note" if translated else "ok", f"the IOMMU is on, the GPU's group is {kinds}", why if translated else "")
        )
    return tuple(found)


def _iommu(status: Status, found: str, why: str) -> Finding:
    source = "https://github.com/kyuz0/amd-strix-halo-toolboxes/issues/66" if why else ""
    return ISOLATION.says("iommu", status, found, why=why, source=source)


def check_power(facts: HostFacts) -> tuple[Finding, ...]:
    """Profiles that hold clocks down."""
    found = []
    profile = facts.platform_profile
    if profile.text is not None:
        slow = profile.text.strip() in ("low-power", "quiet", "cool")
        found.append(
            POWER.says(
                "platform profile",
                "warning" if slow else "ok",
                f"platform profile {profile.text.strip()}",
                why="the firmware holds power and clocks down" if slow else "",
                fix=outside(facts, "echo performance | sudo tee /sys/firmware/acpi/platform_profile") if slow else "",
            )
        )
    elif profile.refused is not None:
        text = f"the platform profile cannot be read: {profile.refused}"
        found.append(POWER.says("platform profile", "unknown", text))
    tuned = (facts.tuned.text or "").strip()
    if tuned:
        slow = "powersave" in tuned
        found.append(
            POWER.says(
                "tuned",
                "warning" if slow else "ok",
                f"tuned profile {tuned}",
                why="it holds clocks down" if slow else "",
                fix="sudo tuned-adm profile accelerator-performance" if slow else "",
            )
        )
    for card in facts.cards:
        level = card.performance_level
        if level.refused is not None:
            text = f"{card.address}: the performance level cannot be read: {level.refused}"
            found.append(POWER.says("performance level", "unknown", text))
        elif level.text is not None:
            fixed = level.text.strip() in ("low", "manual")
            found.append(
                POWER.says(
                    "performance level",
                    "warning" if fixed else "ok",
                    f"{card.address}: performance level {level.text.strip()}",
                    why="clocks are held where somebody set them" if fixed else "",
                    fix=outside(
                        facts, f"echo auto | sudo tee /sys/bus/pci/devices/{card.address}/power_dpm_force_performance_level"
                    )
                    if fixed
                    else "",
                )
            )
    return tuple(found)


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
