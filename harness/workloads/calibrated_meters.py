"""The meters that a calibration judges: who reads each, its label, and the stored series that it is the sum of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from harness.records.outcome import Telemetry
from harness.telemetry.meters import of_kind, suffix_of

Side = Literal["guest", "host", "engine"]


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """A meter that may be judged."""

    name: str
    label: str
    side: Side
    """Who reads it: the process that allocates, the sampler on the host, or the container engine"""
    peak_of: str | None = None
    """The meter whose highest value so far this one shows; ``None``: it is a level itself"""
    falls: bool = False
    """Whether it goes down when memory is allocated"""


VRAM_AND_GTT = "vram_gtt_used_bytes"
"""The sum of two series: which of them an APU's driver allocates from depends on how large each is."""

METERS = (
    Meter(name="vm_rss_bytes", label="VmRSS", side="guest"),
    Meter(name="vm_hwm_bytes", label="VmHWM", side="guest", peak_of="vm_rss_bytes"),
    Meter(name="torch_allocated_bytes", label="torch allocated", side="guest"),
    Meter(name="torch_reserved_bytes", label="torch reserved", side="guest"),
    Meter(name="torch_peak_reserved_bytes", label="torch peak reserved", side="guest", peak_of="torch_reserved_bytes"),
    Meter(name="device_free_bytes", label="torch mem_get_info free", side="guest", falls=True),
    Meter(name="cgroup_current_bytes", label="cgroup current", side="guest"),
    Meter(name="cgroup_peak_bytes", label="cgroup peak", side="guest", peak_of="cgroup_current_bytes"),
    Meter(name="tree_resident_bytes", label="RSS of the process tree", side="host"),
    Meter(name="cgroup_memory_bytes", label="cgroup", side="host"),
    Meter(name="mem_available_bytes", label="MemAvailable", side="host", falls=True),
    Meter(name="vram_used_bytes", label="VRAM used", side="host"),
    Meter(name="gtt_used_bytes", label="GTT used", side="host"),
    Meter(name=VRAM_AND_GTT, label="VRAM + GTT used", side="host"),
    Meter(name="fdinfo_gpu_bytes", label="fdinfo", side="host"),
    Meter(name="kfd_vram_bytes", label="KFD", side="host"),
    Meter(name="stats_usage_bytes", label="stats usage", side="engine"),
    Meter(name="stats_shown_bytes", label="stats as printed", side="engine"),
)

LABELS: Mapping[str, str] = {meter.name: meter.label for meter in METERS}


def summed_meters(name: str, series: Telemetry) -> tuple[str, ...]:
    """The series whose sum a meter is: one for each GPU that was read, and both VRAM and GTT for `VRAM_AND_GTT`. Empty where one
    of them is missing."""
    if name != VRAM_AND_GTT:
        return of_kind(series.series, name)
    vram, gtt = (of_kind(series.series, kind) for kind in ("vram_used_bytes", "gtt_used_bytes"))
    return (*vram, *gtt) if [*map(suffix_of, vram)] == [*map(suffix_of, gtt)] else ()


def series_values(name: str, series: Telemetry) -> tuple[float | None, ...]:
    """A meter's values, summed over the GPUs; ``None`` at a sample where one of the parts was not read."""
    columns = [series.series[meter] for meter in summed_meters(name, series)]
    return tuple(None if None in row else sum(v for v in row if v is not None) for row in zip(*columns, strict=False))


def label_of(name: str, series: Telemetry | None) -> str:
    """A meter's label, with the number of GPUs where it sums over several."""
    gpus = {suffix_of(meter) for meter in summed_meters(name, series)} if series is not None else set()
    return LABELS[name] + (f", sum of {len(gpus)} GPUs" if len(gpus) > 1 else "")
