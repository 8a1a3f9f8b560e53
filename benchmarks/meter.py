"""Seconds and processors, as this process sees them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.wire import processor_seconds


def usable_processors(cgroup: str = "/sys/fs/cgroup") -> int:
    """How many processors this process may use: the affinity mask, cut by a cgroup v2 or v1 quota."""
    count = len(os.sched_getaffinity(0))
    for quota_seconds in (_quota_v2(Path(cgroup)), _quota_v1(Path(cgroup))):
        if quota_seconds is not None:
            count = min(count, max(1, int(quota_seconds)))
    return count


def synchroniser(device: str) -> Callable[[], None]:
    """The function to call at a border between two timed parts, so that queued kernels are counted where they belong."""
    if device == "cpu":
        return lambda: None
    import torch

    return lambda: torch.cuda.synchronize()


class Stopwatch:
    """Wall and processor seconds since it was made, in total and by named part."""

    def __init__(self, synchronise: Callable[[], None]) -> None:
        self._synchronise = synchronise
        synchronise()
        self._wall = self._border = time.perf_counter()
        self._processor = self._processor_border = processor_seconds()
        self.parts: dict[str, float] = {}
        self.processor_parts: dict[str, float] = {}

    def border(self, part: str) -> None:
        """Count the time since the last border as ``part``."""
        self._synchronise()
        now, processor = time.perf_counter(), processor_seconds()
        self.parts[part] = self.parts.get(part, 0.0) + now - self._border
        self.processor_parts[part] = self.processor_parts.get(part, 0.0) + processor - self._processor_border
        self._border, self._processor_border = now, processor

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call`` with its time counted as ``part``; the time since the last border is ``rest``."""

        def timed_call(*arguments: Any, **named: Any) -> Any:
            self.border("rest")
            try:
                return call(*arguments, **named)
            finally:
                self.border(part)

        return timed_call

    def stop(self) -> dict[str, Any]:
        """``seconds``, ``processor_seconds``, ``parts`` and ``processor_parts``. Time that no border claimed is ``rest``, so the
        parts sum to the whole."""
        self.border("rest")
        return {
            "seconds": self._border - self._wall,
            "processor_seconds": self._processor_border - self._processor,
            "parts": self.parts,
            "processor_parts": self.processor_parts,
        }


def _quota_v2(cgroup: Path) -> float | None:
    """Processors that cpu.max allows."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return None


def _quota_v1(cgroup: Path) -> float | None:
    """Processors that cpu.cfs_quota_us allows."""
    try:
        quota = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text())
        period = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 else None
