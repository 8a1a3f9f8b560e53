"""How an image's own ENV changes a launch. No image is run, and no GPU is there: the journals are made up."""

from __future__ import annotations

from typing import Any

import pytest

from harness.analysis.image_variables import not_of_plan, variables_of, with_remarks
from harness.catalog.load import load_catalog
from harness.catalog.rows import Cell, Variant
from harness.engines.base import Run
from harness.records.launch import Launch
from harness.records.outcome import ExitRecord
from reports.markdown.render import render_benchmarks
from reports.terminal.launch import print_launch
from tests.unit.campaigns import Bench
from tests.unit.samples import FakeEngine, a_launch, a_plan, passing_journal, write_journal

CATALOG = load_catalog()


def told(variables: Any, **plan: Any) -> Launch:
    """A launch whose guest found these variables."""
    journal = [
        {**event, "variables": variables} if event["event"] == "end" and event.get("stage") == "launch" else event
        for event in passing_journal()
    ]
    return a_launch(a_plan(image="rocm72", family="rocm", variant="native", **plan), journal=journal)


def remarked(variables: dict[str, str], environment: dict[str, str] | None = None) -> Launch:
    variant = Variant(name="native", environment=environment or {})
    cell = Cell(CATALOG.images["rocm72"], variant, CATALOG.pipelines["embedded"].profile, "sample-30s")
    launch = told(variables, environment=environment or {})
    return with_remarks(launch, CATALOG, cell, family="rocm", targets=("gfx1151",))


def test_a_hazard_of_the_image_s_own_env_is_found_after_the_run() -> None:
    variable, hazard = remarked({"HSA_OVERRIDE_GFX_VERSION": "11.5.0"}).remarks
    assert variable == "not by the plan, but as of the image's own ENV: HSA_OVERRIDE_GFX_VERSION=11.5.0 (knob override)"
    assert hazard.startswith("with the image's own ENV: hazard gfx1150-code: ")


def test_what_the_plan_set_and_what_bears_on_no_knob_is_no_remark() -> None:
    planned = {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}
    assert remarked(planned, planned).remarks == ()
    assert remarked({"CUDA_VERSION": "12"}).remarks == ()
    assert not_of_plan(remarked({"CUDA_VERSION": "12"})) == {"CUDA_VERSION": "12"}


def test_a_variable_that_the_image_changed_or_took_away_is_told() -> None:
    planned = {"HSA_OVERRIDE_GFX_VERSION": "11.0.0"}
    assert not_of_plan(remarked({"HSA_OVERRIDE_GFX_VERSION": "11.5.1"}, planned)) == {"HSA_OVERRIDE_GFX_VERSION": "11.5.1"}
    (remark,) = remarked({}, planned).remarks
    assert remark.endswith("HSA_OVERRIDE_GFX_VERSION is not set (knob override)")


def test_the_folders_of_kernel_caches_are_the_harness_s_own() -> None:
    assert not_of_plan(told({"MIOPEN_USER_DB_PATH": "/caches/miopen"})) == {}


@pytest.mark.parametrize("variables", [None, [], "HSA_A", 3])
def test_a_journal_without_variables_says_nothing(variables: Any) -> None:
    assert variables_of(told(variables)) is None
    assert not_of_plan(told(variables, environment={"HSA_ENABLE_SDMA": "0"})) == {}


def test_what_an_image_wrote_in_their_place_is_cut_and_left_out() -> None:
    found = variables_of(told({"HSA_A": 3, "PATH": "/bin", "HSA_B": "x" * 9000, **{f"HSA_{n}": "1" for n in range(500)}}))
    assert found is not None
    assert len(found) == 100
    assert max(map(len, found.values())) == 200
    assert "PATH" not in found


def test_the_page_and_the_terminal_hold_the_image_s_words_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    launch = remarked({"HSA_OVERRIDE_GFX_VERSION": "<b>|1\u202e2"})
    page = render_benchmarks([launch])
    assert "image's own ENV" in page.replace("&#39;", "'").replace("\\", "")
    assert "<b>" not in page
    print_launch(launch)
    shown = capsys.readouterr().out
    assert "image ENV HSA_OVERRIDE_GFX_VERSION=<b>|1\\u202e2" in shown


def test_a_campaign_stores_the_remark_with_the_launch_and_says_it_once(bench: Bench) -> None:
    def guest(run: Run) -> ExitRecord:
        journal = told({"HSA_ENABLE_SDMA": "0"}).journal
        write_journal(run.exchange, journal)
        return ExitRecord(started=True, code=0)

    bench.run(FakeEngine(guest), launches=2)
    remark = "not by the plan, but as of the image's own ENV: HSA_ENABLE_SDMA=0 (knob sdma)"
    assert [launch.remarks for launch in bench.store.launches()] == [(remark,)] * 2
    assert [line.endswith(remark) for line in bench.listener.announced] == [True]
