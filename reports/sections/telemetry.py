"""What the host saw of each row: power, energy, cost, throttling and memory, each with the name of its meter."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.energy import Memory
from harness.analysis.intervals import Estimate
from harness.analysis.telemetry_rows import TelemetryRow, telemetry_rows, unavailable_meters
from harness.records.price import Price
from harness.workloads.workload import Unit
from reports.page import Page
from reports.subjects import SUBJECT, by_workload, subject_cells, unit_of
from reports.table import Block, Column, Inline, Items, Section, Span, Table, code, joined, paragraph, prose
from reports.values import count, format_gib, number, with_spread


def section(page: Page) -> Section | None:
    rows = telemetry_rows(page.rows_by_name, page.launches, page.price)
    if not rows:
        return None
    tables = tuple(
        _table(unit_of(workload), each, page.price) for workload, each in by_workload(rows, lambda each: each.row.workload)
    )
    unavailable = tuple(
        (*joined(tuple(map(code, meters))), f" ({', '.join(images)}): {reason}")
        for reason, (meters, images) in unavailable_meters(rows).items()
    )
    rest: tuple[Block, ...] = (paragraph("Unavailable, which is not zero:"), Items(items=unavailable)) if unavailable else ()
    return Section("What the host saw", (paragraph(prose(_what(rows, page.price))), *tables, *rest))


def _what(rows: Sequence[TelemetryRow], price: Price) -> str:
    prices = _prices_text(price)
    said = f"; the cost is at {prices}" if prices else ""
    portions = " or ".join(dict.fromkeys(unit_of(each.row.workload).portion_title for each in rows))
    return (
        "Sampled on the host, twice a second; fdinfo and KFD, which are slow to read, every two seconds. Power is the mean over the warm "
        f"passes, energy that of {portions} with the idle host's share subtracted where it was sampled: the median over n launches, "
        f"with (the extremes){said}. An APU's socket power is that of processor and graphics together. A memory meter's rise or drop is "
        "the whole host's, and peaks between two samples are missed."
    )


def _table(unit: Unit, rows: Sequence[TelemetryRow], price: Price) -> Table:
    has_prices = bool(_prices_text(price))
    return Table(
        title="What the host saw",
        answers="How much power, energy and memory did each image take, and was the machine throttled?",
        columns=(
            *(
                *SUBJECT,
                Column("Workload"),
                Column("Power"),
                Column("Idle", "right"),
                Column(f"Energy of {unit.portion_head}"),
            ),
            *([Column(f"Cost of {unit.portion_head}")] if has_prices else []),
            *(Column("n", "right"), Column("Meter"), Column("Marks"), Column("Memory")),
        ),
        rows=tuple(_cells(each, has_prices=has_prices) for each in rows),
    )


def _cells(each: TelemetryRow, *, has_prices: bool) -> tuple[Inline, ...]:
    workload, is_struck = each.row.speaking.plan.workload, each.row.is_struck
    idle = "not sampled" if each.watts else "-"
    return (
        *subject_cells(each.row.speaking),
        f"{workload.profile} on {workload.input}",
        number(with_spread(each.watts, "{:.1f}".format, " W")) if each.watts else f"unavailable: {each.why_no_energy}",
        number(idle if each.idle_watts is None else f"{each.idle_watts:.1f} W"),
        _spread(each.joules, 1e-3, 1, " kJ", is_struck=is_struck),
        *([_spread(each.cost, 1.0, 5, "", is_struck=is_struck)] if has_prices else []),
        count(each.watts.n if each.watts else len(each.row.launches)),
        (code(each.meter), f", {each.samples} samples or more") if each.meter else "-",
        "; ".join(each.marks) or "-",
        ", ".join(map(_memory_text, each.memory)) or "-",
    )


def _spread(value: Estimate | None, scale: float, digits: int, unit: str, *, is_struck: bool) -> Span:
    """``21.6 kJ (21.1, 22.0)``"""
    text = "-" if value is None else with_spread(value, lambda each: f"{each * scale:.{digits}f}", unit)
    return number(text, is_struck=is_struck)


def _memory_text(memory: Memory) -> str:
    """``VRAM rose by 1.20 GiB``, ``VRAM rose by at least 1.20 GiB (why)``"""
    size = format_gib(memory.bytes)
    return f"{memory.meter} at least {size} ({memory.gap})" if memory.gap else f"{memory.meter} {size}"


def _prices_text(price: Price) -> str:
    """The prices in words; empty where none is given."""
    told = [(price.per_kwh, "a kWh"), (price.per_hour, "an hour of the machine")]
    return " and ".join(f"{value:g} {unit}" for value, unit in told if value is not None)
