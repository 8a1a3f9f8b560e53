"""The tables of agreement, on launches that are made up."""

from __future__ import annotations

import msgspec

from harness.analysis.agreement_rows import AgreementRow, agreement_rows
from harness.analysis.rows import rows_of
from harness.records.outcome import Agreement
from harness.workloads.compared_figure import ComparedFigure
from reports.sections.agreement import agreement_tables, compared_figure_span
from reports.table import spans_of
from tests.unit.samples import WORKLOAD, a_launch, a_plan, passing_journal

OWN = {"DER", "Speakers"}


def a_row(**agreement: object) -> AgreementRow:
    """The row of one launch on a GPU."""
    launch = a_launch(a_plan(family="rocm", device="cuda"), journal=passing_journal(hip="7.2"))
    found = Agreement(reference="cpu-run", cosine=1.0, **agreement)  # type: ignore[arg-type]
    (row,) = agreement_rows(rows_of([msgspec.structs.replace(launch, agreement=found)]))
    return row


def of_another_workload(row: AgreementRow) -> AgreementRow:
    """The same row of a workload that has no figures of its own."""
    plan = a_plan(family="rocm", device="cuda", workload=msgspec.structs.replace(WORKLOAD, name="later"))
    return msgspec.structs.replace(row, row=msgspec.structs.replace(row.row, speaking=a_launch(plan)), figures=())


def test_each_workload_has_a_table_with_the_figures_of_its_own() -> None:
    row = a_row(der=0.001, speakers=2, reference_speakers=2)
    ours, other = agreement_tables([row, of_another_workload(row)])
    titles = [{str(column.title) for column in table.columns} for table in (ours, other)]
    assert titles[0] - titles[1] == {*OWN, "Pipeline", "Audio"}
    assert titles[1] - titles[0] == {"Profile", "Input"}
    shown = {column.title: spans_of(cell)[0].text for column, cell in zip(ours.columns, ours.rows[0], strict=True)}
    assert {name: shown[name] for name in OWN} == {"DER": "0.1%", "Speakers": "2 of 2"}


def test_of_several_launches_the_largest_share_and_every_count_are_shown() -> None:
    assert compared_figure_span(ComparedFigure(name="DER", values=(0.0, 0.25), kind="share")).text == "25.0%"
    assert compared_figure_span(ComparedFigure(name="n", values=(2.0, 3.0), reference=3, kind="count")).text == "2 or 3 of 3"


def test_a_figure_that_is_not_known_is_a_dash() -> None:
    row = a_row()
    assert [figure.name for figure in row.figures] == ["DER", "Speakers"]
    assert {compared_figure_span(figure).text for figure in row.figures} == {"-"}
