"""The names of meters. Where there are several GPUs, a meter's name ends in its GPU's number, as in ``vram_used_bytes_1``. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def kind_of(meter: str) -> str:
    """A meter's name without the number of a GPU."""
    stem, _, last = meter.rpartition("_")
    return stem if last.isdigit() else meter


def suffix_of(meter: str) -> str:
    """``_1`` where the meter is of one GPU of several, else empty."""
    return meter.removeprefix(kind_of(meter))


def of_kind(names: Iterable[str], kind: str) -> tuple[str, ...]:
    """The names of one meter, one for each GPU that has it."""
    return tuple(sorted(name for name in names if kind_of(name) == kind))


EVERY = 4
"""fdinfo and the KFD are read at every fourth sample unless somebody asks for more: a scan has been measured at 8 ms."""

SLOW_METERS = ("fdinfo_gpu_bytes", "kfd_vram_bytes")


def every_of(meter: str, is_thorough: bool) -> int:
    """A meter is read once in so many samples."""
    return EVERY if meter in SLOW_METERS and not is_thorough else 1
