"""Launches -> what knobs change, and what a cell against itself says about a machine. It decides which launches are a pair."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.compare import FEWEST_PAIRS, Comparison, NullTest
from harness.analysis.effects import Effect, Null, percent, says
from harness.analysis.effects import effects_of as effects_of
from harness.analysis.effects import nulls_of as nulls_of
from harness.analysis.intervals import Interval

EFFECT_COLUMNS = (
    *("Image", "Engine", "GFX", "Workload", "Arm", "Against", "Pairs", "Time", "95% interval"),
    *("p", "p (Holm)", "p (sign-flip)", "Detects from", "Says", "Null test here"),
)


def effect_cells(effect: Effect) -> tuple[str, ...]:
    """One effect as texts, under `EFFECT_COLUMNS`."""
    subject, found = effect.subject, effect.comparison
    place = (subject.image, subject.engine, subject.variant, f"{subject.pipeline} on {subject.audio}")
    arms = (effect.arm, effect.against, _pairs_text(found.n if found else 0, effect.left_out, effect.reasons))
    said = "; ".join(filter(None, (says(found), effect.remark)))
    if found is None:
        return (*place, *arms, *("-",) * 6, said, _null_text(effect.null))
    tested = (p_text(found.p), p_text(found.p_holm), p_text(found.p_sign_flip), percent(found.detectable))
    return (*place, *arms, signed(found.ratio - 1), _interval_text(found), *tested, said, _null_text(effect.null))


def null_lines(null: Null) -> tuple[tuple[str, str], ...]:
    """One null test as names and texts."""
    subject, test = null.subject, null.test
    found = test.comparison if test else None
    interval = f" ({_interval_text(found)})" if found and found.low is not None else ""
    return (
        ("Image", subject.image),
        ("Engine", subject.engine),
        ("GFX", subject.variant),
        ("Workload", f"{subject.pipeline} on {subject.audio}"),
        ("Pairs", _pairs_text(found.n if found else 0, null.left_out, null.reasons)),
        ("B against A", f"{signed(found.ratio - 1)}{interval}, p = {p_text(found.p)}" if found else "-"),
        ("Spread of a pair", ranged(test.spread) if test else "-"),
        ("Detects from, 6 pairs", ranged(test.detectable) if test else "-"),
        ("Detects from, all pairs", ranged(test.detectable_by_all) if test else "-"),
        ("False claims", f"{null.claims} of {null.trials}: {ranged(null.rate)}" if null.trials else _NO_TRIAL),
        (
            "False claims, relabelled",
            f"{ranged(test.relabelled)} of {test.relabellings}" if test and test.relabelled else _NO_TRIAL,
        ),
    )


_NO_TRIAL = f"- ({FEWEST_PAIRS} pairs make a trial)"


def signed(value: float) -> str:
    """``+2.3%``"""
    return f"{value:+.1%}" if value < 10 else "over +1000%"


def p_text(value: float | None) -> str:
    """``0.031``"""
    if value is None:
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def ranged(value: Interval | None) -> str:
    """``2.3% (1.5% to 5.7%)``"""
    return "-" if value is None else f"{percent(value.value)} ({percent(value.low)} to {percent(value.high)})"


def _interval_text(found: Comparison) -> str:
    return "-" if found.low is None or found.high is None else f"{signed(found.low - 1)} to {signed(found.high - 1)}"


def _pairs_text(n: int, left_out: int, reasons: Sequence[str]) -> str:
    return f"{n}, {left_out} left out ({'; '.join(reasons)})" if left_out else str(n)


def _null_text(test: NullTest | None) -> str:
    """What the machine's own null test adds to a claim."""
    if test is None:
        return "none: `bench --null`"
    least = percent(test.detectable.value) if test.detectable else "-"
    return f"n = {test.comparison.n}: {test.claims} of {test.trials} claim a change, detects from {least}"
