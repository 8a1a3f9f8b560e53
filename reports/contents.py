"""The sections of the page, in their order. Another section is a module in `reports.sections` and its name here."""

from __future__ import annotations

import importlib

from reports.page import Page
from reports.table import Section

SECTIONS = (
    *("head", "summary", "results", "cold_and_warm", "waterfall", "cost", "repeats", "telemetry", "agreement", "guest_memory"),
    *("numeric_fingerprint", "compatibility", "what_ran", "failures", "notes", "reproduction", "comparisons", "null_test"),
    *("portable", "ladder", "calibrations", "probes", "accuracy", "kernels"),
)
"""Modules of `reports.sections`, each with a function ``section``, which gives its section of a page, or ``None`` where there is
nothing to say."""


def sections_of(page: Page) -> tuple[Section, ...]:
    """The sections that have something to say."""
    found = (importlib.import_module(f"reports.sections.{name}").section(page) for name in SECTIONS)
    return tuple(section for section in found if section is not None)
