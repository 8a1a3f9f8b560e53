from __future__ import annotations

import types
from typing import Any

import pytest

from harness.telemetry.nvidia import Nvidia
from harness.telemetry.sensors import Files, Readings


class FakeNvml:
    """NVIDIA's library with two made-up GPUs, of which the second cannot tell its energy. No such GPU was read."""

    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """Its only error."""

    def __init__(self, *, driver: bool = True, reasons: int = 0) -> None:
        self.driver = driver
        self.reasons = reasons
        self.starts = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the library's own name, as all below
        self.starts += 1
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetPowerUsage(self, gpu: int) -> int:  # noqa: N802
        return 70_500 + gpu

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: int) -> int:  # noqa: N802
        if gpu == 1:
            raise self.NVMLError("Not Supported")
        return 123_456

    def nvmlDeviceGetMemoryInfo(self, gpu: int) -> Any:  # noqa: N802
        return types.SimpleNamespace(used=1 << 30)

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> Any:  # noqa: N802
        return types.SimpleNamespace(gpu=88)

    def nvmlDeviceGetClockInfo(self, gpu: int, kind: int) -> int:  # noqa: N802
        assert kind == self.NVML_CLOCK_SM
        return 1980

    def nvmlDeviceGetTemperature(self, gpu: int, kind: int) -> int:  # noqa: N802
        assert kind == self.NVML_TEMPERATURE_GPU
        return 55

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: int) -> int:  # noqa: N802
        return self.reasons


def read(sensor: Nvidia) -> Readings:
    found = Readings()
    sensor.read(Files(), found)
    return found


def test_the_chosen_gpu_s_meters_are_in_our_units() -> None:
    assert read(Nvidia("0", FakeNvml())).values == {
        "gpu_power_watts": 70.5,
        "gpu_joules": pytest.approx(123.456),
        "vram_used_bytes": 2.0**30,
        "gpu_busy_percent": 88.0,
        "gfx_clock_hertz": 1.98e9,
        "gfx_temperature_celsius": 55.0,
        "throttling_power": 0.0,
        "throttling_thermal": 0.0,
    }


def test_what_one_gpu_cannot_tell_is_missing_of_that_gpu_alone() -> None:
    found = read(Nvidia(None, FakeNvml()))
    assert "gpu_joules_0" in found.values
    assert found.failures == {"gpu_joules_1": "nvmlDeviceGetTotalEnergyConsumption of GPU 1: Not Supported"}


@pytest.mark.parametrize(("reasons", "expected"), [(0x1, (0, 0)), (0x4, (1, 0)), (0x20, (0, 1)), (0x40 | 0x80, (1, 1))])
def test_limits_of_power_and_heat_are_told_apart_and_idleness_is_neither(reasons: int, expected: tuple[int, int]) -> None:
    values = read(Nvidia("1", FakeNvml(reasons=reasons))).values
    assert (values["throttling_power"], values["throttling_thermal"]) == expected


def test_a_driver_that_is_not_there_is_asked_once() -> None:
    nvml = FakeNvml(driver=False)
    sensor = Nvidia(None, nvml)
    for _ in range(3):
        assert read(sensor).failures["gpu_power_watts"] == "NVIDIA's management library: Driver Not Loaded"
    assert nvml.starts == 1
