"""The sampler's file -> what is stored with a launch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from harness.records.fields import Fields
from harness.records.outcome import Telemetry
from harness.telemetry.coverage import period_of
from harness.tools import read_plain

LATE_PERIODS = 4.0
"""A living sampler has taken its last sample within so many periods."""

MOST_BYTES = 64 << 20
MOST_METERS = 100


def read_telemetry(path: Path) -> Telemetry | None:
    """What was sampled; ``None``: nothing. A line that is cut short, as by a full disk, is left out."""
    hertz: float | None = None
    cost: float | None = None
    times: list[float] = []
    samples: list[dict[str, float]] = []
    sources: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for line in read_lines(path):
        hertz = hertz or line.number("hertz")
        cost = line.number("cost_seconds") or cost
        sources |= _texts(line.fields("sources"))
        unavailable |= _texts(line.fields("unavailable"))
        at, values = line.number("at"), line.fields("values")
        if at is not None and line.has_fields("values"):
            times.append(at)
            samples.append({name: found for name in values if (found := values.number(name)) is not None})
    if hertz is None:
        return None
    meters = sorted({name for sample in samples for name in sample})[:MOST_METERS]
    return Telemetry(
        hertz=hertz,
        times=tuple(times),
        series={name: tuple(sample.get(name) for sample in samples) for name in meters},
        sources={name: sources[name] for name in meters if name in sources},
        unavailable={name: reason for name, reason in sorted(unavailable.items()) if name not in meters},
        cost_seconds=cost,
    )


def why_short(lines: Sequence[Fields], *, hertz: float, begun: float, ended: float, status: int | None) -> str:
    """Why the samples do not reach to the launch's end, in words; empty where they do. ``begun`` and ``ended`` are when the sampler
    started and when it was to be told to stop, in Unix seconds; ``status`` is with which it had ended by then, ``None``: it ran."""
    times = [at for line in lines if (at := line.number("at")) is not None]
    late = max(0.0, ended - times[-1]) if times else ended - begun
    if status is None and late <= LATE_PERIODS * period_of(times, hertz, ended):
        return ""
    told = next((text for line in reversed(lines) if (text := line.fields("unavailable").text("sampler"))), "")
    how = f"it was killed by signal {-status}" if status is not None and status < 0 else "it ended by itself"
    what = told or ("it hung" if status is None else how)
    return f"{what}, its last sample {late:.1f} s before the launch's end" if times else f"{what}, before its first sample"


def read_lines(path: Path) -> list[Fields]:
    """The objects in a file of JSON lines; none where there is no plain file."""
    found = []
    for line in read_plain(path, MOST_BYTES).splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(Fields(value))
    return found


def _texts(told: Fields) -> dict[str, str]:
    return {name: text for name in told if (text := told.text(name)) is not None}
