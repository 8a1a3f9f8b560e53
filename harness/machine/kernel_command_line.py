"""The kernel's command line without what names a machine or its owner. Pure.

Words that bear on speed and memory (`KEPT`) are kept whole. Any other ``name=value`` keeps its name alone: values are UUIDs of
disks, addresses, and host names (NixOS has one in ``init=``). Unknown bare words are dropped, and so is all after ``--``, which
is for the first process and not for the kernel.
"""

from __future__ import annotations

import re

REMOVED = "[removed]"

KEPT = re.compile(
    r"(?:(?:amdgpu|ttm|amdttm|amdkfd|iommu|amd_iommu|intel_iommu|amd_pstate|intel_pstate|nvidia|processor|intel_idle|cpuidle"
    r"|cpufreq|pcie_aspm|transparent_hugepage|numa_balancing|rcupdate|rcutree|zswap|workqueue|drm)(?:\..*)?"
    r"|mitigations|nosmt|smt|maxcpus|nr_cpus|isolcpus|nohz|nohz_full|rcu_nocbs|idle|mem|memmap|hugepages|hugepagesz"
    r"|default_hugepagesz|hugetlb_free_vmalloc|swiotlb|pci|pcie_ports|preempt|threadirqs|clocksource|tsc|nowatchdog"
    r"|nmi_watchdog|nomodeset|cma|memhp_default_state|init_on_alloc|init_on_free|page_poison|slab_nomerge|lockdown"
    r"|selinux|enforcing|apparmor|security|lsm|psi|audit|quiet|splash|rhgb|ro|rw|debug|nokaslr|nopti|noibrs|noxsave|noapic"
    r"|acpi_osi|mem_sleep_default|rtc_cmos\..*|gpu_sched\..*|video|fbcon)"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_WORD = re.compile(r'(?:"[^"]*"|[^\s"])+')
"""A value may have blanks between double quotes (Documentation/admin-guide/kernel-parameters.rst)."""

_SETTING = re.compile(r"(?:amdgpu|ttm|amdttm)\..+|(?:amd_|intel_)?iommu(?:\..+)?")


def keep_words(text: str) -> tuple[str, ...]:
    """The words of ``/proc/cmdline`` that may be recorded, in order."""
    kept = []
    for word in _WORD.findall(text):
        if word == "--":
            break
        name, equals, _ = word.partition("=")
        # The kernel takes - and _ for the same sign in a name.
        if KEPT.fullmatch(name.replace("-", "_")):
            kept.append(word)
        elif equals and _NAME.fullmatch(name):
            kept.append(f"{name}={REMOVED}")
    return tuple(kept)


def settings_of(words: tuple[str, ...]) -> dict[str, str]:
    """The settings of the IOMMU and of the GPU's modules; the last of each counts, and a bare word is empty."""
    pairs = (word.partition("=") for word in words)
    named = ((name.replace("-", "_"), value.strip('"')) for name, _, value in pairs)
    return {name: value for name, value in named if _SETTING.fullmatch(name)}
