"""The waterfall's tables. All numbers are made up."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.rows import rows_of
from harness.analysis.waterfall_rows import LAUNCH_COLUMNS, WaterfallRow, waterfall_rows
from harness.records.launch import Launch
from reports.markdown.render import render_benchmarks
from reports.sections.waterfall import share_text, sum_text
from tests.unit.analysis.test_waterfall import events
from tests.unit.samples import a_failed_launch, a_launch, a_plan


def a_timed_launch(number: int = 1, *, wall: float | None = 40.0, **changes: object) -> Launch:
    made = a_launch(a_plan(number), journal=[*events(**changes)])
    passed = msgspec.structs.replace(made.verdict, status="pass", stage="verify", cause=None)
    return msgspec.structs.replace(made, start_seconds=2.0, wall_seconds=wall, verdict=passed)


def one_row(*launches: Launch) -> WaterfallRow:
    (found,) = waterfall_rows(rows_of(launches))
    return found


def test_the_columns_of_a_launch_are_the_whole_launch() -> None:
    found = one_row(a_timed_launch())
    assert sum(cell.share for cell in found.of_launch) == pytest.approx(1.0)
    assert sum(cell.seconds for cell in found.of_launch) == pytest.approx(40.0)
    assert sum_text(found) == "100.0%"
    by_title = dict(zip([title for title, _ in LAUNCH_COLUMNS], found.of_launch, strict=True))
    assert share_text(by_title["Import"]) == "2.10 s (5%, CPU 4.20 s)"
    assert share_text(by_title["Teardown"]) == "8.00 s (20%)"


def test_a_pass_is_one_of_the_warm_ones_and_each_cell_a_median_over_launches() -> None:
    found = one_row(*(a_timed_launch(number, wall=wall) for number, wall in enumerate((40.0, 42.0, 60.0), start=1)))
    assert (found.n, found.wall_seconds, found.pass_seconds) == (3, 42.0, 7.0)
    segmentation, counting, embeddings, *_, rest = found.of_pass
    assert segmentation is not None
    assert (segmentation.seconds, segmentation.processor_seconds, round(segmentation.share, 4)) == (3.0, 6.0, round(3 / 7, 4))
    assert counting is None
    assert embeddings is not None
    assert rest is not None


def test_the_page_shows_it_where_the_whole_time_is_on_record_and_nowhere_else() -> None:
    assert "## Where the time goes" in render_benchmarks([a_timed_launch()])
    assert "| 40.00 s | 2.00 s (5%, CPU 0.30 s) |" in render_benchmarks([a_timed_launch()])
    assert "Where the time goes" not in render_benchmarks([a_timed_launch(wall=None), a_failed_launch(a_plan(2))])


def test_a_journal_that_cannot_be_true_is_said_and_has_no_numbers() -> None:
    found = one_row(a_timed_launch(end_import={"seconds": -1.0}))
    assert (found.n, found.of_launch, found.flaws) == (0, (), ("stage import took less than no time",))
    page = render_benchmarks([a_timed_launch(end_import={"seconds": -1.0})])
    assert "a launch's time cannot be divided, as its journal cannot be true: stage import took less than no time" in page
    assert "| 40.00 s |" not in page
