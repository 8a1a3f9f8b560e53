"""Where the time of a launch, and of a pass, goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.rows import Row
from harness.analysis.waterfall_rows import LAUNCH_COLUMNS, Share, WaterfallRow, waterfall_rows
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells, work_cells, work_columns
from reports.table import Column, Inline, Items, Section, Table, paragraph, prose
from reports.values import count, number, seconds

_WHAT = (
    "A launch from the order to start until its container is gone, and one warm pass; the device is waited for at each border. Each "
    "cell is the median over launches with its share of the whole; the parts of one launch sum to its whole, medians need not. CPU is "
    "processor time over all threads. {parts}The whole is struck through where output was wrong."
)


def section(page: Page) -> Section | None:
    rows = waterfall_rows(page.rows_by_name)
    if not rows:
        return None
    tables = [table for table in (_launch_table(rows), *map(_pass_table, _by_parts(rows))) if table.rows]
    explained = dict.fromkeys(each.row.workload.parts_explanation for each in rows)
    what = _WHAT.format(parts="".join(f"{sentence} " for sentence in explained if sentence))
    flaws = tuple(_flaw(each.row, flaw) for each in rows for flaw in each.flaws)
    return Section("Where the time goes", (paragraph(prose(what)), *tables, *([Items(items=flaws)] if flaws else [])))


def _flaw(row: Row, flaw: str) -> str:
    return f"{row.image} ({row.engine}): a launch's time cannot be divided, as its journal cannot be true: {flaw}"


def _launch_table(rows: Sequence[WaterfallRow]) -> Table:
    return Table(
        title="Where the time of a launch goes",
        answers="How much of a launch is start, import and load, and how much is work?",
        columns=(*_columns(rows, "Whole"), *(Column(title) for title, _ in LAUNCH_COLUMNS), Column("Sum", "right")),
        rows=tuple(
            (*_whole(each, each.wall_seconds), *map(_part, each.of_launch), number(sum_text(each))) for each in rows if each.n
        ),
    )


def _pass_table(rows: Sequence[WaterfallRow]) -> Table:
    return Table(
        title="Where the time of a pass goes",
        answers="Which part of the work takes the time of a warm pass?",
        columns=(*_columns(rows, "Warm pass"), *(Column(title.capitalize()) for title in rows[0].pass_parts)),
        rows=tuple((*_whole(each, each.pass_seconds), *map(_part, each.of_pass)) for each in rows),
    )


def _by_parts(rows: Iterable[WaterfallRow]) -> Iterable[Sequence[WaterfallRow]]:
    """The rows that have a warm pass, by the parts of one."""
    found: dict[tuple[str, ...], list[WaterfallRow]] = {}
    for row in rows:
        if row.pass_seconds is not None:
            found.setdefault(row.pass_parts, []).append(row)
    return found.values()


def _columns(rows: Sequence[WaterfallRow], whole: str) -> tuple[Column, ...]:
    return (*SUBJECT, *work_columns([each.row for each in rows]), Column("Launches", "right"), Column(whole, "right"))


def _whole(each: WaterfallRow, whole: float | None) -> tuple[Inline, ...]:
    return (
        *subject_cells(each.row.speaking),
        *work_cells(each.row),
        count(each.n),
        seconds(whole, is_struck=each.row.is_struck),
    )


def _part(share: Share | None) -> Inline:
    return number(share_text(share))


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
