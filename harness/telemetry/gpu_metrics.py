"""amdgpu's ``gpu_metrics`` file -> named values with units. Pure, and with the standard library alone: the sampler runs it.

The file is a C struct of the kernel (drivers/gpu/drm/amd/include/kgd_pp_interface.h). Its header gives its length and its
format; nothing in it says what is where. So it is read only where header and length are exactly those of a known layout. In a
field that a driver does not fill, all bits are ones (smu_cmn_init_soft_gpu_metrics).

Known are 1.0 to 1.3 of format 1 (discrete cards) and 3.0 of format 3 (Strix Halo and its kin). Format 2 (older APUs) is not: the
units of its temperatures and powers differ from chip to chip.
"""

from __future__ import annotations

import struct

Metrics = dict[str, "float | None"]
"""Name with unit -> value; ``None``: this driver does not fill it."""

HEADER = struct.Struct("<HBB")
"""Length of the struct, format revision, content revision."""

_Field = tuple[int, str, float]
"""Offset, `struct`'s letter, and the unit of one step."""

_V3_0: dict[str, _Field] = {
    # Temperatures are in hundredths, as smu_v14_0_0_ppt.c shows where it serves hwmon from the same table. The activity is
    # left out: that file divides it by 100 only for firmware up to 0x5d4600, so its unit is not known here. The file
    # gpu_busy_percent has it right.
    "gfx_temperature_celsius": (4, "H", 0.01),
    "soc_temperature_celsius": (6, "H", 0.01),
    "dram_read_bytes_per_second": (94, "H", 1e6),
    "dram_write_bytes_per_second": (96, "H", 1e6),
    # The kernel aligns naturally: two bytes of padding come first. The firmware filters the powers over some time.
    "system_clock_seconds": (104, "Q", 1e-9),
    "socket_power_watts": (112, "I", 1e-3),
    "apu_power_watts": (120, "I", 1e-3),
    "gfx_power_watts": (124, "I", 1e-3),
    "cores_power_watts": (132, "I", 1e-3),
    "gfx_clock_hertz": (174, "H", 1e6),
    "soc_clock_hertz": (176, "H", 1e6),
    "fabric_clock_hertz": (182, "H", 1e6),
    "memory_clock_hertz": (186, "H", 1e6),
    "gfx_clock_limit_hertz": (224, "H", 1e6),
    # Counters that grow only while their limiter is at work. The kernel does not say what one step is.
    "throttle_prochot": (228, "I", 1),
    "throttle_spl": (232, "I", 1),
    "throttle_fppt": (236, "I", 1),
    "throttle_sppt": (240, "I", 1),
    "throttle_thm_core": (244, "I", 1),
    "throttle_thm_gfx": (248, "I", 1),
    "throttle_thm_soc": (252, "I", 1),
}

_V1_0: dict[str, _Field] = {
    "gfx_temperature_celsius": (16, "H", 1),
    "hotspot_temperature_celsius": (18, "H", 1),
    "memory_temperature_celsius": (20, "H", 1),
    "gpu_busy_percent": (28, "H", 1),
    "socket_power_watts": (34, "H", 1),
    "average_gfx_clock_hertz": (40, "H", 1e6),
    "gfx_clock_hertz": (54, "H", 1e6),
    "memory_clock_hertz": (58, "H", 1e6),
}

_V1_1: dict[str, _Field] = {
    "gfx_temperature_celsius": (4, "H", 1),
    "hotspot_temperature_celsius": (6, "H", 1),
    "memory_temperature_celsius": (8, "H", 1),
    "gpu_busy_percent": (16, "H", 1),
    "socket_power_watts": (22, "H", 1),
    "system_clock_seconds": (32, "Q", 1e-9),
    "average_gfx_clock_hertz": (40, "H", 1e6),
    "gfx_clock_hertz": (54, "H", 1e6),
    "memory_clock_hertz": (58, "H", 1e6),
}

LAYOUTS: dict[tuple[int, int], tuple[int, dict[str, _Field]]] = {
    (1, 0): (80, _V1_0),
    (1, 1): (96, _V1_1),
    (1, 2): (104, _V1_1),
    (1, 3): (120, _V1_1),
    (3, 0): (264, _V3_0),
}
"""Format and content revision -> length in bytes, and the place of each value."""

_THROTTLERS = (112, "Q")
"""The place of ``indep_throttle_status`` in 1.3: a bit for each limiter that is at work now, the same on every chip."""

_GROUPS = {"power": (0, 16), "current": (16, 32), "thermal": (32, 48), "other": (48, 64)}
"""The first bit, and the one after the last (``SMU_THROTTLER_*_BIT`` in drivers/gpu/drm/amd/pm/swsmu/inc/amdgpu_smu.h)."""

_HOTSPOT_BIT = 36
"""``SMU_THROTTLER_TEMP_HOTSPOT_BIT``. RDNA 3 and 4 set it at all times, at 41 degrees and 10 W as well
(https://github.com/Umio-Yasuno/libdrm-amdgpu-sys-rs/issues/7, https://github.com/ROCm/rocm-systems/issues/11781)."""

_COOL_HOTSPOT_CELSIUS = 90.0
"""Below this the hotspot's bit means no throttling: MangoHud draws the line there (https://github.com/flightlessmango/MangoHud/issues/1690)."""

IS_APU = {1: False, 2: True, 3: True}
"""By format revision, whether ``socket_power_watts`` is the power of the whole chip, processor cores included."""


def parse_gpu_metrics(data: bytes) -> Metrics | str:
    """What the bytes say; a sentence where they cannot be read. Never raises."""
    if len(data) < HEADER.size:
        return f"gpu_metrics holds {len(data)} bytes, which is not even its header"
    length, form, content = HEADER.unpack_from(data)
    known = LAYOUTS.get((form, content))
    if known is None:
        return f"gpu_metrics is of format {form}.{content}, whose layout is not known here"
    if length != known[0] or len(data) < length:
        return f"gpu_metrics of format {form}.{content} should be {known[0]} bytes; it says {length} and holds {len(data)}"
    values = {name: _value(data, *field) for name, field in known[1].items()}
    if (form, content) == (1, 3):
        values |= _throttlers(data, values["hotspot_temperature_celsius"])
    return values


def format_revision(data: bytes) -> int | None:
    """1, 2 or 3, also where the layout is not known; ``None``: there is no header."""
    return HEADER.unpack_from(data)[1] if len(data) >= HEADER.size else None


def _value(data: bytes, offset: int, letter: str, unit: float) -> float | None:
    """One field in its unit; ``None`` where all its bits are ones."""
    (raw,) = struct.unpack_from(f"<{letter}", data, offset)
    if raw == (1 << 8 * struct.calcsize(f"<{letter}")) - 1:
        return None
    return round(raw * unit, 9) if unit < 1 else float(raw * unit)


def _throttlers(data: bytes, hotspot_celsius: float | None) -> Metrics:
    """For each group of limiters 1 where one of them is at work, else 0. A hotspot of unknown temperature counts as hot."""
    (bits,) = struct.unpack_from(f"<{_THROTTLERS[1]}", data, _THROTTLERS[0])
    if bits == (1 << 64) - 1:
        return {f"throttling_{group}": None for group in _GROUPS}
    if hotspot_celsius is not None and hotspot_celsius < _COOL_HOTSPOT_CELSIUS:
        bits &= ~(1 << _HOTSPOT_BIT)
    return {f"throttling_{group}": float(bits >> low & (1 << high - low) - 1 != 0) for group, (low, high) in _GROUPS.items()}
