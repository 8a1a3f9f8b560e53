"""Files of this host that are meters: amdgpu's, hwmon's, RAPL's and /proc/meminfo. One reading each, no loop.

It needs the standard library alone: the sampler's process imports this and little else. ``root`` is where ``/sys`` and ``/proc``
are looked for. Nothing here raises: what cannot be read gives a reason in words.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from harness.telemetry.gpu_metrics import IS_APU, Metrics, format_revision, parse_gpu_metrics

Value = TypeVar("Value")
Candidate = tuple[str, "float | str"]
"""A source, and its number or the reason why there is none."""

MOST_BYTES = 1 << 16
"""No file that is read here is longer."""

MOST_REASON_CHARACTERS = 200

AMD_VENDOR = "0x1002"
STRIX_HALO = "0x1586"


class Abandoned(BaseException):
    """The reading took so long that another thread has taken over. It passes every ``except Exception``."""


class Files:
    """Reads files for one thread at a time, and knows which file it waits for.

    A read of a sick GPU's file may never come back, not even when killed. So whoever waits for the reading thread can `give_up`:
    the file is left out from then on, until that read does come back.
    """

    def __init__(self) -> None:
        self._hanging: dict[str, float] = {}
        self._reading: str | None = None
        self._thread = threading.current_thread()

    def belong_to(self, thread: threading.Thread) -> None:
        """Let only this thread read from now on."""
        self._thread = thread

    def is_abandoned(self) -> bool:
        """Whether the calling thread may no longer read."""
        return threading.current_thread() is not self._thread

    def give_up(self, seconds: float) -> bool:
        """Leave out what is being read, which has not answered for so long. Returns whether a file is being read."""
        if (name := self._reading) is not None:
            self._hanging[name] = seconds
        return name is not None

    def call(self, name: str, read: Callable[[], Value]) -> Value | str:
        """What a read gives, or the reason why it gives nothing."""
        if self.is_abandoned():
            raise Abandoned
        if name in self._hanging:
            return f"{name} did not answer within {self._hanging[name]:g} s"
        self._reading = name
        try:
            return read()
        except OSError as error:
            return f"{name}: {error.strerror or error}"
        except ValueError:
            return f"{name} holds no number"
        finally:
            if self.is_abandoned():
                self._hanging.pop(name, None)
                raise Abandoned
            self._reading = None

    def data(self, path: Path) -> bytes | str:
        """The bytes of a file."""
        return self.call(str(path), lambda: _read(path))

    def text(self, path: Path) -> str | None:
        """A file's text; ``None`` where it cannot be read."""
        data = self.data(path)
        return data.decode(errors="replace") if isinstance(data, bytes) else None

    def names(self, folder: Path) -> list[str] | str:
        """The names in a folder, in no order."""
        return self.call(str(folder), lambda: os.listdir(folder))

    def link(self, path: Path) -> str | None:
        """What a link points to; ``None`` where it cannot be read."""
        target = self.call(str(path), lambda: (os.readlink(path),))
        return target[0] if isinstance(target, tuple) else None

    def number(self, path: Path, unit: float = 1.0, *, name: str = "") -> float | str:
        """The one integer that a file holds, times a unit; else the reason why there is none. ``name`` stands for the path in that
        reason, where the path is nobody's business."""
        return self.call(name or str(path), lambda: int(_read(path)) * unit)


def _read(path: Path) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read(MOST_BYTES) or b""


class Readings:
    """What one sample found."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.sources: dict[str, str] = {}
        self.failures: dict[str, str] = {}

    def take(self, meter: str, candidates: Iterable[Candidate]) -> None:
        """Take the first number among the candidates, which are read no further; else the reason of the first."""
        reasons = []
        for source, value in candidates:
            if not isinstance(value, str):
                self.values[meter], self.sources[meter] = value, source
                return
            reasons.append(value)
        self.failures[meter] = reasons[0] if reasons else "nothing here offers it"

    def attempt(self, meters: Iterable[str], read: Callable[[], None]) -> None:
        """Read; whatever is raised becomes the reason why a meter without a value has none."""
        try:
            read()
        except Exception as error:
            self.fail(meters, f"{type(error).__name__}: {error}"[:MOST_REASON_CHARACTERS])

    def fail(self, meters: Iterable[str], reason: str) -> None:
        """Give this reason for each of the meters that has no value."""
        for meter in meters:
            if meter not in self.values:
                self.failures[meter] = reason


class Sensor(Protocol):
    """Some meters that are read together."""

    @property
    def meters(self) -> Sequence[str]:
        """Their names; reading may find more."""

    def read(self, files: Files, found: Readings) -> None:
        """Add this moment's values."""


class AmdGpu:
    """One card of amdgpu, named by the folder of its PCI device. ``suffix`` keeps the meters of several cards apart."""

    METERS = (
        "vram_used_bytes",
        "gtt_used_bytes",
        "gpu_busy_percent",
        "gpu_power_watts",
        "gfx_temperature_celsius",
        "gfx_clock_hertz",
    )

    def __init__(self, device: Path, suffix: str = "") -> None:
        self._device = device
        self._suffix = suffix
        self.meters = tuple(meter + suffix for meter in self.METERS)
        self._is_strix_halo = _text_of(device / "device") == STRIX_HALO
        self._hwmon = next(iter(sorted(device.glob("hwmon/hwmon*"))), device / "hwmon/hwmon0")

    def read(self, files: Files, found: Readings) -> None:
        path = self._device / "gpu_metrics"
        data = files.data(path)
        metrics = parse_gpu_metrics(data) if isinstance(data, bytes) else data
        revision = format_revision(data) if isinstance(data, bytes) else None
        is_apu = IS_APU.get(revision or 0, self._is_strix_halo)

        def of_metrics(name: str) -> Iterator[Candidate]:
            yield from _of_metrics(str(path), metrics, name)

        def of_file(name: str, unit: float = 1.0) -> Iterator[Candidate]:
            yield str(self._device / name), files.number(self._device / name, unit)

        def of_hwmon(*names: str, unit: float) -> Iterator[Candidate]:
            for name in names:
                yield str(self._hwmon / name), files.number(self._hwmon / name, unit)

        def take(meter: str, *candidates: Iterator[Candidate]) -> None:
            found.take(meter + self._suffix, (each for several in candidates for each in several))

        take("vram_used_bytes", of_file("mem_info_vram_used"))
        take("gtt_used_bytes", of_file("mem_info_gtt_used"))
        take("gpu_busy_percent", of_file("gpu_busy_percent"), of_metrics("gpu_busy_percent"))
        watts = of_hwmon("power1_average", "power1_input", unit=1e-6)
        if is_apu:  # hwmon's power is that of the whole socket, processor cores included
            take("socket_power_watts", of_metrics("socket_power_watts"), watts)
            take("gpu_power_watts", of_metrics("gfx_power_watts"))
        else:
            take("gpu_power_watts", watts, of_metrics("socket_power_watts"))
        take("gfx_temperature_celsius", of_metrics("gfx_temperature_celsius"), of_hwmon("temp1_input", unit=1e-3))
        clock = self._device / "pp_dpm_sclk"
        starred = ((str(clock), files.call(str(clock), lambda: _starred_hertz(_read(clock)))) for _ in range(1))
        take("gfx_clock_hertz", of_metrics("gfx_clock_hertz"), of_hwmon("freq1_input", unit=1.0), starred)
        for name in metrics if isinstance(metrics, dict) else ():
            if name.startswith("throttl"):
                take(name, of_metrics(name))


def amd_gpus_below(root: Path, pci: str | None) -> tuple[AmdGpu, ...]:
    """The cards to read: the one at a PCI address, if amdgpu drives it, or all, in the order of their addresses."""
    found = {}
    for card in (root / "sys/class/drm").glob("card*"):
        device = Path(os.path.realpath(card / "device"))
        if card.name[4:].isdigit() and _text_of(device / "vendor") == AMD_VENDOR:
            found[device.name] = device
    chosen = {name: device for name, device in found.items() if pci in (None, name)}
    if len(chosen) == 1:
        return tuple(map(AmdGpu, chosen.values()))
    return tuple(AmdGpu(found[name], f"_{number}") for number, name in enumerate(sorted(chosen)))


def _of_metrics(source: str, metrics: Metrics | str, name: str) -> Iterator[Candidate]:
    """A field of gpu_metrics, if the format has it."""
    if isinstance(metrics, str):
        yield source, metrics
    elif name in metrics:
        value = metrics[name]
        yield f"{source} ({name})", value if value is not None else f"{source} leaves {name} empty"


def _starred_hertz(text: bytes) -> float:
    """The clock of the line with a star in pp_dpm_sclk, such as ``1: 2400Mhz *``. On Strix Halo line 1 holds the clock or a
    placeholder, and the star alone tells which. Raises `ValueError`."""
    for line in text.decode(errors="replace").splitlines():
        if line.rstrip().endswith("*"):
            return int(line.split(":")[1].strip(" *").lower().removesuffix("mhz")) * 1e6
    raise ValueError


class Rapl:
    """The energy counters of the processor's packages, added up to one that never wraps. AMD's processors use Intel's name, too."""

    METER = "cpu_package_joules"
    meters = (METER,)

    def __init__(self, root: Path = Path("/")) -> None:
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        self._folder = root / "sys/class/powercap"
        self._packages = [zone for zone in zones if zone.name.count(":") == 1 and _text_of(zone / "name").startswith("package")]
        self._last: dict[Path, float] = {}
        self._joules = 0.0

    def read(self, files: Files, found: Readings) -> None:
        if not self._packages:
            found.failures[self.METER] = f"{self._folder} has no package of intel-rapl"
            return
        for zone in self._packages:
            now = files.number(zone / "energy_uj")
            if isinstance(now, str):
                hint = "" if "ermission" not in now else "; since CVE-2020-8694 root alone may read it, unless root allows more"
                found.failures[self.METER] = now + hint
                return
            grown = now - self._last.get(zone, now)
            if grown < 0:
                most = files.number(zone / "max_energy_range_uj")
                grown = grown + most if isinstance(most, float) and grown + most >= 0 else 0.0
            self._last[zone] = now
            self._joules += grown * 1e-6
        source = " + ".join(str(zone / "energy_uj") for zone in self._packages)
        found.take(self.METER, [(source, round(self._joules, 6))])


def _text_of(path: Path) -> str:
    """The text of a short file that asks no hardware; empty where there is none."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


class Meminfo:
    """The host's memory that is still available."""

    METER = "mem_available_bytes"
    meters = (METER,)

    def __init__(self, root: Path = Path("/")) -> None:
        self._path = root / "proc/meminfo"

    def read(self, files: Files, found: Readings) -> None:
        found.take(self.METER, [(f"{self._path} (MemAvailable)", files.call(str(self._path), lambda: _available(self._path)))])


def _available(path: Path) -> float:
    for line in _read(path).splitlines():
        if line.startswith(b"MemAvailable:"):
            return int(line.split()[1]) * 1024.0
    raise ValueError
