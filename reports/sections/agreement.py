"""Rows -> how far each agrees with the CPU run of the same image."""

from __future__ import annotations

from harness.analysis.agreement_rows import AgreementRow
from harness.analysis.agreement_rows import agreement_rows as agreement_rows


def format_difference(each: AgreementRow) -> str:
    """``3.1e-06 (2.4e-07 of the largest)``"""
    if each.difference is None or each.relative_difference is None:
        return "-"
    return f"{each.difference:.1e} ({each.relative_difference:.1e} of the largest), {each.sampled} values"


def format_cosine(value: float | None) -> str:
    """``0.999998``: cut, not rounded, so that only 1 is shown as 1 (up to the last bits of its arithmetic)."""
    return "-" if value is None else f"{int(value * 1_000_000 + 1e-6) / 1_000_000:.6f}"
