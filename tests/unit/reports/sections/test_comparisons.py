"""Which launches are a pair, and what is shown of them. All numbers are made up; none is a measurement."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from harness.analysis.effects import Effect, compared_data, effects_of, nulls_of, percent, says
from harness.analysis.rows import rows_of
from harness.records.host import HostRecord
from harness.records.launch import Launch
from reports.markdown.render import render_benchmarks
from reports.sections.comparisons import effects_table
from reports.sections.null_test import nulls_table
from reports.terminal.results import print_comparisons
from tests.unit.reports.drawn import by_head
from tests.unit.samples import HOST, WORKLOAD, a_failed_launch, a_launch, a_plan, a_wrong_launch, passing_journal

RATIOS = (1.03, 1.01, 1.02, 1.04, 1.02, 1.03)


def planned(number: int, arm: str, round_number: int, *, value: str, **changes: Any) -> Any:
    knobs = {"segmentation-batch": value}
    workload = msgspec.structs.replace(WORKLOAD, numbers={**WORKLOAD.numbers, "segmentation_batch_size": int(value)})
    variant = f"cpu+segmentation-batch={value}"
    return a_plan(number, variant=variant, workload=workload, arm=arm, round=round_number, knobs=knobs, **changes)


def base(number: int, round_number: int, seconds: float = 2.0, **changes: Any) -> Launch:
    return a_launch(planned(number, "base", round_number, value="32", **changes), journal=passing_journal(warm=(seconds,)))


def arm(number: int, round_number: int, seconds: float, *, value: str = "64", **changes: Any) -> Launch:
    plan = planned(number, f"segmentation-batch={value}", round_number, value=value, **changes)
    return a_launch(plan, journal=passing_journal(warm=(seconds,)))


def varied(*ratios: float, **changes: Any) -> list[Launch]:
    """A campaign of one arm against the base, a pair a ratio."""
    launches = []
    for number, ratio in enumerate(ratios):
        launches += [base(2 * number, number, **changes), arm(2 * number + 1, number, 2.0 * ratio, **changes)]
    return launches


def null(*ratios: float, **changes: Any) -> list[Launch]:
    """A null test, a pair a ratio."""
    launches = []
    for number, ratio in enumerate(ratios):
        for place, (name, seconds) in enumerate((("A", 2.0), ("B", 2.0 * ratio))):
            plan = a_plan(2 * number + place, variant="cpu", arm=name, round=number, purpose="null", **changes)
            launches.append(a_launch(plan, journal=passing_journal(warm=(seconds,))))
    return launches


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


def test_each_arm_is_compared_with_the_base_and_corrected_for_the_others() -> None:
    launches = varied(*RATIOS) + [arm(100 + number, number, 2.0, value="128") for number in range(6)]
    first, second = effects_of(launches)
    assert (first.arm, second.arm) == ("segmentation-batch=64", "segmentation-batch=128")
    assert first.comparison is not None
    assert first.comparison.p is not None
    assert first.comparison.p_holm == pytest.approx(2 * first.comparison.p)
    assert first.comparison.among == 2
    (alone,) = effects_of(varied(*RATIOS))
    assert alone.comparison is not None
    assert first.comparison.detectable is not None
    assert alone.comparison.detectable is not None
    assert first.comparison.detectable > alone.comparison.detectable


def test_pairs_are_of_one_campaign_and_its_latest_speaks() -> None:
    (effect,) = effects_of(varied(*(1.5,) * 6, campaign=1) + varied(*RATIOS, campaign=2))
    assert effect.comparison is not None
    assert (effect.campaign, effect.comparison.n) == ("campaign-2", 6)
    assert effect.comparison.ratio < 1.1


def test_images_engines_and_hosts_are_never_paired_with_each_other() -> None:
    other = msgspec.structs.replace(HOST, kernel="6.19.0")
    launches = varied(*RATIOS, engine="podman") + varied(*RATIOS, engine="docker") + varied(*RATIOS, image="x", host=other)
    assert len(effects_of(launches)) == 3


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


def test_null_tests_with_another_setting_are_of_another_cell() -> None:
    with_threads = null(*RATIOS, campaign=2)
    with_threads = [
        msgspec.structs.replace(launch, plan=msgspec.structs.replace(launch.plan, variant="cpu+threads=1"))
        for launch in with_threads
    ]
    first, second = nulls_of(null(*RATIOS, campaign=1) + with_threads)
    assert (first.subject.variant, second.subject.variant) == ("cpu", "cpu+threads=1")
    assert (first.trials, second.trials) == (1, 1)


def test_arms_are_rows_of_their_own_and_null_launches_none() -> None:
    rows = rows_of(varied(*RATIOS) + null(*RATIOS))
    assert sorted(row.speaking.plan.variant for row in rows) == ["cpu+segmentation-batch=32", "cpu+segmentation-batch=64"]


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


def test_as_data_a_comparison_says_what_may_be_claimed() -> None:
    data = json.loads(json.dumps(compared_data(varied(*RATIOS) + null(1.0)), allow_nan=False))
    assert data["effects"][0]["says"] == "slower by 2.5%"
    assert data["effects"][0]["comparison"]["n"] == 6
    assert data["nulls"][0]["trials"] == 0
    assert compared_data([a_launch()]) == {}


def test_a_share_that_no_box_can_have_is_not_printed_digit_by_digit() -> None:
    assert (percent(0.0234), percent(1e200), percent(None)) == ("2.3%", "over 1000%", "-")


def test_what_is_said_follows_from_the_rule_alone() -> None:
    (effect,) = effects_of(varied(*(1 / ratio for ratio in RATIOS)))
    assert effect.comparison is not None
    assert says(effect.comparison) == "faster by 2.4%"


def blas(*arms: str | None) -> Effect:
    """A campaign over the hipblaslt knob whose arms journal these libraries."""
    launches = []
    for number in range(6):
        for place, (name, library) in enumerate(zip(("base", "hipblaslt=off"), arms, strict=True)):
            knobs = {"hipblaslt": "on" if name == "base" else "off"}
            variant = f"native+hipblaslt={knobs['hipblaslt']}"
            plan = a_plan(2 * number + place, variant=variant, arm=name, round=number, knobs=knobs)
            journal = [
                {**event, "preferred_blas": library} if event.get("stage") == "device" and event["event"] == "end" else event
                for event in passing_journal()
            ]
            launches.append(a_launch(plan, journal=journal))
    (effect,) = effects_of(launches)
    return effect


def test_an_effect_of_hipblaslt_says_where_both_arms_computed_with_one_library() -> None:
    same = cells(blas("_BlasBackend.Cublaslt", "_BlasBackend.Cublaslt"))
    assert same["Says"].endswith("; both arms compute with _BlasBackend.Cublaslt: the knob changed no library")
    assert blas("_BlasBackend.Cublaslt", "_BlasBackend.Cublas").remark == ""
    assert blas(None, None).remark == ""
