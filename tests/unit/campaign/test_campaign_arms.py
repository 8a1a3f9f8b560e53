"""Comparisons as a campaign runs and stores them. The engine is a fake: no time in here is a measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.wire import REQUEST, Request
from harness.analysis.effects import effects_of, nulls_of
from harness.analysis.rows import rows_of
from harness.campaign.arms import arms_of, read_factors
from harness.catalog.cells import Arm
from harness.catalog.load import load_catalog
from harness.errors import EngineError, UsageError
from harness.records.launch import Launch
from harness.records.plan import Settings
from tests.unit.campaigns import CATALOG, CPU, OTHER, Bench
from tests.unit.command_line import overlay
from tests.unit.samples import FakeEngine, guest_of, in_turn, passing_journal

BATCHES = arms_of(read_factors(CATALOG, ["segmentation-batch=32,64"]))

WARNED = """
[hazards.cpu-batch]
description = "a made-up hazard"
source = "https://example.org/1"
families = ["cpu"]
segmentation_batch_from = 64
"""


def guest(*seconds: float) -> FakeEngine:
    """An engine whose launches take these seconds, one after the other."""
    return FakeEngine(in_turn(*(guest_of(passing_journal(warm=(each,))) for each in seconds)))


def told(launch: Launch) -> tuple[str, int | None, int]:
    return launch.plan.arm, launch.plan.round, launch.plan.workload.numbers["segmentation_batch_size"]


def test_each_launch_is_stored_with_its_arm_its_round_and_its_knob(bench: Bench) -> None:
    launches = bench.run(arms=BATCHES, launches=2).launches
    assert [told(launch) for launch in launches] == [
        ("base", 0, 32),
        ("segmentation-batch=64", 0, 64),
        ("segmentation-batch=64", 1, 64),
        ("base", 1, 32),
    ]
    last = launches[2].plan
    assert last.cell == "cpu/cpu+segmentation-batch=64/embedded/sample-30s"
    assert (last.variant, last.knobs, last.fixes) == ("cpu+segmentation-batch=64", {"segmentation-batch": "64"}, ())
    assert last.purpose == "result"
    assert sorted(told(launch) for launch in bench.store.launches()) == sorted(told(launch) for launch in launches)


def test_the_effect_pairs_the_launches_of_a_round(bench: Bench) -> None:
    # Slower and slower: base, arm | arm, base | ... each arm 1.5 times its base.
    engine = guest(*(2.0, 3.0), *(3.3, 2.2), *(2.4, 3.6), *(3.9, 2.6), *(2.8, 4.2), *(4.5, 3.0))
    (effect,) = effects_of(bench.run(engine, arms=BATCHES, launches=6, settings=Settings(warm_passes=1)).launches)
    assert (effect.arm, effect.against, effect.left_out) == ("segmentation-batch=64", "segmentation-batch=32", 0)
    assert effect.comparison is not None
    assert effect.comparison.ratio == pytest.approx(1.5)
    assert (effect.comparison.n, effect.comparison.change) == (6, "slower")


def test_without_a_comparison_a_launch_has_a_round_and_no_arm(bench: Bench) -> None:
    launches = bench.run(images=(CPU, OTHER), launches=2).launches
    assert [(launch.plan.arm, launch.plan.round) for launch in launches] == [("", 0), ("", 0), ("", 1), ("", 1)]
    assert effects_of(launches) == ()


def test_the_launches_of_a_null_test_are_one_cell_twice_and_no_row(bench: Bench) -> None:
    settings = Settings(purpose="null", warm_passes=1)
    launches = bench.run(guest(2.0, 2.1), arms=arms_of((), null=True), launches=2, settings=settings).launches
    assert [launch.plan.arm for launch in launches] == ["A", "B", "B", "A"]
    assert {launch.plan.cell for launch in launches} == {"cpu/cpu/embedded/sample-30s"}
    assert {launch.plan.purpose for launch in launches} == {"null"}
    assert rows_of(launches) == ()
    (null,) = nulls_of(launches)
    assert null.test is not None
    assert null.test.comparison.n == 2


def test_a_known_hazard_is_told_before_the_first_launch_and_stays_with_the_launch(bench: Bench, tmp_path: Path) -> None:
    known = load_catalog([overlay(tmp_path, WARNED)])
    said_by_then: list[list[str]] = []
    passes = guest_of(passing_journal())

    engine = FakeEngine(lambda run: (said_by_then.append(list(bench.listener.announced)), passes(run))[1])
    launches = bench.run(engine, catalog=known, arms=BATCHES, launches=2).launches
    warned = [text for text in bench.listener.announced if "hazard" in text]
    assert warned == [
        "cpu/cpu+segmentation-batch=64/embedded/sample-30s: hazard cpu-batch: a made-up hazard (https://example.org/1)"
    ]
    assert warned[0] in said_by_then[0]
    for launch in launches:
        hazards = ("hazard cpu-batch: a made-up hazard (https://example.org/1)",) if launch.plan.arm != "base" else ()
        assert launch.plan.hazards == hazards
        assert launch.notes[: len(hazards)] == hazards


def test_a_knob_that_does_not_bear_on_an_image_is_refused_before_anything_runs(bench: Bench) -> None:
    engine = FakeEngine()
    with pytest.raises(UsageError, match="knob sdma bears on rocm"):
        bench.run(engine, arms=arms_of(read_factors(CATALOG, ["sdma=on,off"])))
    assert engine.runs == []


def test_an_image_that_cannot_be_launched_is_a_record_of_each_arm(bench: Bench) -> None:
    campaign = bench.run(EngineError("no engine here"), arms=BATCHES, launches=6)
    assert [(launch.plan.arm, launch.plan.round) for launch in campaign.launches] == [
        ("base", None),
        ("segmentation-batch=64", None),
    ]
    (effect,) = effects_of(campaign.launches)
    assert effect.comparison is None
    assert effect.reasons == ("1 x base: engine", "1 x segmentation-batch=64: engine")


def test_threads_reach_the_guest(bench: Bench) -> None:
    asked: list[int | None] = []
    passes = guest_of(passing_journal())
    engine = FakeEngine(
        lambda run: (asked.append(Request.from_json((run.exchange / REQUEST).read_text()).threads), passes(run))[1]
    )
    bench.run(engine, arms=(Arm("", (("threads", "3"),)),))
    bench.run(engine)
    assert asked == [3, None]
