"""How many launches a row has and why no more, which of them are odd, and how warm the machine was when they began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.repeats import RepeatRow, odd_text, repeat_rows
from harness.analysis.stopping import percent, relative_half_width, rule_text
from harness.records.plan import CoolDown
from harness.text import counted
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells, work_columns
from reports.table import Column, Section, Table, paragraph, prose

_WHAT = (
    "The rule that ended each row's launches. Outliers (a modified z-score above 6, of six launches or more) and two heaps (a gap wider "
    "than either heap, of ten or more) are named and none is left out. A cool-down waits until no thermometer is more than 3 °C above the "
    "campaign's start."
)

_HEADS = ("n", "95% half-width", "Asked for", "Ended since", "Odd", "Cool-down")


def section(page: Page) -> Section | None:
    rows = repeat_rows(page.launches)
    return Section("How many launches", (paragraph(prose(_WHAT)), repeats_table(rows))) if rows else None


def repeats_table(rows: Sequence[RepeatRow]) -> Table:
    return Table(
        title="How many launches",
        answers="How many launches were made, why no more, and were any of them odd?",
        columns=(*SUBJECT, work_columns([each.row for each in rows])[1], *map(Column, _HEADS)),
        rows=tuple(map(_cells, rows)),
    )


def _cells(each: RepeatRow) -> tuple[str, ...]:
    row, launches = each.row, each.row.launches
    width = relative_half_width(row.seconds)
    return (
        *subject_cells(row.speaking),
        row.speaking.plan.workload.input,
        f"{row.seconds.n if row.seconds else 0} of {len(launches)}",
        "-" if width is None else f"±{percent(width)}",
        rule_text(each.rule),
        each.ended,
        odd_text(launches) or "-",
        cool_down_text([launch.plan.cool_down for launch in launches if launch.plan.cool_down is not None]) or "off",
    )


def cool_down_text(waits: Iterable[CoolDown]) -> str:
    """How long launches waited, and for what, in words; empty where none had to wait."""
    waits = tuple(waits)
    if not waits:
        return ""
    if all(each.outcome == "no thermometer" for each in waits):
        return "no thermometer"
    waited = sum(each.waited_seconds for each in waits)
    late = [each for each in waits if each.outcome == "time is up"]
    said = [f"waited {waited:.0f} s in {counted(len(waits), 'launch', 'launches')}"]
    if late:
        above = [
            each.after_celsius[name] - start
            for each in late
            for name, start in each.start_celsius.items()
            if name in each.after_celsius
        ]
        said.append(f"{len(late)} began too warm" + (f", by up to {max(above):.0f} °C" if above else ""))
    lacking = sum(each.outcome == "no thermometer" for each in waits)
    return ", ".join([*said, f"{lacking} without a thermometer"] if lacking else said)
