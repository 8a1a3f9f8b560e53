"""Rows -> where the time of their launches went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from harness.analysis.rows import Row
from harness.analysis.waterfall import Waterfall, waterfall_of

LAUNCH_COLUMNS: tuple[tuple[str, tuple[tuple[str, str | None], ...]], ...] = (
    ("Container start", (("container start", None),)),
    ("Import", (("launch", None), ("import", None))),
    ("Device", (("device", None),)),
    ("Decode", (("load", "decode"),)),
    ("Load", (("load", None),)),
    ("Cold pass", (("cold", None),)),
    ("Warm passes", (("warm", None),)),
    ("Verify", (("verify", None),)),
    ("Between stages", (("between stages", None),)),
    ("Teardown", (("teardown", None),)),
)
"""Each title with the parts of `harness.analysis.waterfall` that its column sums: one part of a stage, or with ``None`` all that no
other column has. Together they are the whole launch."""

_PARTS_WITH_A_COLUMN = frozenset(part for _, parts in LAUNCH_COLUMNS for part in parts if part[1] is not None)


class Share(msgspec.Struct, frozen=True):
    """One cell: medians over launches."""

    seconds: float
    processor_seconds: float | None
    """``None``: not known"""
    share: float


class WaterfallRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row's launches, divided."""

    row: Row
    n: int
    """Launches; 0 where each has a flaw"""
    wall_seconds: float | None = None
    of_launch: tuple[Share, ...] = ()
    """In the order of `LAUNCH_COLUMNS`"""
    lowest_sum: float | None = None
    highest_sum: float | None = None
    """What the parts of a launch sum to, where 1 is its whole time: the extremes over launches"""
    pass_seconds: float | None = None
    """Time of a warm pass; ``None``: there is none"""
    of_pass: tuple[Share | None, ...] = ()
    """In the order of `pass_parts`; ``None``: no launch has such a part"""
    flaws: tuple[str, ...] = ()
    """They may hold text out of a container"""

    @property
    def pass_parts(self) -> tuple[str, ...]:
        """The parts of its workload's passes, in order."""
        return (*self.row.workload.pass_parts, "rest")


def waterfall_rows(rows: Iterable[Row]) -> tuple[WaterfallRow, ...]:
    """The rows whose launches passed and have their whole time on record, without portable builds."""
    told = []
    for row in rows:
        passed = [launch for launch in row.launches if launch.verdict.status != "fail"]
        found = [waterfall for launch in passed if (waterfall := waterfall_of(launch)) is not None]
        if found and not row.is_portable:
            told.append(_row(row, found))
    return tuple(told)


def _row(row: Row, found: Sequence[Waterfall]) -> WaterfallRow:
    whole = [waterfall for waterfall in found if waterfall.flaw is None]
    flaws = tuple(dict.fromkeys(waterfall.flaw for waterfall in found if waterfall.flaw is not None))
    if not whole:
        return WaterfallRow(row=row, n=0, flaws=flaws)
    with_passes = [waterfall for waterfall in whole if waterfall.warm_passes and waterfall.seconds("warm") > 0]
    return WaterfallRow(
        row=row,
        n=len(whole),
        wall_seconds=median(waterfall.wall_seconds for waterfall in whole),
        of_launch=tuple(_of_launch(whole, parts) for _, parts in LAUNCH_COLUMNS),
        lowest_sum=min(waterfall.share for waterfall in whole),
        highest_sum=max(waterfall.share for waterfall in whole),
        pass_seconds=median(w.seconds("warm") / w.warm_passes for w in with_passes) if with_passes else None,
        of_pass=tuple(_of_pass(with_passes, name) for name in (*row.workload.pass_parts, "rest")),
        flaws=flaws,
    )


def _of_launch(found: Sequence[Waterfall], wanted: Sequence[tuple[str, str | None]]) -> Share:
    """The medians, over launches, of the sum of some parts."""
    sums = [
        [
            part
            for part in waterfall.parts
            if (part.stage, part.name if (part.stage, part.name) in _PARTS_WITH_A_COLUMN else None) in wanted
        ]
        for waterfall in found
    ]
    return Share(
        median(sum(part.seconds for part in parts) for parts in sums),
        _median_if_known([_sum_if_known([part.processor_seconds for part in parts]) for parts in sums]),
        median(sum(part.share for part in parts) for parts in sums),
    )


def _of_pass(found: Sequence[Waterfall], name: str) -> Share | None:
    """The medians of one part of a warm pass, each launch's passes averaged; ``None`` where no launch has it."""
    having = [waterfall for waterfall in found if any((p.stage, p.name) == ("warm", name) for p in waterfall.parts)]
    if not having:
        return None
    processor = [(w.processor_seconds("warm", name), w.warm_passes) for w in having]
    return Share(
        median(w.seconds("warm", name) / w.warm_passes for w in having),
        _median_if_known([None if seconds is None else seconds / passes for seconds, passes in processor]),
        median(w.seconds("warm", name) / w.seconds("warm") for w in having),
    )


def _sum_if_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if values and len(known) == len(values) else None


def _median_if_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if values and len(known) == len(values) else None
