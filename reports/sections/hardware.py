"""The machines of a store's launches, as the head of the page shows them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.analysis.host_differences import differences, fingerprint, groups_of
from harness.records.host import HostRecord


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine in one state."""

    host: HostRecord
    details: tuple[str, ...]
    """What else is known besides processor, memory and kernel: ``GTT 64 GiB``, ``IOMMU off``"""
    boots: int
    """How many boots its launches ran in; 0: not recorded"""
    differs: tuple[str, ...]
    """Differences from the first machine; empty for that one"""


def machines_of(hosts: Iterable[HostRecord]) -> tuple[Machine, ...]:
    """The machines, in the order of their first launches."""
    groups = groups_of(dict.fromkeys(hosts))
    return tuple(
        Machine(
            host=group[0],
            details=tuple(details_of(group[0])),
            boots=len({host.boot for host in group if host.boot}),
            differs=differences(groups[0][0], group[0]) if group is not groups[0] else (),
        )
        for group in groups
    )


def details_of(host: HostRecord) -> list[str]:
    """The settings that results on a GPU depend on, where they are known."""
    details = []
    for card in host.cards:
        mes = next((each.partition("=")[2] for each in card.firmware if each.startswith("mes=")), None)
        details += [f"MES firmware {mes}"] if mes else []
        details += [f"VRAM {card.vram_bytes / 2**30:.4g} GiB"] if card.vram_bytes is not None else []
        details += [f"GTT {card.gtt_bytes / 2**30:.4g} GiB"] if card.gtt_bytes is not None else []
        details += [f"performance level {card.performance_level}"] if card.performance_level else []
    details += [f"IOMMU {host.iommu}"] if host.iommu and host.gpus else []
    profile = host.tuned_profile or host.platform_profile
    details += [f"profile {profile}"] if profile else []
    details += [f"governor {host.governor.split()[-1]}"] if host.governor else []
    # An old record differs in nothing else.
    return [*details, f"fingerprint {fingerprint(host)[:8]}"] if details else []
