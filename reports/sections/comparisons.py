"""What each knob changes, by pairs of launches."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.compare import Comparison, NullTest
from harness.analysis.effects import Effect, Subject, effects_of, percent, says
from reports.page import Page
from reports.subjects import ENGINE, GFX, IMAGE
from reports.table import Column, Inline, Section, Table, paragraph, prose

_WHAT = (
    "Each arm differs from the base in one knob and was launched beside it in the same round, rounds alternating their direction; a pair "
    "is one round, its value the ratio of the two launches' times. Time is the geometric mean of those ratios (+ is slower) with a 95% "
    "t-interval. A change is claimed from six pairs on, where the paired t-test's p is below 5% by Holm's correction over all arms of the "
    'campaign; the sign-flip p beside it assumes no normal distribution. "Detects from" is the smallest effect that these pairs would '
    "show in 80% of the cases. A pair of which a launch failed or gave wrong output is left out."
)

WORKLOAD = Column("Workload", dispensable=5)


def section(page: Page) -> Section | None:
    effects = effects_of(page.launches)
    return Section("What knobs change", (paragraph(prose(_WHAT)), effects_table(effects))) if effects else None


def effects_table(effects: Sequence[Effect]) -> Table:
    """An arm a row."""
    return Table(
        title="What knobs change",
        answers="How much slower (+) or faster (-) is each arm than the base, over pairs of launches?",
        columns=(
            *(IMAGE, ENGINE, GFX, WORKLOAD, Column("Arm"), Column("Against"), Column("Pairs")),
            *(
                Column("Time", "right"),
                Column("95% interval"),
                Column("p", "right", dispensable=7),
                Column("p (Holm)", "right"),
            ),
            *(Column("p (sign-flip)", "right", dispensable=6), Column("Detects from", "right"), Column("Says")),
            Column("Null test here", dispensable=8),
        ),
        rows=tuple(map(_cells, effects)),
    )


def _cells(effect: Effect) -> tuple[Inline, ...]:
    found = effect.comparison
    arms = (effect.arm, effect.against, pairs_text(found.n if found else 0, effect.left_out, effect.reasons))
    said = "; ".join(filter(None, (says(found), effect.remark)))
    if found is None:
        return (*subject_cells(effect.subject), *arms, *("-",) * 6, said, _null_text(effect.null))
    tested = (p_text(found.p), p_text(found.p_holm), p_text(found.p_sign_flip), percent(found.detectable))
    measured = (signed(found.ratio - 1), interval_text(found), *tested)
    return (*subject_cells(effect.subject), *arms, *measured, said, _null_text(effect.null))


def subject_cells(subject: Subject) -> tuple[str, ...]:
    """Image, engine, GFX mode and work."""
    return subject.image, subject.engine, subject.variant, f"{subject.profile} on {subject.input}"


def signed(value: float) -> str:
    """``+2.3%``"""
    return f"{value:+.1%}" if value < 10 else "over +1000%"


def p_text(value: float | None) -> str:
    """``0.031``"""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval_text(found: Comparison) -> str:
    """``+1.2% to +3.4%``"""
    return "-" if found.low is None or found.high is None else f"{signed(found.low - 1)} to {signed(found.high - 1)}"


def pairs_text(n: int, left_out: int, reasons: Sequence[str]) -> str:
    """``6, 2 left out (2 x sdma=off: timeout)``"""
    return f"{n}, {left_out} left out ({'; '.join(reasons)})" if left_out else str(n)


def _null_text(test: NullTest | None) -> str:
    """What the machine's own null test adds to a claim."""
    if test is None:
        return "none: `bench --null`"
    least = percent(test.detectable.value) if test.detectable else "-"
    return f"n = {test.comparison.n}: {test.claims} of {test.trials} claim a change, detects from {least}"
