"""Which launches are a pair, and what may be claimed of them. All numbers are made up; none is a measurement."""

from __future__ import annotations

import json

import msgspec
import pytest

from harness.analysis.effects import compared_data, effects_of, nulls_of, percent, says
from harness.analysis.rows import rows_of
from tests.unit.comparisons import RATIOS, arm, null, varied
from tests.unit.samples import HOST, a_launch


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
