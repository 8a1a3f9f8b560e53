"""NVIDIA's meters through its management library, by way of nvidia-ml-py.

That library is imported only where it is asked for: most hosts have no such GPU. All else is of the standard library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from harness.telemetry.sensors import Files, Readings

_POWER_REASONS = 0x4 | 0x80
"""Software power cap and hardware power brake (``nvmlClocksThrottleReason*`` in nvml.h)."""

_THERMAL_REASONS = 0x20 | 0x40
"""Software and hardware thermal slowdown."""

Meter = tuple[str, str, tuple[str, ...], Callable[[Any], float]]
"""A meter, the library's function, the constants of the library that it takes after the GPU, and what its answer means."""

_METERS: tuple[Meter, ...] = (
    ("gpu_power_watts", "nvmlDeviceGetPowerUsage", (), lambda milliwatts: milliwatts * 1e-3),
    ("gpu_joules", "nvmlDeviceGetTotalEnergyConsumption", (), lambda millijoules: millijoules * 1e-3),
    ("vram_used_bytes", "nvmlDeviceGetMemoryInfo", (), lambda memory: float(memory.used)),
    ("gpu_busy_percent", "nvmlDeviceGetUtilizationRates", (), lambda rates: float(rates.gpu)),
    ("gfx_clock_hertz", "nvmlDeviceGetClockInfo", ("NVML_CLOCK_SM",), lambda megahertz: megahertz * 1e6),
    ("gfx_temperature_celsius", "nvmlDeviceGetTemperature", ("NVML_TEMPERATURE_GPU",), float),
    ("throttling_power", "nvmlDeviceGetCurrentClocksThrottleReasons", (), lambda bits: float(bits & _POWER_REASONS != 0)),
    ("throttling_thermal", "nvmlDeviceGetCurrentClocksThrottleReasons", (), lambda bits: float(bits & _THERMAL_REASONS != 0)),
)


class Nvidia:
    """The GPUs that the library names, or one of them. ``gpu`` is the number that `--gpu` gave, or ``None`` for all."""

    meters = tuple(meter for meter, *_ in _METERS)

    def __init__(self, gpu: str | None = None, library: Any = None) -> None:
        self._gpu = gpu
        self._nvml = library
        self._gpus: list[Any] | None = None
        self._refusal: str | None = None

    def read(self, files: Files, found: Readings) -> None:
        opened = files.call("NVIDIA's management library", self._open) if self._refusal is None else self._refusal
        if isinstance(opened, str):
            self._refusal = opened  # not looked for again twice a second
            found.failures.update(dict.fromkeys(self.meters, opened))
            return
        for number, gpu in enumerate(opened):
            suffix = f"_{number}" if len(opened) > 1 else ""
            for meter, name, constants, meaning in _METERS:
                value = files.call(f"{name} of GPU {number}", partial(self._ask, gpu, name, constants))
                found.take(meter + suffix, [(name, value if isinstance(value, str) else meaning(value))])

    def _open(self) -> list[Any]:
        """The handles of the GPUs. Raises `OSError`, in words."""
        if self._gpus is not None:
            return self._gpus
        if self._nvml is None:
            try:
                import pynvml
            except ImportError as error:
                raise OSError(f"nvidia-ml-py is not installed ({error})") from error
            self._nvml = pynvml
        nvml = self._nvml
        try:
            nvml.nvmlInit()
            numbers = range(nvml.nvmlDeviceGetCount())
            if self._gpu is not None and self._gpu.isdecimal() and int(self._gpu) in numbers:
                numbers = range(int(self._gpu), int(self._gpu) + 1)
            self._gpus = [nvml.nvmlDeviceGetHandleByIndex(number) for number in numbers]
        except nvml.NVMLError as error:
            raise OSError(str(error)) from error
        return self._gpus

    def _ask(self, gpu: Any, name: str, constants: Sequence[str]) -> Any:
        try:
            return getattr(self._nvml, name)(gpu, *(getattr(self._nvml, constant) for constant in constants))
        except self._nvml.NVMLError as error:
            raise OSError(str(error)) from error
