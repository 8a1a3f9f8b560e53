"""``gpu_metrics`` files built byte by byte from the kernel's structs (drivers/gpu/drm/amd/include/kgd_pp_interface.h).

Each struct is written out field by field in the kernel's order, and packed with C's natural alignment, so that an offset in
the code under test and one here come from different places. All values are made up.
"""

from __future__ import annotations

import struct

Layout = tuple[tuple[str, str, int], ...]
"""Name, `struct`'s letter, and how many of it; the letters are native, little-endian on every machine that has these GPUs."""

HEADER: Layout = (("structure_size", "H", 1), ("format_revision", "B", 1), ("content_revision", "B", 1))

_TEMPERATURES: Layout = tuple((f"temperature_{name}", "H", 1) for name in ("edge", "hotspot", "mem", "vrgfx", "vrsoc", "vrmem"))
_ACTIVITIES: Layout = tuple((f"average_{name}_activity", "H", 1) for name in ("gfx", "umc", "mm"))
_CLOCK_NAMES = ("socclk", "uclk", "vclk0", "dclk0", "vclk1", "dclk1")
_CLOCKS: Layout = (
    ("average_gfxclk_frequency", "H", 1),
    *((f"average_{name}_frequency", "H", 1) for name in _CLOCK_NAMES),
    ("current_gfxclk", "H", 1),
    *((f"current_{name}", "H", 1) for name in _CLOCK_NAMES),
    ("throttle_status", "I", 1),
    ("current_fan_speed", "H", 1),
)

V1_0: Layout = (
    *HEADER,
    ("system_clock_counter", "Q", 1),
    *_TEMPERATURES,
    *_ACTIVITIES,
    ("average_socket_power", "H", 1),
    ("energy_accumulator", "I", 1),
    *_CLOCKS,
    ("pcie_link_width", "B", 1),
    ("pcie_link_speed", "B", 1),
)

V1_1: Layout = (
    *HEADER,
    *_TEMPERATURES,
    *_ACTIVITIES,
    ("average_socket_power", "H", 1),
    ("energy_accumulator", "Q", 1),
    ("system_clock_counter", "Q", 1),
    *_CLOCKS,
    ("pcie_link_width", "H", 1),
    ("pcie_link_speed", "H", 1),
    ("padding", "H", 1),
    ("gfx_activity_acc", "I", 1),
    ("mem_activity_acc", "I", 1),
    ("temperature_hbm", "H", 4),
)

V1_2: Layout = (*V1_1, ("firmware_timestamp", "Q", 1))

V1_3: Layout = (
    *V1_2,
    ("voltage_soc", "H", 1),
    ("voltage_gfx", "H", 1),
    ("voltage_mem", "H", 1),
    ("padding1", "H", 1),
    ("indep_throttle_status", "Q", 1),
)

V3_0: Layout = (
    *HEADER,
    ("temperature_gfx", "H", 1),
    ("temperature_soc", "H", 1),
    ("temperature_core", "H", 16),
    ("temperature_skin", "H", 1),
    ("average_gfx_activity", "H", 1),
    ("average_vcn_activity", "H", 1),
    ("average_ipu_activity", "H", 8),
    ("average_core_c0_activity", "H", 16),
    ("average_dram_reads", "H", 1),
    ("average_dram_writes", "H", 1),
    ("average_ipu_reads", "H", 1),
    ("average_ipu_writes", "H", 1),
    ("system_clock_counter", "Q", 1),
    ("average_socket_power", "I", 1),
    ("average_ipu_power", "H", 1),
    ("average_apu_power", "I", 1),
    ("average_gfx_power", "I", 1),
    ("average_dgpu_power", "I", 1),
    ("average_all_core_power", "I", 1),
    ("average_core_power", "H", 16),
    ("average_sys_power", "H", 1),
    ("stapm_power_limit", "H", 1),
    ("current_stapm_power_limit", "H", 1),
    *(
        (f"average_{name}_frequency", "H", 1)
        for name in ("gfxclk", "socclk", "vpeclk", "ipuclk", "fclk", "vclk", "uclk", "mpipu")
    ),
    ("current_coreclk", "H", 16),
    ("current_core_maxfreq", "H", 1),
    ("current_gfx_maxfreq", "H", 1),
    *((f"throttle_residency_{name}", "I", 1) for name in ("prochot", "spl", "fppt", "sppt", "thm_core", "thm_gfx", "thm_soc")),
    ("time_filter_alphavalue", "I", 1),
)

_REVISIONS = {V1_0: (1, 0), V1_1: (1, 1), V1_2: (1, 2), V1_3: (1, 3), V3_0: (3, 0)}


def gpu_metrics(layout: Layout, **values: int) -> bytes:
    """The file of one format. What is not given holds ones alone, as the driver leaves it; an array holds one value."""
    form = "".join(f"{count}{letter}" for _, letter, count in layout) + "0Q"  # C pads the end to its strictest member
    size = struct.calcsize(form)
    revisions = dict(zip(("format_revision", "content_revision"), _REVISIONS[layout], strict=True))
    filled = {"structure_size": size, **revisions, **values}
    assert filled.keys() <= {name for name, _, _ in layout}
    packed = []
    for name, letter, count in layout:
        ones = (1 << 8 * struct.calcsize(letter)) - 1
        packed += [filled.get(name, ones)] * count
    return struct.pack(form, *packed)


def strix_halo(**changes: int) -> bytes:
    """A busy Strix Halo: 84.5 W in all, 61.25 W of them graphics, at 2.4 GHz and 71.5 degrees."""
    values = {
        "temperature_gfx": 7150,
        "temperature_soc": 6025,
        "average_gfx_activity": 9750,
        "average_dram_reads": 41000,
        "average_dram_writes": 12000,
        "system_clock_counter": 123_456_789_000,
        "average_socket_power": 84_500,
        "average_apu_power": 84_500,
        "average_gfx_power": 61_250,
        "average_all_core_power": 14_000,
        "average_gfxclk_frequency": 2400,
        "average_socclk_frequency": 1400,
        "average_fclk_frequency": 2000,
        "average_uclk_frequency": 1000,
        "current_gfx_maxfreq": 2900,
        "throttle_residency_prochot": 0,
        "throttle_residency_spl": 5,
        "throttle_residency_fppt": 6,
        "throttle_residency_sppt": 7,
        "throttle_residency_thm_core": 8,
        "throttle_residency_thm_gfx": 9,
        "throttle_residency_thm_soc": 10,
    }
    return gpu_metrics(V3_0, **{**values, **changes})


def discrete_card(**changes: int) -> bytes:
    """A busy Radeon: 287 W at 2.3 GHz and 66 degrees, held back by its power limit."""
    values = {
        "temperature_edge": 66,
        "temperature_hotspot": 88,
        "temperature_mem": 84,
        "average_gfx_activity": 99,
        "average_socket_power": 287,
        "system_clock_counter": 5_000_000_000,
        "average_gfxclk_frequency": 2280,
        "current_gfxclk": 2300,
        "current_uclk": 1249,
        "indep_throttle_status": 1,
    }
    return gpu_metrics(V1_3, **{**values, **changes})
