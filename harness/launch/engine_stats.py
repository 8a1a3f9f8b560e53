"""What a container engine's own `stats` says about a running container's memory, sampled beside a launch.

It serves for comparison alone: `docker stats` and `podman stats` show the cgroup, to which a GPU's memory need not be charged. A
thread asks while the container runs; a thread that gets no answer is abandoned, so the launch never waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from harness.engines.base import Engine
from harness.errors import EngineError
from harness.records.outcome import Telemetry

HERTZ = 2.0
"""Docker takes a second for each answer; Podman answers at once."""

MOST_SAMPLES = 5_000

WAIT_SECONDS = 1.0
"""How long the end of a launch waits for an answer that is still out."""


METERS = ("stats_usage_bytes", "stats_shown_bytes")
"""What `Engine.memory_stats` may tell: the usage, and what `docker stats` prints for it."""


class StatsWatch:
    """Samples one container's memory while a ``with`` block runs."""

    def __init__(self, engine: Engine, name: str, *, hertz: float = HERTZ, wait_seconds: float = WAIT_SECONDS) -> None:
        self._engine, self._name, self._hertz, self._wait_seconds = engine, name, hertz, wait_seconds
        self._over = threading.Event()
        self._samples: list[tuple[float, Mapping[str, int]]] = []
        self._reason = "the container ended before its engine was asked"
        self._thread = threading.Thread(target=self._sample, name="engine-stats", daemon=True)

    def __enter__(self) -> StatsWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=self._wait_seconds)

    @property
    def taken(self) -> Telemetry:
        """What was sampled. A sample has the time of its answer: it was read a moment before."""
        samples = tuple(self._samples)
        meters = sorted({meter for _, found in samples for meter in found})
        source = f"{self._engine.record.name} stats"
        return Telemetry(
            hertz=self._hertz,
            times=tuple(at for at, _ in samples),
            series={meter: tuple(float(found[meter]) if meter in found else None for _, found in samples) for meter in meters},
            sources=dict.fromkeys(meters, source),
            unavailable={
                meter: "this engine does not tell it" if meters else self._reason for meter in METERS if meter not in meters
            },
        )

    def _sample(self) -> None:
        due = time.monotonic()
        while len(self._samples) < MOST_SAMPLES and not self._over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + 1 / self._hertz
            try:
                found = self._engine.memory_stats(self._name)
            except EngineError as error:  # not started yet, or ended just now
                found, self._reason = {}, str(error)[:200]
            self._samples.append((time.time(), found))
