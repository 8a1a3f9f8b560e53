"""A cell against itself: how far this machine can tell two things apart."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.compare import FEWEST_PAIRS
from harness.analysis.effects import Null, nulls_of, percent
from harness.analysis.intervals import Interval
from reports.page import Page
from reports.sections.comparisons import WORKLOAD, interval_text, p_text, pairs_text, signed, subject_cells
from reports.subjects import ENGINE, GFX, IMAGE
from reports.table import Column, Section, Table, paragraph, prose

_WHAT = (
    'A cell against itself on this machine: two arms that differ in nothing, launched in the same alternating order. "False claims" '
    "counts how often the rule above claimed a change in separate blocks of six pairs, over all null tests of that cell and host, with an "
    'exact interval. "Relabelled" swaps the two arms inside the pairs of the latest test in every way. It sits near 5% by construction, '
    "since the swapping itself makes A and B alike: it is a check of the rule on noise spread as here, not this machine's rate of false "
    'claims. "Detects from" is the smallest effect that would show in 80% of the cases. These launches are in no other table.'
)

_NO_TRIAL = f"- ({FEWEST_PAIRS} pairs make a trial)"


def section(page: Page) -> Section | None:
    nulls = nulls_of(page.launches)
    return Section("Null test", (paragraph(prose(_WHAT)), nulls_table(nulls))) if nulls else None


def nulls_table(nulls: Sequence[Null]) -> Table:
    """A cell a row."""
    return Table(
        title="Null test: a cell against itself",
        answers="How large must an effect be to show here, and how often is one claimed where there is none?",
        columns=(
            *(IMAGE, ENGINE, GFX, WORKLOAD, Column("Pairs"), Column("B against A"), Column("Spread of a pair")),
            *(Column("Detects from, 6 pairs"), Column("Detects from, all pairs")),
            *(Column("False claims"), Column("False claims, relabelled")),
        ),
        rows=tuple(map(_cells, nulls)),
    )


def _cells(null: Null) -> tuple[str, ...]:
    test = null.test
    found = test.comparison if test else None
    interval = f" ({interval_text(found)})" if found and found.low is not None else ""
    return (
        *subject_cells(null.subject),
        pairs_text(found.n if found else 0, null.left_out, null.reasons),
        f"{signed(found.ratio - 1)}{interval}, p = {p_text(found.p)}" if found else "-",
        _ranged(test.spread if test else None),
        _ranged(test.detectable if test else None),
        _ranged(test.detectable_by_all if test else None),
        f"{null.claims} of {null.trials}: {_ranged(null.rate)}" if null.trials else _NO_TRIAL,
        f"{_ranged(test.relabelled)} of {test.relabellings}" if test and test.relabelled else _NO_TRIAL,
    )


def _ranged(value: Interval | None) -> str:
    """``2.3% (1.5% to 5.7%)``"""
    return "-" if value is None else f"{percent(value.value)} ({percent(value.low)} to {percent(value.high)})"
