"""Launches -> the rows that pages show. The only place that decides which launches speak for a cell."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.wire import STAGES
from harness.analysis.intervals import Estimate
from harness.analysis.rows import Row, WorkloadRows
from harness.analysis.rows import workloads_of as workloads_of


def workload_title(workload: WorkloadRows) -> str:
    """Profile and input, with a remark where the output means nothing."""
    remark = f"; {workload.remark}" if workload.remark else ""
    return f"{workload.profile} on {workload.input}: {amount_text(workload)}{remark}"


def amount_text(workload: WorkloadRows) -> str:
    """``30.0 s of audio``"""
    unit = workload.workload.unit
    return unit.text(workload.amount) if unit else f"{workload.amount:g}"


def stage_marks(row: Row) -> tuple[str, ...]:
    """How the row did in each stage: ✅ passed, ❌ failed here, ⚠️ ran to its end with wrong output, · not reached."""
    verdict = row.speaking.verdict
    reached = STAGES.index(verdict.stage) if verdict.stage in STAGES else 0
    mark = {"pass": "✅", "wrong output": "⚠️"}.get(verdict.status, "❌")
    return (*["✅"] * reached, mark, *["·"] * (len(STAGES) - reached - 1))


def struck(text: str, is_struck: bool) -> str:
    """A figure, struck through in Markdown where its output was wrong."""
    return f"~~{text}~~" if is_struck and text != "-" else text


def with_spread(value: Estimate, show: Callable[[float], str], unit: str = "") -> str:
    """``2.05 s [1.98, 2.11]``: the median, then an interval in brackets or mere extremes in parentheses."""
    middle, inner = f"{show(value.median)}{unit}", f"{show(value.low)}, {show(value.high)}"
    if value.n == 1:
        return middle
    return f"{middle} [{inner}]" if value.is_interval else f"{middle} ({inner})"


def status_text(row: Row) -> str:
    """The status in a few words: what failed, and in how many launches."""
    verdict = row.speaking.verdict
    words = {"pass": "PASS", "wrong output": "WRONG OUTPUT"}.get(row.status) or f"FAIL: {verdict.cause}"
    if row.status == "pass" and row.why_not_compared:
        words += ", not compared with the CPU"
    failed = sum(launch.verdict.status != "pass" for launch in row.launches)
    return f"{words} ({failed} of {len(row.launches)})" if 0 < failed < len(row.launches) else words
