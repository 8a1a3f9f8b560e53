"""Whether two launches ran on the same machine in the same state: a hash of the host's record, and the differences in words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from harness.machine.host import REMOVED, settings_of
from harness.records.host import CardRecord, ComputeNodeRecord, HostRecord

NOT_COMPARED = ("boot",)
"""Another boot of the same machine in the same state is the same host."""

MOST_LISTED = 12
"""Parts of one field that are listed, such as the parameters of a module."""


def fingerprint(host: HostRecord) -> str:
    """SHA-256 over all that is known. The order of fields does not matter, and an unknown field is left out."""
    known = {name: value for name, value in msgspec.to_builtins(host).items() if name not in NOT_COMPARED and value}
    return hashlib.sha256(msgspec.json.encode(known, order="deterministic")).hexdigest()


def differences(a: HostRecord, b: HostRecord) -> tuple[str, ...]:
    """What changed from ``a`` to ``b``: ``kernel 6.17.7 -> 6.18.5``, ``GTT 64 GiB -> 96 GiB``. A value that only one of them
    knows is no difference, since an old record knows little."""
    told = [f"{label} {_shown(label, x)} -> {_shown(label, y)}" for label, x, y in _pairs(a, b) if x != y]
    if a.command_line and b.command_line:
        told += _words_between(a.command_line, b.command_line)
    for label, x, y in (
        ("parameter", a.parameters, b.parameters),
        ("package", a.firmware_packages, b.firmware_packages),
        *(("firmware", x.firmware, y.firmware) for x, y in _both(a.cards, b.cards)),
    ):
        told += _settings_between(label, _mapping(x), _mapping(y)) if x and y else []
    return tuple(told)


def groups_of(hosts: Iterable[HostRecord]) -> tuple[tuple[HostRecord, ...], ...]:
    """The hosts of a store in their order, grouped where they do not differ. In each group the one that knows most is first."""
    groups: list[list[HostRecord]] = []
    for host in hosts:
        alike = next((group for group in groups if not differences(group[0], host)), None)
        if alike is None:
            groups.append([host])
        else:
            alike.append(host)
            alike.sort(key=lambda known: len(msgspec.to_builtins(known)), reverse=True)
    return tuple(tuple(group) for group in groups)


_SCALARS: tuple[tuple[str, Callable[[HostRecord], Any]], ...] = (
    ("machine", lambda host: host.product),
    ("BIOS", lambda host: host.bios),
    ("processor", lambda host: host.processor),
    ("processors", lambda host: host.processors),
    ("memory", lambda host: host.memory_bytes),
    ("GPUs", lambda host: ", ".join(host.gpus) or "none"),
    ("system", lambda host: host.distribution),
    ("kernel", lambda host: host.kernel),
    ("kernel build", lambda host: host.kernel_build),
    ("IOMMU", lambda host: host.iommu),
    ("amdgpu", lambda host: host.amdgpu),
    ("amdgpu's sources", lambda host: host.amdgpu_source),
    ("platform profile", lambda host: host.platform_profile),
    ("tuned profile", lambda host: host.tuned_profile),
    ("governor", lambda host: host.governor),
    ("SELinux", lambda host: host.selinux),
)

_OF_CARD: tuple[tuple[str, Callable[[CardRecord], Any]], ...] = (
    ("VRAM", lambda card: card.vram_bytes),
    ("GTT", lambda card: card.gtt_bytes),
    ("VBIOS", lambda card: card.vbios),
    ("performance level", lambda card: card.performance_level),
)

_OF_NODE: tuple[tuple[str, Callable[[ComputeNodeRecord], Any]], ...] = (
    ("SIMDs", lambda node: node.simd_count),
    ("context save area, bytes,", lambda node: node.cwsr_bytes),
    ("control stack, bytes,", lambda node: node.ctl_stack_bytes),
    ("SDMA engines", lambda node: node.sdma_engines),
)

_BYTES = ("memory", "VRAM", "GTT")


def _pairs(a: HostRecord, b: HostRecord) -> list[tuple[str, Any, Any]]:
    """Each value that both hosts know, with its label."""
    pairs = [(label, get(a), get(b)) for label, get in _SCALARS]
    pairs += [(label, get(x), get(y)) for x, y in _both(a.cards, b.cards) for label, get in _OF_CARD]
    pairs += [(label, get(x), get(y)) for x, y in _both(a.compute_nodes, b.compute_nodes) for label, get in _OF_NODE]
    # A kernel of another release is another build anyway: one line is enough.
    pairs = [pair for pair in pairs if pair[0] != "kernel build" or a.kernel == b.kernel]
    return [(label, x, y) for label, x, y in pairs if x not in (None, "") and y not in (None, "")]


def _both(x: tuple[Any, ...], y: tuple[Any, ...]) -> list[tuple[Any, Any]]:
    """Cards or nodes in pairs where both hosts have as many; nothing where they do not, since then ``GPUs`` shows the difference."""
    return list(zip(x, y, strict=True)) if len(x) == len(y) else []


def _shown(label: str, value: Any) -> str:
    """``64 GiB``, ``62.5 GiB``; any other value as it is."""
    return f"{value / 2**30:.4g} GiB" if label in _BYTES else str(value)


def _words_between(x: tuple[str, ...], y: tuple[str, ...]) -> list[str]:
    """Differences of two command lines: settings of the GPU and the IOMMU by value, other words as added or removed."""
    before, after = settings_of(x), settings_of(y)
    told = [f"{name} {_set(before, name)} -> {_set(after, name)}" for name in _changed(before, after)]
    rest_x, rest_y = ({word for word in words if not settings_of((word,))} for words in (x, y))
    gone, come = (sorted(word.removesuffix(f"={REMOVED}") for word in words) for words in (rest_x - rest_y, rest_y - rest_x))
    told += [f"command line without {' '.join(gone[:MOST_LISTED])}"] if gone else []
    told += [f"command line with {' '.join(come[:MOST_LISTED])}"] if come else []
    return told


def _settings_between(label: str, x: Mapping[str, str], y: Mapping[str, str]) -> list[str]:
    """Differences of named values. A name that only one side has comes from another driver or kernel and is not listed."""
    told = [f"{label} {name} {x[name]} -> {y[name]}" for name in _changed(x, y) if name in x and name in y]
    return [*told[:MOST_LISTED], *([f"{len(told) - MOST_LISTED} more of {label}"] if len(told) > MOST_LISTED else [])]


def _changed(x: Mapping[str, str], y: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {**x, **y} if x.get(name) != y.get(name))


def _set(values: Mapping[str, str], name: str) -> str:
    return values.get(name, "not set") or "set"


def _mapping(rows: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, _, value in (row.partition("=") for row in rows)}
