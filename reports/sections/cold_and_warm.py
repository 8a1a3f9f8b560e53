"""The first pass of an empty kernel cache, the first of a full one, and the passes after it."""

from __future__ import annotations

from harness.analysis.cold_and_warm_rows import ColdAndWarmRow, cold_and_warm_rows
from harness.text import counted
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells, work_cells, work_columns
from reports.table import Column, Inline, Section, Table, paragraph, prose, strong
from reports.values import count, number, seconds, spread

_WHAT = (
    "**Cold** is the first pass of a launch whose kernel cache was empty, **second launch** the first pass of one whose cache the same "
    "work had filled before (`bench --caches keep`), **steady** a launch's median warm pass; which a launch was, the recorded state of "
    "its cache says. Result is the time from the order to start to the end of the first pass. A cache is dead where a second launch "
    "saves less than a fifth of what a cold first pass takes beyond a steady one. Launches with wrong output are in none of these; "
    "where there is no other, theirs are struck through."
)

_HEADS = (
    *(
        Column("Cold"),
        Column("n", "right"),
        Column("Second launch"),
        Column("n", "right"),
        Column("Steady"),
        Column("n", "right"),
    ),
    *(Column("Result cold", "right"), Column("Result second", "right"), Column("Cold adds"), Column("Second adds")),
    Column("Kernel cache"),
)


def section(page: Page) -> Section | None:
    rows = cold_and_warm_rows(page.rows_by_name, page.launches)
    if not rows:
        return None
    table = Table(
        title="Cold, second launch, steady",
        answers="What does the first pass cost, and does a kept kernel cache save it?",
        columns=(*SUBJECT, *work_columns([each.row for each in rows]), *_HEADS),
        rows=tuple(map(_cells, rows)),
    )
    return Section(table.title, (paragraph(prose(_WHAT)), table))


def _cells(each: ColdAndWarmRow) -> tuple[Inline, ...]:
    times, is_struck = each.times, each.is_struck
    three = (
        (spread(time, is_struck=is_struck), count(time.n if time else 0)) for time in (times.cold, times.second, times.steady)
    )
    results = (times.cold_result_seconds, times.second_result_seconds)
    return (
        *subject_cells(each.row.speaking),
        *work_cells(each.row),
        *(cell for pair in three for cell in pair),
        *(seconds(result, is_struck=is_struck) for result in results),
        number(_growth_text(times.cold_growth)),
        number(_growth_text(times.second_growth)),
        _health(each),
    )


def _growth_text(growth: tuple[float, float] | None) -> str:
    """``+12 files, +3.4 MiB``; a dash where it was not counted."""
    return "-" if growth is None else f"{growth[0]:+.0f} files, {growth[1] / 2**20:+.1f} MiB"


def _health(each: ColdAndWarmRow) -> Inline:
    """Whether the cache works, and how many launches tell nothing about it."""
    health, others = each.times.health, each.times.others
    neither = f"; {counted(others, 'launch', 'launches')} began with a cache that other work had filled, and "
    neither += "is in neither" if others == 1 else "are in neither"
    return (*(("⚠️ ", strong("dead"), ": ") if health.is_alarm else ()), health.text, neither if others else "")
