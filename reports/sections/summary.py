"""The fastest image of each piece of work, and what went wrong."""

from __future__ import annotations

from harness.analysis.rows import Row, WorkloadRows
from reports.page import Page
from reports.sections.results import amount_text, figure_span
from reports.subjects import unit_of
from reports.table import Inline, Items, Section, code, strong
from reports.values import format_factor, spread


def section(page: Page) -> Section | None:
    return Section("Executive summary", tuple(map(_workload, page.workloads))) if page.rows else None


def _workload(group: WorkloadRows) -> Items:
    remark = f"; {group.remark}" if group.remark else ""
    passed = sum(row.status == "pass" for row in group.rows)
    ranked = [row for row in group.rows if row.is_ranked]
    return Items(
        lead=(
            strong(f"{group.profile} on {group.input}"),
            f" ({amount_text(group)}{remark}): {passed} of {len(group.rows)} configurations pass.",
        ),
        items=(
            *([_fastest(group, ranked[0])] if ranked else []),
            *([_slowest(group, ranked[-1], ranked[0])] if len(ranked) > 1 else []),
            *(_line("Wrong output", row, row.speaking.verdict.summary) for row in group.rows if row.status == "wrong output"),
            *(
                _line("Not compared with the CPU run, so not ranked", row, row.why_not_compared)
                for row in group.rows
                if row.status == "pass" and row.why_not_compared
            ),
            *(_failure(row) for row in group.rows if row.status == "fail"),
        ),
    )


def _fastest(group: WorkloadRows, best: Row) -> Inline:
    unit = unit_of(group.workload)
    shares = [figure for figure in best.figures if figure.kind == "share" and figure.value is not None]
    as_fast = ", ".join(_name(row) for row in group.as_fast)
    return (
        *(
            strong(_fastest_title(group, best)),
            f": {_name(best)} at ",
            strong(format_factor(best.rate, unit.rate_suffix)),
            f" {unit.rate_name}, " if unit.rate_name else ", ",
        ),
        *(spread(best.seconds), f" for {unit.brief_text(group.amount)}, n = {best.seconds.n if best.seconds else 0}"),
        *(f", {figure.name} {figure_span(figure).text}" for figure in shares),
        f"; its range overlaps that of {as_fast}, so they are not told apart here" if as_fast else "",
    )


def _fastest_title(group: WorkloadRows, best: Row) -> str:
    """What is known of the fastest row's output, in words."""
    if best.launches[-1].plan.workload.highest_error is not None:
        return "Fastest that is right"
    if group.remark:
        return "Fastest"
    if all(launch.agreement is not None and launch.agreement.is_right for launch in best.launches):
        return "Fastest that agrees with the CPU run"
    return "Fastest (nothing says what is right)"


def _slowest(group: WorkloadRows, row: Row, best: Row) -> Inline:
    is_scored = best.launches[-1].plan.workload.highest_error is not None
    title = "Slowest that is right" if is_scored else "Slowest"
    rate = format_factor(row.rate, unit_of(group.workload).rate_suffix)
    return strong(title), f": {_name(row)} at {rate}, n = {row.seconds.n if row.seconds else 0}"


def _failure(row: Row) -> Inline:
    verdict = row.speaking.verdict
    known = f": {row.signature.explanation}" if row.signature else ""
    return strong("Fails"), f": {_name(row)} in ", code(verdict.stage), f", {verdict.cause}{known}"


def _line(title: str, row: Row, why: str) -> Inline:
    return strong(title), f": {_name(row)}: {why}"


def _name(row: Row) -> str:
    return f"{row.image} ({row.engine})"
