"""Which launches are a pair, and what is shown of them. All numbers are made up; none is a measurement."""

from __future__ import annotations

import re

import pytest

from harness.analysis.effects import Effect, effects_of, nulls_of
from harness.records.host import HostRecord
from reports.markdown.render import render_benchmarks
from reports.sections.comparisons import effects_table
from reports.sections.null_test import nulls_table
from reports.terminal.results import print_comparisons
from tests.unit.comparisons import RATIOS, blas, null, varied
from tests.unit.reports.drawn import by_head
from tests.unit.samples import a_failed_launch, a_launch, a_wrong_launch


def cells(effect: Effect) -> dict[str, str]:
    return by_head(effects_table([effect]))


def test_a_change_is_told_with_its_interval_and_what_could_be_seen() -> None:
    (effect,) = effects_of(varied(*RATIOS))
    shown = cells(effect)
    assert (shown["Arm"], shown["Against"], shown["GFX"]) == ("segmentation-batch=64", "segmentation-batch=32", "cpu")
    assert (shown["Pairs"], shown["Time"], shown["95% interval"]) == ("6", "+2.5%", "+1.4% to +3.6%")
    assert (shown["p"], shown["p (sign-flip)"]) == ("0.002", "0.031")
    assert (shown["Detects from"], shown["Says"]) == ("1.5%", "slower by 2.5%")


def test_no_change_says_of_more_than_how_much() -> None:
    (effect,) = effects_of(varied(1.01, 0.99, 1.02, 0.985, 1.0, 0.99))
    assert cells(effect)["Says"].startswith("no change of more than 1.")


def test_too_few_pairs_show_the_ratio_and_claim_nothing() -> None:
    (effect,) = effects_of(varied(2.0, 2.0))
    shown = cells(effect)
    assert shown["Time"] == "+100.0%"
    assert shown["Says"] == "nothing: n = 2 is too small, 6 pairs at least"


def test_a_pair_of_which_a_launch_failed_or_is_wrong_is_left_out_counted_and_said() -> None:
    launches = varied(*RATIOS)
    launches[3] = a_failed_launch(launches[3].plan)
    launches[5] = a_wrong_launch(launches[5].plan)
    launches[8] = a_failed_launch(launches[8].plan)
    (effect,) = effects_of(launches[:11])  # and the last round has no second launch
    assert effect.comparison is not None
    assert (effect.comparison.n, effect.comparison.left_out, effect.left_out) == (2, 4, 4)
    assert sorted(effect.reasons) == [
        "1 x a launch is missing",
        "1 x base: import",
        "1 x segmentation-batch=64: import",
        "1 x segmentation-batch=64: wrong output",
    ]
    assert cells(effect)["Pairs"].startswith("2, 4 left out (")


def test_an_arm_that_is_always_wrong_has_no_speed() -> None:
    launches = [launch if launch.plan.arm == "base" else a_wrong_launch(launch.plan) for launch in varied(*RATIOS)]
    (effect,) = effects_of(launches)
    shown = cells(effect)
    assert (shown["Pairs"], shown["Time"]) == ("0, 6 left out (6 x segmentation-batch=64: wrong output)", "-")
    assert shown["Says"] == "no complete pair"


def test_a_null_test_is_pooled_over_campaigns_and_the_latest_is_shown() -> None:
    claimed, quiet = null(*RATIOS, campaign=1), null(1.01, 0.99, 1.0, 1.01, 0.99, 1.0, campaign=2)
    (found,) = nulls_of(claimed + quiet)
    assert (found.campaign, found.claims, found.trials) == ("campaign-2", 1, 2)
    shown = by_head(nulls_table([found]))
    assert shown["False claims"] == "1 of 2: 50.0% (1.3% to 98.7%)"
    assert shown["False claims, relabelled"].endswith(" of 32")
    assert shown["Pairs"] == "6"


def test_a_small_null_test_says_what_it_lacks() -> None:
    (found,) = nulls_of(null(1.01, 0.99))
    lines = by_head(nulls_table([found]))
    assert lines["False claims"] == lines["False claims, relabelled"] == "- (6 pairs make a trial)"
    assert "(" in lines["Detects from, 6 pairs"]


def test_a_null_test_stands_beside_the_claims_of_its_own_host_alone() -> None:
    quiet = (1.01, 0.99, 1.0, 1.01, 0.99, 1.0)
    (beside,) = effects_of(varied(*RATIOS) + null(*quiet))
    assert cells(beside)["Null test here"].startswith("n = 6: 0 of 1 claim a change, detects from 1.")
    elsewhere = HostRecord(kernel="6.18.4", processor="another")
    (alone,) = effects_of(varied(*RATIOS) + null(*quiet, host=elsewhere))
    assert cells(alone)["Null test here"] == "none: `bench --null`"


def test_the_page_has_both_sections_where_there_are_such_launches_and_says_how_to_run_an_arm_again() -> None:
    page = render_benchmarks(varied(*RATIOS) + null(*RATIOS))
    assert "## What knobs change" in page
    assert "| slower by 2.5% |" in page
    assert "## Null test" in page
    assert "near 5% by construction" in page
    assert "not this machine's rate of false claims" in page
    assert "ARGS='--set segmentation-batch=64" in page.replace("--passes 3 ", "")
    columns = [line.count("|") for line in page.split("## What knobs change")[1].splitlines() if line.startswith("|")]
    assert len(set(columns[:3])) == len(set(columns[3:])) == 1


def test_a_page_without_such_launches_has_neither() -> None:
    page = render_benchmarks([a_launch()])
    assert "What knobs change" not in page
    assert "Null test" not in page


def test_what_a_container_or_an_import_made_up_is_escaped() -> None:
    launches = varied(*RATIOS, image="x|<script>")
    section = render_benchmarks(launches).split("## What knobs change")[1]
    assert "<script>" not in section
    assert "x\\|&lt;script&gt;" in section


def test_both_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparisons(varied(*RATIOS) + null(*RATIOS))
    out = capsys.readouterr().out
    assert "slower by 2.5%" in out
    assert "Null test: a cell against itself" in out
    assert re.search(r"^\| What +\| cpu podman cpu +\|$", out, re.MULTILINE)
    assert re.search(r"^\| Pairs +\| 6 +\|$", out, re.MULTILINE)
    print_comparisons([a_launch()])
    assert capsys.readouterr().out == ""


def test_an_effect_of_hipblaslt_says_where_both_arms_computed_with_one_library() -> None:
    same = cells(blas("_BlasBackend.Cublaslt", "_BlasBackend.Cublaslt"))
    assert same["Says"].endswith("; both arms compute with _BlasBackend.Cublaslt: the knob changed no library")
    assert blas("_BlasBackend.Cublaslt", "_BlasBackend.Cublas").remark == ""
    assert blas(None, None).remark == ""
