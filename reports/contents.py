"""The sections of the page, in their order. Another section is a module in `reports.sections` and a line here."""

from __future__ import annotations

from collections.abc import Callable

from reports.page import Page
from reports.sections import (
    accuracy,
    agreement,
    calibrations,
    cold_and_warm,
    comparisons,
    compatibility,
    cost,
    failures,
    guest_memory,
    head,
    kernels,
    ladder,
    notes,
    null_test,
    numeric_fingerprint,
    portable,
    probes,
    repeats,
    reproduction,
    results,
    summary,
    telemetry,
    waterfall,
    what_ran,
)
from reports.table import Section

SECTIONS: tuple[Callable[[Page], Section | None], ...] = (
    head.section,
    summary.section,
    results.section,
    cold_and_warm.section,
    waterfall.section,
    cost.section,
    repeats.section,
    telemetry.section,
    agreement.section,
    guest_memory.section,
    numeric_fingerprint.section,
    compatibility.section,
    what_ran.section,
    failures.section,
    notes.section,
    reproduction.section,
    comparisons.section,
    null_test.section,
    portable.section,
    ladder.section,
    calibrations.section,
    probes.section,
    accuracy.section,
    kernels.section,
)
"""Each gives its section of a page, or ``None`` where there is nothing to say."""


def sections_of(page: Page) -> tuple[Section, ...]:
    """The sections that have something to say."""
    return tuple(found for section in SECTIONS if (found := section(page)) is not None)
