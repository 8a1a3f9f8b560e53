"""Rows -> what each of the guest's memory meters showed."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from benchmarks.wire import MEMORY_METERS
from harness.analysis.rows import Row


class MemoryRow(msgspec.Struct, frozen=True):
    """One row's launches."""

    row: Row
    n: int
    peaks: tuple[int | None, ...]
    """Bytes in the order of `MEMORY_METERS`, the largest over launches; ``None``: unavailable in each"""
    reasons: tuple[str, ...]
    """Why meters are unavailable, each reason once; from inside the container"""


def memory_rows(rows: Iterable[Row]) -> tuple[MemoryRow, ...]:
    """The rows that have a launch whose meters were read."""
    told = []
    for row in rows:
        launches = [x for x in row.launches if x.verdict.status != "fail" and (x.memory or x.memory_unavailable)]
        if launches:
            peaks = (max((x.memory[name] for x in launches if name in x.memory), default=None) for name in MEMORY_METERS)
            reasons = (f"{name}: {reason}" for x in launches for name, reason in x.memory_unavailable.items())
            told.append(MemoryRow(row, len(launches), tuple(peaks), tuple(dict.fromkeys(reasons))))
    return tuple(told)
