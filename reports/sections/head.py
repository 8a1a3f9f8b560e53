"""The first lines: when the last launch was, on which machines, and what ran."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.rows import WorkloadRows
from harness.text import counted
from reports.page import Page
from reports.sections.hardware import Machine, machines_of
from reports.sections.results import amount_text
from reports.table import Inline, Items, Section, code, paragraph, prose, strong
from reports.values import format_gib


def section(page: Page) -> Section:
    if not page.rows:
        why = "No launch in the store says how fast an image is." if page.launches else "No launch is in the store yet."
        return Section("", (paragraph(prose(f"{why} `make bench` runs the first benchmark.")),))
    last = max(launch.plan.planned_at for launch in page.launches)
    said = counted(len(page.launches), "launch", "launches")
    hosts = (row.speaking.plan.host for row in page.rows)
    return Section(
        "",
        (
            Items(
                items=(
                    (strong("Last launch"), f": {last}, {said} in the store"),
                    *(line for machine in machines_of(hosts) for line in _machine(machine)),
                    *map(_workload, page.workloads),
                )
            ),
        ),
    )


def _machine(machine: Machine) -> Iterator[Inline]:
    host = machine.host
    gpus = f"GPU {', '.join(host.gpus)}" if host.gpus else "no GPU"
    boots = f"; over {machine.boots} boots" if machine.boots > 1 else ""
    details = "".join(f"; {', '.join(machine.details)}" for _ in machine.details[:1])
    yield (
        strong("Hardware"),
        f": {host.processor or 'unknown processor'}, {host.processors} processors, {format_gib(host.memory_bytes)} of memory, {gpus}; "
        f"{host.distribution or 'unknown system'}, kernel {host.kernel}{details}{boots}",
    )
    if machine.differs:
        differs = "; ".join(machine.differs)
        why = "Rows of different machines, or of one in different states, are not to be compared"
        yield strong("Differs from the first"), f": {differs}. {why}"


def _workload(group: WorkloadRows) -> Inline:
    remark = f"; {group.remark}" if group.remark else ""
    return (
        strong("Workload"),
        f": {group.workload.profile_title.lower()} ",
        code(group.profile),
        f" on {group.input}, {amount_text(group)}{remark}",
    )
