from __future__ import annotations

from pathlib import Path

import pytest

from harness.telemetry.sensors import AmdGpu, Files, Meminfo, Rapl, Readings, Sensor, amd_gpus_below
from tests.unit.gpu_metrics_files import V3_0, gpu_metrics
from tests.unit.real_hosts import SCLK_AT_WORK
from tests.unit.sensor_trees import DISCRETE_PCI, STRIX_HALO_PCI, a_discrete_card, a_strix_halo, write_tree


def read(*sensors: Sensor) -> Readings:
    found = Readings()
    for sensor in sensors:
        sensor.read(Files(), found)
    return found


def test_a_strix_halo_s_meters_are_those_of_its_files(tmp_path: Path) -> None:
    device = a_strix_halo(tmp_path)
    found = read(*amd_gpus_below(tmp_path, None))
    assert found.values == {
        "vram_used_bytes": 180355072.0,
        "gtt_used_bytes": 2254438400.0,
        "gpu_busy_percent": 97.0,
        "socket_power_watts": 84.5,
        "gpu_power_watts": 61.25,
        "gfx_temperature_celsius": 71.5,
        "gfx_clock_hertz": 2.4e9,
        "throttle_prochot": 0.0,
        "throttle_spl": 5.0,
        "throttle_fppt": 6.0,
        "throttle_sppt": 7.0,
        "throttle_thm_core": 8.0,
        "throttle_thm_gfx": 9.0,
        "throttle_thm_soc": 10.0,
    }
    assert found.sources["socket_power_watts"] == f"{device}/gpu_metrics (socket_power_watts)"
    assert found.sources["gtt_used_bytes"] == f"{device}/mem_info_gtt_used"
    assert found.failures == {}
    read_elsewhere = {"socket_power_watts", *(name for name in found.values if name.startswith("throttle_"))}
    assert set(AmdGpu.METERS) == found.values.keys() - read_elsewhere, "AmdGpu.read takes no such meter"


def test_a_discrete_card_s_power_is_the_card_s_and_not_the_socket_s(tmp_path: Path) -> None:
    device = a_discrete_card(tmp_path)
    found = read(*amd_gpus_below(tmp_path, None))
    assert found.values == {
        "vram_used_bytes": 3221225472.0,
        "gtt_used_bytes": 52428800.0,
        "gpu_busy_percent": 99.0,
        "gpu_power_watts": 286.75,
        "gfx_temperature_celsius": 66.0,
        "gfx_clock_hertz": 2.3e9,
        "throttling_power": 1.0,
        "throttling_current": 0.0,
        "throttling_thermal": 0.0,
        "throttling_other": 0.0,
    }
    assert found.sources["gpu_power_watts"] == f"{device}/hwmon/hwmon2/power1_average"


def test_a_host_without_a_card_has_nothing_to_read(tmp_path: Path) -> None:
    assert amd_gpus_below(tmp_path, None) == ()


@pytest.mark.parametrize("metrics", [b"", b"\x08", b"garbage\n", b"\xff" * 264, gpu_metrics(V3_0)])
def test_where_gpu_metrics_says_nothing_hwmon_does(tmp_path: Path, metrics: bytes) -> None:
    a_strix_halo(tmp_path, metrics=metrics)
    found = read(*amd_gpus_below(tmp_path, None))
    # Of a Strix Halo hwmon's power is the socket's, whatever gpu_metrics says.
    assert found.values["socket_power_watts"] == pytest.approx(84.012)
    assert found.values["gfx_temperature_celsius"] == 71.0
    assert found.values["gfx_clock_hertz"] == pytest.approx(2.405e9)
    assert "gpu_power_watts" in found.failures


def test_the_starred_line_of_pp_dpm_sclk_is_the_clock_where_nothing_else_says_it(tmp_path: Path) -> None:
    device = a_strix_halo(tmp_path, metrics=b"")
    (device / "hwmon/hwmon4/freq1_input").unlink()
    assert read(AmdGpu(device)).values["gfx_clock_hertz"] == pytest.approx(2.411e9)
    (device / "pp_dpm_sclk").write_text("0: 600Mhz\n1: 1100Mhz\n2: 2900Mhz\n")
    found = read(AmdGpu(device))
    assert "gfx_clock_hertz" not in found.values
    assert "not even its header" in found.failures["gfx_clock_hertz"]


def test_the_clocks_of_a_real_box_at_work_are_read(tmp_path: Path) -> None:
    device = a_strix_halo(tmp_path, metrics=b"")
    (device / "hwmon/hwmon4/freq1_input").unlink()
    (device / "pp_dpm_sclk").write_text(SCLK_AT_WORK)
    assert read(AmdGpu(device)).values["gfx_clock_hertz"] == pytest.approx(2.846e9)


def test_power1_input_stands_in_for_power1_average(tmp_path: Path) -> None:
    device = a_discrete_card(tmp_path)
    (device / "hwmon/hwmon2/power1_average").rename(device / "hwmon/hwmon2/power1_input")
    found = read(AmdGpu(device))
    assert (found.values["gpu_power_watts"], found.sources["gpu_power_watts"][-12:]) == (286.75, "power1_input")


def test_a_missing_and_an_empty_and_a_garbled_file_are_each_said_to_be_so(tmp_path: Path) -> None:
    device = a_strix_halo(tmp_path)
    (device / "mem_info_vram_used").unlink()
    (device / "mem_info_gtt_used").write_text("")
    (device / "gpu_busy_percent").write_bytes(b"\xff\xfe many\n")
    failures = read(AmdGpu(device)).failures
    assert failures["vram_used_bytes"] == f"{device}/mem_info_vram_used: No such file or directory"
    assert failures["gtt_used_bytes"] == f"{device}/mem_info_gtt_used holds no number"
    assert failures["gpu_busy_percent"] == f"{device}/gpu_busy_percent holds no number"


def test_of_several_cards_the_chosen_one_is_read_and_all_have_numbers_where_none_was_chosen(tmp_path: Path) -> None:
    a_strix_halo(tmp_path)
    a_discrete_card(tmp_path)
    assert "socket_power_watts" in read(*amd_gpus_below(tmp_path, STRIX_HALO_PCI)).values
    assert read(*amd_gpus_below(tmp_path, DISCRETE_PCI)).values["gpu_power_watts"] == 286.75
    assert amd_gpus_below(tmp_path, "0000:99:00.0") == ()  # and not another one in its place
    found = read(*amd_gpus_below(tmp_path, None)).values
    # In the order of their addresses, 03 before c5.
    assert (found["gpu_power_watts_0"], found["socket_power_watts_1"]) == (286.75, 84.5)
    assert {name for name in found if not name.endswith(("_0", "_1"))} == set()


def test_a_card_of_another_vendor_is_not_read(tmp_path: Path) -> None:
    device = a_discrete_card(tmp_path)
    (device / "vendor").write_text("0x10de\n")
    assert amd_gpus_below(tmp_path, None) == ()


def a_package(root: Path, number: int, joules: float, *, most: float = 262143.0) -> None:
    folder = f"sys/class/powercap/intel-rapl:{number}"
    energy, most_energy = f"{round(joules * 1e6)}\n", f"{round(most * 1e6)}\n"
    files = {"name": f"package-{number}\n", "energy_uj": energy, "max_energy_range_uj": most_energy}
    write_tree(root / folder, dict(files))
    write_tree(root / f"{folder}:0", {"name": "core\n", "energy_uj": "7\n"})


def test_the_processor_s_energy_is_that_of_all_packages_since_the_first_sample(tmp_path: Path) -> None:
    a_package(tmp_path, 0, 1000.0)
    a_package(tmp_path, 1, 50.0)
    rapl = Rapl(tmp_path)
    assert read(rapl).values["cpu_package_joules"] == 0.0
    a_package(tmp_path, 0, 1010.5)
    a_package(tmp_path, 1, 52.25)
    assert read(rapl).values["cpu_package_joules"] == 12.75


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    a_package(tmp_path, 0, 262140.0)
    rapl = Rapl(tmp_path)
    read(rapl)
    a_package(tmp_path, 0, 5.0)
    assert read(rapl).values["cpu_package_joules"] == pytest.approx(8.0)
    a_package(tmp_path, 0, 6.0)
    assert read(rapl).values["cpu_package_joules"] == pytest.approx(9.0)


def test_a_host_without_rapl_and_a_counter_that_is_root_s_alone_are_told_apart(tmp_path: Path) -> None:
    assert "no package of intel-rapl" in read(Rapl(tmp_path)).failures["cpu_package_joules"]
    a_package(tmp_path, 0, 1.0)
    rapl = Rapl(tmp_path)

    class Refusing(Files):
        """Root reads what others may not, so the refusal is made up."""

        def number(self, path: Path, unit: float = 1.0) -> float | str:
            return f"{path}: Permission denied"

    found = Readings()
    rapl.read(Refusing(), found)
    assert "CVE-2020-8694" in found.failures["cpu_package_joules"]


def test_the_memory_that_could_be_had_is_in_bytes(tmp_path: Path) -> None:
    write_tree(tmp_path, {"proc/meminfo": "MemTotal:  131072000 kB\nMemAvailable:   1000 kB\n"})
    assert read(Meminfo(tmp_path)).values == {"mem_available_bytes": 1024000.0}
    write_tree(tmp_path, {"proc/meminfo": "MemTotal:  131072000 kB\n"})
    assert "holds no number" in read(Meminfo(tmp_path)).failures["mem_available_bytes"]
