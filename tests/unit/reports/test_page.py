"""What a page is made from."""

from __future__ import annotations

from reports.page import page_of
from tests.unit.samples import a_launch
from tests.unit.workloads.test_vit import a_vit_launch


def test_the_title_says_what_has_rows() -> None:
    assert page_of([]).title == "Benchmarks"
    assert page_of([a_launch()]).title == "Speaker diarization benchmarks"
    assert page_of([a_vit_launch()]).title == "Image throughput benchmarks"
    assert page_of([a_launch(), a_vit_launch()]).title == "Speaker diarization and image throughput benchmarks"
