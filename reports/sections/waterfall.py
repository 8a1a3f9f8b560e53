"""Rows -> where the time of their launches went, as a page shows it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.waterfall_rows import LAUNCH_COLUMNS as LAUNCH_COLUMNS
from harness.analysis.waterfall_rows import Share, WaterfallRow
from harness.analysis.waterfall_rows import waterfall_rows as waterfall_rows


def by_parts(rows: Iterable[WaterfallRow]) -> dict[tuple[str, ...], list[WaterfallRow]]:
    """The rows that have a warm pass, by the parts of one: each group is a table."""
    found: dict[tuple[str, ...], list[WaterfallRow]] = {}
    for row in rows:
        if row.pass_seconds is not None:
            found.setdefault(row.pass_parts, []).append(row)
    return found


def share_text(share: Share | None) -> str:
    """``1.23 s (45%, CPU 2.40 s)``"""
    if share is None:
        return "-"
    processor = "" if share.processor_seconds is None else f", CPU {share.processor_seconds:.2f} s"
    return f"{share.seconds:.2f} s ({share.share:.0%}{processor})"


def sum_text(row: WaterfallRow) -> str:
    """``100.0%``, or from the lowest to the highest."""
    if row.lowest_sum is None or row.highest_sum is None:
        return "-"
    low, high = f"{row.lowest_sum:.1%}", f"{row.highest_sum:.1%}"
    return low if low == high else f"{low} to {high}"
