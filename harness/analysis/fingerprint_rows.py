"""Rows -> what their networks compute for one made-up chunk, compared bit by bit."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from harness.analysis.numeric_fingerprints import Fingerprint, compare, describe, fingerprint_of
from harness.analysis.rows import Row, by_name


class FingerprintRow(msgspec.Struct, frozen=True):
    """What one row's networks computed for the fingerprint's chunk, against what the reference row's did."""

    row: Row
    fingerprint: Fingerprint
    against: str
    """``reference`` for that row itself"""


def fingerprint_rows(rows: Iterable[Row]) -> tuple[FingerprintRow, ...]:
    """The rows that have a numeric fingerprint, each compared with the first of them that was computed on a CPU.

    A row shows its last launch, and says so where an earlier one of the same campaign computed something else.
    """
    found = {}
    for row in sorted(rows, key=by_name):
        taken = [each for launch in row.launches if (each := fingerprint_of(launch)) is not None]
        if taken:
            found[row.speaking.id] = (row, taken)
    if not found:
        return ()
    reference = next((key for key, (_, taken) in found.items() if taken[-1].device == "cpu"), next(iter(found)))
    told = []
    for key, (row, taken) in found.items():
        others = [difference for each in taken[:-1] if not (difference := compare(each, taken[-1])).identical]
        against = "reference" if key == reference else describe(compare(taken[-1], found[reference][1][-1]))
        if others:
            against += f"; its own launches {describe(others[-1])}"
        told.append(FingerprintRow(row, taken[-1], against))
    return tuple(told)
