"""The temperatures of this machine's AMD GPUs and processors, from hwmon. NVIDIA's driver has none there: with such a GPU
a cool-down watches the processor alone.

``root`` is where ``/sys`` is looked for: tests give a tree of their own. A file that is missing, garbage or does not answer
is no temperature: a GPU that hangs can hang whoever reads its sensors, in a call that no signal ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from harness.machine.files import within

CHIPS: Mapping[str, str] = {"amdgpu": "", "k10temp": "", "zenpower": "", "coretemp": "Package id"}
"""Drivers by the name of their hwmon, with how the label of the whole chip's sensor begins; empty: it is ``temp1_input``
(Linux, Documentation/gpu/amdgpu/thermal.rst, Documentation/hwmon/k10temp.rst and coretemp.rst)."""

COLDEST_CELSIUS, HOTTEST_CELSIUS = 0.0, 150.0
"""What a sensor that works can say; a chip that is off says 0."""

MOST_READ_SECONDS = 1.0

_LONGEST = 64
"""Bytes of a reading; a number of thousandths of a degree has seven."""


class Thermometers:
    """What can be read of them; one that did not answer once is not asked again."""

    def __init__(self, sensors: Mapping[str, Path], *, most_read_seconds: float = MOST_READ_SECONDS) -> None:
        self._sensors = dict(sensors)
        self._most_read_seconds = most_read_seconds

    def celsius(self) -> dict[str, float]:
        """Temperatures by thermometer, of those that can be read. Takes at most a second for each that hangs, once."""
        found = {}
        for name, path in tuple(self._sensors.items()):
            text = within(self._most_read_seconds, partial(_line, path))
            if text is None:
                del self._sensors[name]
            elif (celsius := parse_celsius(text)) is not None:
                found[name] = celsius
        return found


def find_thermometers(root: Path = Path("/")) -> dict[str, Path]:
    """The sensors by chip and device, such as ``amdgpu 0000:c5:00.0``; none where there is no hwmon, as in most guests."""
    found = {}
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        chip = _line(folder / "name")
        if chip not in CHIPS:
            continue
        sensor = _sensor(folder, CHIPS[chip])
        if sensor is not None:
            device = folder / "device"
            found[f"{chip} {device.resolve().name if device.exists() else folder.name}"] = sensor
    return found


def parse_celsius(text: str) -> float | None:
    """Thousandths of a degree, as hwmon gives them; ``None`` for what no sensor that works says."""
    try:
        celsius = int(text) / 1000
    except (ValueError, OverflowError):
        return None
    return celsius if COLDEST_CELSIUS < celsius < HOTTEST_CELSIUS else None


def _sensor(folder: Path, label: str) -> Path | None:
    """The input of a chip's own sensor; ``None`` where it has none."""
    if not label:
        sensor = folder / "temp1_input"
        return sensor if sensor.exists() else None
    for path in sorted(folder.glob("temp*_label")):
        if _line(path).startswith(label):
            return path.with_name(path.name.replace("_label", "_input"))
    return None


def _line(path: Path) -> str:
    """A sensor's text, or a name; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).decode("ascii", "replace").strip()
    except OSError:
        return ""
