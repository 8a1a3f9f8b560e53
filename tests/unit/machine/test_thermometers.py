from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.machine.thermometers import Thermometers, find_thermometers, parse_celsius


def a_chip(root: Path, number: int, name: str, *, device: str | None = None, **files: str) -> Path:
    """A hwmon folder as the kernel shows one."""
    folder = root / f"sys/class/hwmon/hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    for file, text in files.items():
        (folder / file).write_text(text)
    if device is not None:
        (root / "sys/devices" / device).mkdir(parents=True, exist_ok=True)
        (folder / "device").symlink_to(root / "sys/devices" / device)
    return folder


def readings(root: Path) -> dict[str, float]:
    return Thermometers(find_thermometers(root)).celsius()


def test_the_gpu_and_the_processor_of_a_strix_halo_box_are_read(tmp_path: Path) -> None:
    a_chip(tmp_path, 0, "acpitz", temp1_input="20000\n")
    a_chip(tmp_path, 1, "nvme", device="nvme0", temp1_input="38850\n", temp1_label="Composite\n")
    a_chip(tmp_path, 2, "amdgpu", device="0000:c5:00.0", temp1_input="41000\n", temp1_label="edge\n")
    a_chip(tmp_path, 3, "k10temp", device="0000:00:18.3", temp1_input="44625\n", temp1_label="Tctl\n")
    assert readings(tmp_path) == {"amdgpu 0000:c5:00.0": 41.0, "k10temp 0000:00:18.3": 44.625}


def test_two_cards_have_a_thermometer_each(tmp_path: Path) -> None:
    a_chip(tmp_path, 0, "amdgpu", device="0000:03:00.0", temp1_input="30000\n")
    a_chip(tmp_path, 1, "amdgpu", device="0000:c5:00.0", temp1_input="41000\n")
    assert readings(tmp_path) == {"amdgpu 0000:03:00.0": 30.0, "amdgpu 0000:c5:00.0": 41.0}


def test_of_an_intel_processor_the_package_is_read_and_not_a_core(tmp_path: Path) -> None:
    a_chip(
        tmp_path,
        4,
        "coretemp",
        temp1_label="Core 0\n",
        temp1_input="70000\n",
        temp2_label="Package id 0\n",
        temp2_input="55000\n",
    )
    assert readings(tmp_path) == {"coretemp hwmon4": 55.0}


def test_a_machine_without_hwmon_has_no_thermometer(tmp_path: Path) -> None:
    assert find_thermometers(tmp_path) == {}
    assert readings(tmp_path) == {}


def test_a_chip_without_its_sensor_is_none(tmp_path: Path) -> None:
    a_chip(tmp_path, 0, "amdgpu")
    a_chip(tmp_path, 1, "coretemp", temp1_label="Core 0\n", temp1_input="70000\n")
    (tmp_path / "sys/class/hwmon/hwmon2").mkdir()
    assert find_thermometers(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "\n", "warm", "41.5", "nan", "0\n", "-5000\n", "150000\n", "9" * 5000, "\x00\xff"])
def test_what_no_sensor_that_works_says_is_no_temperature(tmp_path: Path, text: str) -> None:
    a_chip(tmp_path, 0, "amdgpu", temp1_input=text)
    assert readings(tmp_path) == {}


def test_thousandths_of_a_degree_are_degrees() -> None:
    assert parse_celsius("41250\n") == 41.25


def test_a_sensor_that_goes_away_is_no_temperature(tmp_path: Path) -> None:
    folder = a_chip(tmp_path, 0, "amdgpu", temp1_input="41000\n")
    thermometers = Thermometers(find_thermometers(tmp_path))
    (folder / "temp1_input").unlink()
    assert thermometers.celsius() == {}


def test_a_sensor_that_is_a_folder_or_may_not_be_read_is_no_temperature(tmp_path: Path) -> None:
    folder = a_chip(tmp_path, 0, "amdgpu")
    (folder / "temp1_input").mkdir()
    assert readings(tmp_path) == {}


def test_a_sensor_that_hangs_is_waited_for_once_and_no_longer_than_is_said(tmp_path: Path) -> None:
    """A pipe that nobody writes into blocks whoever opens it, as a GPU's driver does that waits for its firmware."""
    folder = a_chip(tmp_path, 0, "amdgpu")
    a_chip(tmp_path, 1, "k10temp", temp1_input="44000\n")
    os.mkfifo(folder / "temp1_input")
    thermometers = Thermometers(find_thermometers(tmp_path), most_read_seconds=0.05)
    try:
        begun = time.monotonic()
        assert thermometers.celsius() == {"k10temp hwmon1": 44.0}
        assert 0.05 <= time.monotonic() - begun < 5
        again = Thermometers({"gone": folder / "temp1_input"}, most_read_seconds=0.05)
        assert again.celsius() == again.celsius() == {}
        assert again._sensors == {}, "it is not asked again"
    finally:
        os.close(os.open(folder / "temp1_input", os.O_RDWR | os.O_NONBLOCK))  # lets the readers go
