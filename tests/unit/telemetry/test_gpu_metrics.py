from __future__ import annotations

import pytest

from harness.telemetry.gpu_metrics import LAYOUTS, format_revision, parse_gpu_metrics
from tests.unit.gpu_metrics_files import V1_0, V1_1, V1_2, V1_3, V3_0, Layout, discrete_card, gpu_metrics, strix_halo
from tests.unit.real_hosts import IDLE_RDNA3


def parsed(data: bytes) -> dict[str, float | None]:
    found = parse_gpu_metrics(data)
    assert isinstance(found, dict), found
    return found


def test_a_strix_halo_is_read_field_by_field() -> None:
    assert len(strix_halo()) == 264
    assert parsed(strix_halo()) == {
        "gfx_temperature_celsius": 71.5,
        "soc_temperature_celsius": 60.25,
        "dram_read_bytes_per_second": 41e9,
        "dram_write_bytes_per_second": 12e9,
        "system_clock_seconds": 123.456789,
        "socket_power_watts": 84.5,
        "apu_power_watts": 84.5,
        "gfx_power_watts": 61.25,
        "cores_power_watts": 14.0,
        "gfx_clock_hertz": 2.4e9,
        "soc_clock_hertz": 1.4e9,
        "fabric_clock_hertz": 2e9,
        "memory_clock_hertz": 1e9,
        "gfx_clock_limit_hertz": 2.9e9,
        "throttle_prochot": 0.0,
        "throttle_spl": 5.0,
        "throttle_fppt": 6.0,
        "throttle_sppt": 7.0,
        "throttle_thm_core": 8.0,
        "throttle_thm_gfx": 9.0,
        "throttle_thm_soc": 10.0,
    }


def test_a_discrete_card_is_read_field_by_field() -> None:
    assert len(discrete_card()) == 120
    assert parsed(discrete_card()) == {
        "gfx_temperature_celsius": 66.0,
        "hotspot_temperature_celsius": 88.0,
        "memory_temperature_celsius": 84.0,
        "gpu_busy_percent": 99.0,
        "socket_power_watts": 287.0,
        "system_clock_seconds": 5.0,
        "average_gfx_clock_hertz": 2.28e9,
        "gfx_clock_hertz": 2.3e9,
        "memory_clock_hertz": 1.249e9,
        "throttling_power": 1.0,
        "throttling_current": 0.0,
        "throttling_thermal": 0.0,
        "throttling_other": 0.0,
    }


def test_the_activity_of_a_strix_halo_is_not_guessed_since_its_unit_hangs_on_the_firmware() -> None:
    assert parsed(strix_halo(average_gfx_activity=97)) == parsed(strix_halo(average_gfx_activity=9700))


@pytest.mark.parametrize("layout", [V1_0, V1_1, V1_2, V1_3])
def test_every_format_of_discrete_cards_has_its_own_places(layout: Layout) -> None:
    found = parsed(gpu_metrics(layout, average_socket_power=150, temperature_edge=50, current_gfxclk=1800, current_uclk=900))
    assert (found["socket_power_watts"], found["gfx_temperature_celsius"]) == (150.0, 50.0)
    assert (found["gfx_clock_hertz"], found["memory_clock_hertz"]) == (1.8e9, 9e8)


@pytest.mark.parametrize(
    ("bit", "group"), [(5, "power"), (21, "current"), (35, "thermal"), (46, "thermal"), (56, "other"), (57, "other")]
)
def test_a_limiter_is_told_by_its_group(bit: int, group: str) -> None:
    found = parsed(discrete_card(indep_throttle_status=1 << bit))
    assert {name: value for name, value in found.items() if name.startswith("throttling") and value} == {
        f"throttling_{group}": 1.0
    }


HOTSPOT, OTHER_HEAT = 1 << 36, 1 << 35


@pytest.mark.parametrize(
    ("bits", "hotspot", "throttling"),
    [
        (HOTSPOT, 41, 0.0),
        (HOTSPOT, 89, 0.0),
        (HOTSPOT, 90, 1.0),
        (HOTSPOT, 0xFFFF, 1.0),  # the driver does not say how hot it is
        (HOTSPOT | OTHER_HEAT, 41, 1.0),
        (0, 105, 0.0),
    ],
)
def test_the_hotspot_s_bit_is_throttling_where_it_is_not_known_to_be_cool(bits: int, hotspot: int, throttling: float) -> None:
    found = parsed(gpu_metrics(V1_3, **{**IDLE_RDNA3, "indep_throttle_status": bits, "temperature_hotspot": hotspot}))
    assert found["throttling_thermal"] == throttling


def test_an_idle_rdna_3_card_is_not_throttled() -> None:
    found = parsed(gpu_metrics(V1_3, **IDLE_RDNA3))
    assert (found["socket_power_watts"], found["hotspot_temperature_celsius"], found["gfx_clock_hertz"]) == (10.0, 41.0, 5e6)
    assert {name for name, value in found.items() if name.startswith("throttling") and value != 0.0} == set()


@pytest.mark.parametrize("layout", [V1_0, V1_1, V1_2, V1_3, V3_0])
def test_a_field_that_the_driver_leaves_is_none_and_not_a_number(layout: Layout) -> None:
    assert set(parsed(gpu_metrics(layout)).values()) == {None}


def test_the_length_of_every_known_format_is_the_struct_s() -> None:
    built = {(data[2], data[3]): len(data) for data in map(gpu_metrics, (V1_0, V1_1, V1_2, V1_3, V3_0))}
    assert built == {revision: length for revision, (length, _) in LAYOUTS.items()}


@pytest.mark.parametrize("length", [0, 3, 4, 100, 263])
def test_a_file_cut_short_is_said_to_be_so(length: int) -> None:
    assert "bytes" in str(parse_gpu_metrics(strix_halo()[:length]))


def test_a_file_of_another_length_than_its_format_s_is_not_read() -> None:
    assert parse_gpu_metrics(strix_halo(structure_size=260)) == (
        "gpu_metrics of format 3.0 should be 264 bytes; it says 260 and holds 264"
    )


@pytest.mark.parametrize("data", [bytes(264), b"\xff" * 264, b"no such device\n", gpu_metrics(V3_0, content_revision=1)])
def test_garbage_and_unknown_formats_are_said_to_be_unknown(data: bytes) -> None:
    assert "layout is not known" in str(parse_gpu_metrics(data))


def test_the_format_is_known_also_where_the_layout_is_not() -> None:
    assert format_revision(b"\x78\x00\x02\x04") == 2
    assert format_revision(b"\x00") is None
