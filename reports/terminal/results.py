"""What launches found, for a person: the same tables as on the page."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.agreement_rows import agreement_rows
from harness.analysis.costs import cost_rows
from harness.analysis.effects import effects_of, nulls_of
from harness.analysis.repeats import repeat_rows
from harness.analysis.rows import rows_of, workloads_of
from harness.records.launch import Launch
from harness.records.plan import Purpose
from reports.sections.agreement import agreement_tables
from reports.sections.comparisons import effects_table
from reports.sections.cost import cost_tables
from reports.sections.null_test import nulls_table
from reports.sections.repeats import repeats_table
from reports.sections.results import results_table
from reports.table import turned
from reports.terminal.draw import print_table


def print_results(launches: Sequence[Launch], *, stored: Sequence[Launch] = ()) -> None:
    """The results of some launches, to stdout; ``stored`` may hold calibrations of their images."""
    tables = [results_table(group) for group in workloads_of(rows_of(launches, stored=stored))]
    costs, repeats = cost_rows(launches), [row for row in repeat_rows(launches) if row.is_worth_saying]
    tables += cost_tables(costs)
    tables += [repeats_table(repeats)] if repeats else []
    for number, table in enumerate(tables):
        if number:
            print()
        print_table(table)


def print_comparisons(launches: Sequence[Launch]) -> None:
    """What knobs changed in some launches, and what a cell against itself says about this machine, to stdout."""
    effects, nulls = effects_of(launches), nulls_of(launches)
    if effects:
        print()
        print_table(effects_table(effects))
    if nulls:
        print()
        print_table(turned(nulls_table(nulls), "What"))


def print_agreements(launches: Sequence[Launch], *, purpose: Purpose = "result") -> None:
    """How launches agree with the CPU run, to stdout; nothing where all are CPU runs, unless `verify` made them."""
    rows = agreement_rows(rows_of(launches, purpose=purpose), with_cpu_runs=purpose == "verify")
    for table in agreement_tables(rows):
        print()
        print_table(table)
