"""What is known about each configuration that did not pass."""

from __future__ import annotations

from harness.analysis.rows import Row
from harness.failures.signature import Signature
from harness.records.launch import Launch
from reports.page import Page
from reports.status import broken_imports, status_text
from reports.table import Block, Items, Listing, Section, Span, code, paragraph, strong

MOST_LOG_CHARACTERS = 2_000


def section(page: Page) -> Section | None:
    failing = [row for row in page.rows_by_name if row.status != "pass"]
    return Section("Error details", tuple(map(failure_section, failing))) if failing else None


def failure_section(row: Row) -> Section:
    """One configuration: what failed where, what is known of it, and the evidence."""
    launch, plan, verdict = row.speaking, row.speaking.plan, row.speaking.verdict
    what = f"{row.image} ({row.engine}, {plan.variant}, {plan.workload.profile} on {plan.workload.input})"
    blocks: list[Block] = [
        paragraph(("Launch ", code(launch.id), f": {status_text(row)} in stage ", code(verdict.stage), f". {verdict.summary}"))
    ]
    if row.signature:
        blocks.append(Items(items=known_failure(row.signature)))
    elif verdict.status == "fail" and verdict.cause != "interrupted":
        blocks.append(paragraph("No known failure signature matches."))
    broken = tuple(("import ", code(name), f" failed: {cause}") for name, cause in broken_imports(launch))
    blocks += [Items(items=broken)] if broken else []
    evidence = chain_text(launch) or launch.log_tail[-MOST_LOG_CHARACTERS:]
    return Section(what, (*blocks, *([Listing(evidence)] if evidence else [])))


def known_failure(signature: Signature) -> tuple[tuple[str | Span, ...], ...]:
    """What a known failure is, how to mend it, and who says so."""
    return (
        (strong("Known as"), " ", code(signature.id), f": {signature.explanation}"),
        (strong("Fix"), f": {signature.fix}"),
        (strong("Source"), ": ", Span(signature.source, "source")),
    )


def chain_text(launch: Launch) -> str:
    """The exception chain for a person: the outermost first, each with its deepest frame."""
    lines = []
    for number, link in enumerate(launch.chain):
        lines.append(f"{'caused by ' if number else ''}{link.type}: {link.message}")
        if link.where:
            lines.append(f"    at {link.where}")
    return "\n".join(lines)
