"""Drives a workload whose passes are timed, through ``load``, ``cold``, ``warm`` and ``verify``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from benchmarks import memory
from benchmarks.wire import MEASURED_STAGES, Journal, Request
from benchmarks.workloads import Stage


class Measured(Protocol):
    """What such a workload can do. What each method returns is journaled."""

    def load(self) -> dict[str, Any]:
        """Read what is needed and move it to the device; returns ``parts`` and ``processor_parts`` (see `benchmarks.meter`) and
        whatever else the end of ``load`` should tell."""

    def run(self) -> dict[str, Any]:
        """One pass; returns what `benchmarks.meter.Stopwatch.stop` gives."""

    def verify(self) -> dict[str, Any]:
        """What came out of the passes, for the host to judge."""


def stages(request: Request, make: Callable[[Request, Journal], Measured]) -> tuple[Stage, ...]:
    """The stages of a workload that ``make`` makes when ``load`` begins."""
    driver = _Driver(request, make)
    return tuple(zip(MEASURED_STAGES, (driver.load, driver.cold, driver.warm, driver.verify), strict=True))


class _Driver:
    """One launch of a measured workload."""

    def __init__(self, request: Request, make: Callable[[Request, Journal], Measured]) -> None:
        self._request = request
        self._make = make
        self._workload: Measured

    def load(self, journal: Journal) -> dict[str, Any]:
        self._workload = self._make(self._request, journal)
        return self._workload.load()

    def cold(self, journal: Journal) -> dict[str, Any]:
        """The first pass, which may compile kernels."""
        journal.write("pass", stage="cold", index=0, **self._workload.run())
        return {"peak_resident_bytes": memory.peak_resident_bytes(), **memory.read_meters(self._request.device)}

    def warm(self, journal: Journal) -> dict[str, Any]:
        """As many further passes as were asked for."""
        for index in range(self._request.warm_passes):
            journal.write("pass", stage="warm", index=index, **self._workload.run())
        return {
            "peak_resident_bytes": memory.peak_resident_bytes(),
            **memory.torch_peaks(self._request.device),
            **memory.read_meters(self._request.device),
        }

    def verify(self, journal: Journal) -> dict[str, Any]:
        return self._workload.verify()
