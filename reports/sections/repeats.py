"""Launches -> how many a row has and why no more, which of them are odd, and how warm the machine was when they began."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.repeats import RepeatRow, odd_text
from harness.analysis.repeats import repeat_rows as repeat_rows
from harness.analysis.stopping import percent, relative_half_width, rule_text
from harness.records.plan import CoolDown
from harness.text import counted

REPEAT_COLUMNS = ("Image", "Engine", "GFX", "Audio", "n", "95% half-width", "Asked for", "Ended since", "Odd", "Cool-down")


def repeat_cells(each: RepeatRow) -> tuple[str, ...]:
    """One row under `REPEAT_COLUMNS`, as plain text."""
    row, plan = each.row, each.row.speaking.plan
    width = relative_half_width(row.seconds)
    return (
        row.image,
        row.engine,
        plan.variant,
        plan.workload.input,
        f"{row.seconds.n if row.seconds else 0} of {len(row.launches)}",
        "-" if width is None else f"±{percent(width)}",
        rule_text(each.rule),
        each.ended,
        odd_text(row.launches) or "-",
        cool_down_text([launch.plan.cool_down for launch in row.launches if launch.plan.cool_down is not None]) or "off",
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
