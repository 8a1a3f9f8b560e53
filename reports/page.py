"""What all sections of a page are made from, decided once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.analysis.rows import Row, WorkloadRows, by_name, rows_of, workloads_of
from harness.records.launch import Launch
from harness.records.price import NO_PRICE, Price


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Launches, and the rows that they make."""

    launches: tuple[Launch, ...]
    price: Price
    """What energy and the machine cost"""
    rows: tuple[Row, ...]
    """Without portable builds, which are nobody's result"""
    portable_rows: tuple[Row, ...]
    """By name"""
    workloads: tuple[WorkloadRows, ...]
    """The rows, by what they ran"""

    @property
    def title(self) -> str:
        """Names what has rows."""
        subjects = " and ".join(dict.fromkeys(group.workload.subject or group.workload.name for group in self.workloads))
        return f"{subjects[:1].upper()}{subjects[1:]} benchmarks" if subjects else "Benchmarks"

    @property
    def rows_by_name(self) -> tuple[Row, ...]:
        return tuple(sorted(self.rows, key=by_name))


def page_of(launches: Sequence[Launch], price: Price = NO_PRICE) -> Page:
    """What a page of these launches is made from."""
    every_row = rows_of(launches)
    rows = tuple(row for row in every_row if not row.is_portable)
    return Page(
        launches=tuple(launches),
        price=price,
        rows=rows,
        portable_rows=tuple(sorted((row for row in every_row if row.is_portable), key=by_name)),
        workloads=workloads_of(rows),
    )
