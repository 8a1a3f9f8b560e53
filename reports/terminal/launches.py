"""Rows as a table on the terminal, and what else is printed about launches."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.analysis.agreement_rows import agreement_rows
from harness.analysis.costs import cost_rows
from harness.analysis.effects import effects_of, nulls_of
from harness.analysis.image_variables import not_of_plan, text_of
from harness.analysis.numeric_fingerprints import fingerprint_of
from harness.analysis.repeats import repeat_rows
from harness.analysis.rows import Row, rows_of, workloads_of
from harness.analysis.stopping import rule_text, stop_text
from harness.analysis.throttling import signs_of_throttling
from harness.records.launch import Launch
from harness.records.plan import Purpose
from harness.text import counted, spelled_out
from harness.workloads.workload import workload_of
from reports import tables
from reports.markdown.render import format_factor, format_percent, format_seconds, format_spread
from reports.memory import memory_text
from reports.sections.agreement import format_cosine, format_difference
from reports.sections.comparisons import EFFECT_COLUMNS, effect_cells, null_lines
from reports.sections.cost import COST_COLUMNS, cost_cells
from reports.sections.repeats import REPEAT_COLUMNS, cool_down_text, repeat_cells
from reports.sections.results import chain_text
from reports.terminal.table import print_table

if TYPE_CHECKING:
    from harness.analysis.relaxation_trials import Trial
    from harness.doctor.finding import Finding

_RESULTS = ("Image", "Engine", "PyTorch", "GFX", "Time", "Realtime", "n", "Cold", "Load", "Speakers", "DER", "Memory", "Status")


def print_results(launches: Sequence[Launch], *, stored: Sequence[Launch] = ()) -> None:
    """The results table of some launches, to stdout; ``stored`` may hold calibrations of their images."""
    for number, workload in enumerate(workloads_of(rows_of(launches, stored=stored))):
        if number:
            print()
        print_table(tables.workload_title(workload), _RESULTS, [_cells(row) for row in workload.rows])
    costs = cost_rows(launches)
    if costs:
        print()
        print_table("fixed and marginal cost", COST_COLUMNS, [cost_cells(row) for row in costs])
    repeats = [row for row in repeat_rows(launches) if row.is_worth_saying]
    if repeats:
        print()
        print_table("how many launches, and why no more", REPEAT_COLUMNS, [repeat_cells(row) for row in repeats])


def print_comparisons(launches: Sequence[Launch]) -> None:
    """What knobs changed in some launches, and what a cell against itself says about this machine, to stdout."""
    effects = effects_of(launches)
    if effects:
        print()
        title = "effects: + is slower; a pair is one round, a change is claimed from six pairs on"
        print_table(title, EFFECT_COLUMNS, [effect_cells(effect) for effect in effects])
    for null in nulls_of(launches):
        print()
        print_table(f"null test: {null.subject.cell} against itself", ("What", "Found"), null_lines(null))


def print_caches(rows: Sequence[tuple[str, ...]]) -> None:
    """Kept kernel caches, to stdout."""
    print_table("kernel caches", ("Cache", "Engine", "Driver", "Files", "Size", "Remark"), rows)


def print_built(rows: Sequence[tuple[str, ...]]) -> None:
    """Images that we built, to stdout."""
    print_table("built images", ("Image", "Engine", "Recipe", "Size", "Created", "Last used"), rows)


def print_agreements(launches: Sequence[Launch], *, purpose: Purpose = "result") -> None:
    """How launches agree with the CPU run, to stdout; nothing where all are CPU runs, unless `verify` made them."""
    of_rows = rows_of(launches, purpose=purpose)
    rows = [
        (
            each.row.image,
            each.row.engine,
            each.row.speaking.plan.variant,
            format_percent(each.der),
            each.speakers_text,
            format_cosine(each.cosine),
            format_difference(each),
            str(each.n),
            each.said,
        )
        for each in agreement_rows(of_rows, with_cpu_runs=purpose == "verify")
    ]
    if rows:
        print()
        columns = ("Image", "Engine", "GFX", "DER", "Speakers", "Cosine", "Largest difference", "n", "Agreement")
        print_table("agreement with the CPU run of the same image", columns, rows)


def print_trials(image: str, trials: Sequence[Trial]) -> None:
    """Which relaxations an image needs, to stdout."""
    rows = [(trial.flags, trial.need, trial.because) for trial in trials]
    print_table(f"{image}: each relaxation left out alone, and the least alone", ("Left out", "Result", "Because"), rows)


def print_launch(launch: Launch) -> None:
    """One launch for a person."""
    verdict, plan = launch.verdict, launch.plan
    lines = {
        "launch": launch.id,
        "cell": plan.cell,
        "when": plan.planned_at,
        "engine": f"{plan.engine.name} {plan.engine.version or ''}{' rootless' if plan.engine.rootless else ''}",
        "image id": plan.image.id or "-",
        "torch": launch.torch_version or "-",
        "verdict": f"{verdict.status}{f': {verdict.cause}' if verdict.cause else ''} in {verdict.stage} {verdict.summary}",
        "import": format_seconds(launch.import_seconds),
        "load": format_seconds(launch.load_seconds),
        "cold": ", ".join(map(format_seconds, launch.pass_seconds("cold"))) or "-",
        "warm": ", ".join(map(format_seconds, launch.pass_seconds("warm"))) or "-",
        "DER": workload_of(plan).remark(plan.workload) or format_percent(launch.der),
        "command": shlex.join(plan.command) or "-",
    }
    others = not_of_plan(launch)
    if others:
        lines["image ENV"] = spelled_out("; ".join(text_of(name, value) for name, value in others.items()))
    if launch.remarks:
        lines["remarks"] = spelled_out("; ".join(launch.remarks))
    if plan.device != "cpu" and verdict.status == "fail" and (launch.kernel_log or launch.kernel_log_refused):
        lines["kernel"] = launch.kernel_log.splitlines()[-1] if launch.kernel_log else f"not read: {launch.kernel_log_refused}"
    if plan.stopping is not None and launch.decision is not None:
        lines["launches"] = f"{rule_text(plan.stopping)}; {stop_text(plan.stopping, launch.decision) or 'go on'}"
    if plan.cool_down is not None:
        lines["cool-down"] = cool_down_text([plan.cool_down])
    if launch.agreement is not None:
        found = launch.agreement
        lines["agreement"] = "; ".join(found.reasons) or (f"not compared: {found.why_not}" if found.why_not else "agrees")
        lines["agreement"] += (
            f" (DER {format_percent(found.der)}, cosine {format_cosine(found.cosine)}; CPU run {found.reference or '-'})"
        )
    fingerprint = fingerprint_of(launch)
    if fingerprint is not None:
        lines["numbers"] = (
            f"segmentation {fingerprint.segmentation.short}, embedding {fingerprint.embedding.short} on {fingerprint.device}"
            f"{f', {fingerprint.cpu_capability}' if fingerprint.cpu_capability else ''}"
        )
    if launch.telemetry is not None:
        sampled = launch.telemetry
        lines["sampled"] = (
            f"{counted(len(sampled.times), 'time')}, {counted(len(sampled.series), 'meter')}; {len(sampled.unavailable)} unavailable"
        )
        lines["marks"] = "; ".join(signs_of_throttling(launch)) or "-"
    for name, value in lines.items():
        print(f"{name:<9} {spelled_out(value)}")
    if launch.chain:
        print(chain_text(launch))


def _cells(row: Row) -> tuple[str, ...]:
    """One row's cells. A portable build's times are nobody's result, so they are not shown."""
    times = (
        ("-",) * 5
        if row.is_portable
        else (
            tables.struck(format_spread(row.seconds), row.is_struck),
            tables.struck(format_factor(row.rate), row.is_struck),
            str(len(row.launches)),
            tables.struck(format_seconds(row.cold_seconds), row.is_struck),
            tables.struck(format_seconds(row.load_seconds), row.is_struck),
        )
    )
    return (
        row.image,
        row.engine,
        row.speaking.torch_version or "-",
        row.speaking.plan.variant,
        *times,
        "-" if row.speakers is None else str(row.speakers),
        format_percent(row.der),
        memory_text(row.memory),
        f"{tables.status_text(row)}{' (portable)' if row.is_portable else ''}",
    )


def print_findings(findings: Sequence[Finding]) -> None:
    """What `doctor` found, by subject, to stdout. A finding that is ok takes one line."""
    subject = None
    for finding in findings:
        if finding.subject != subject:
            print(f"{'' if subject is None else chr(10)}{finding.subject}")
            subject = finding.subject
        print(f"  {finding.status:<8} {spelled_out(finding.found)}")
        if finding.status == "ok":
            continue
        for name, text in (("why", finding.why), ("fix", finding.fix), ("see", finding.source)):
            if text:
                print(f"           {name}: {spelled_out(text)}")
    counts = {status: sum(finding.status == status for finding in findings) for status in _COUNTED}
    said = ", ".join(f"{count} {status if count == 1 else _COUNTED[status]}" for status, count in counts.items() if count)
    print(f"\n{said or 'all well'}")


_COUNTED = {"problem": "problems", "warning": "warnings", "unknown": "unknown", "note": "notes"}
