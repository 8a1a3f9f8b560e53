"""How often a campaign launches what, over a fake engine: nothing is run, and no time here is a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import pytest

from harness.analysis.stopping import MOST_LAUNCHES
from harness.campaign.campaign import Campaign
from harness.campaign.cool_down import CampaignClock
from harness.catalog.load import load_catalog
from harness.engines.base import IMAGE_LABEL, Run
from harness.inputs.audio import Audio
from harness.records.outcome import ExitRecord
from harness.records.plan import StoppingRule
from tests.unit.campaigns import CPU, OTHER, Bench
from tests.unit.samples import FakeEngine, Guest, an_audio, fails_at_import, guest_of, passing_journal

UNTIL = StoppingRule(launches=MOST_LAUNCHES, until=0.02)


class FakeClock:
    """A clock that each launch of `takes` moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def of_campaign(self) -> CampaignClock:
        def celsius() -> dict[str, float]:
            return {"gpu": 40.0 + self.now}

        def wait(seconds: float) -> None:
            self.now += seconds

        return CampaignClock(celsius, clock=lambda: self.now, wait=wait)

    def takes(self, seconds: float, guest: Guest) -> Guest:
        def run(what: Run) -> ExitRecord:
            self.now += seconds
            return guest(what)

        return run


def that_takes(seconds: Callable[[int], float]) -> Guest:
    """A guest whose nth launch, counted from 0, has this time."""
    done = iter(range(10_000))

    def guest(run: Run) -> ExitRecord:
        return guest_of(passing_journal(warm=(seconds(next(done)),) * 3))(run)

    return guest


def by_image(**guests: Guest) -> Guest:
    def guest(run: Run) -> ExitRecord:
        return guests[run.labels[IMAGE_LABEL]](run)

    return guest


def steady(number: int) -> float:
    return 2.0 + number % 2 / 1000


def wild(number: int) -> float:
    return 2.0 + number % 2


def images_of(engine: FakeEngine) -> list[str]:
    return [run.labels[IMAGE_LABEL] for run in engine.runs]


def test_a_steady_cell_is_done_after_six_launches(bench: Bench) -> None:
    campaign = bench.run(FakeEngine(that_takes(steady)), stopping=UNTIL)
    assert len(campaign.launches) == 6
    decisions = [launch.decision for launch in campaign.launches]
    assert [each.stop if each else "" for each in decisions] == [None] * 5 + ["precise"]
    assert {launch.plan.stopping for launch in campaign.launches} == {UNTIL}


def test_a_cell_that_is_done_does_not_keep_the_others_from_going_on(bench: Bench) -> None:
    engine = FakeEngine(by_image(cpu=that_takes(steady), other=that_takes(wild)))
    bench.run(engine, images=(CPU, OTHER), stopping=msgspec.structs.replace(UNTIL, launches=9))
    assert images_of(engine) == ["cpu", "other", "other", "cpu"] * 3 + ["other"] * 3


def test_no_cell_is_launched_for_ever(bench: Bench) -> None:
    engine = FakeEngine(that_takes(wild))
    campaign = bench.run(engine, stopping=StoppingRule(launches=8, until=0.02))
    assert len(engine.runs) == 8
    assert campaign.launches[-1].decision is not None
    assert campaign.launches[-1].decision.stop == "launches"


def test_a_cell_that_fails_every_time_ends_after_three_launches(bench: Bench) -> None:
    engine = FakeEngine(by_image(cpu=fails_at_import, other=that_takes(steady)))
    campaign = bench.run(engine, images=(CPU, OTHER), stopping=UNTIL)
    assert images_of(engine).count("cpu") == 3
    assert images_of(engine).count("other") == 6
    ends = {launch.image: launch.decision.stop for launch in campaign.launches if launch.decision}
    assert ends == {"cpu": "failures", "other": "precise"}


def test_a_budget_lets_no_launch_begin_that_is_too_late_and_cuts_none(bench: Bench) -> None:
    clock = FakeClock()
    rule = StoppingRule(launches=10, budget_seconds=60.0)
    campaign = bench.run(FakeEngine(clock.takes(25.0, that_takes(steady))), stopping=rule, clock=clock.of_campaign())
    assert [launch.decision.elapsed_seconds for launch in campaign.launches if launch.decision] == [25.0, 50.0, 75.0]
    assert [launch.verdict.status for launch in campaign.launches] == ["pass"] * 3
    assert campaign.launches[-1].decision is not None
    assert campaign.launches[-1].decision.stop == "budget"


def test_a_cell_that_the_budget_never_came_to_is_on_record(bench: Bench) -> None:
    clock = FakeClock()
    engine = FakeEngine(clock.takes(70.0, that_takes(steady)))
    rule = StoppingRule(launches=3, budget_seconds=60.0)
    campaign = bench.run(engine, images=(CPU, OTHER), stopping=rule, clock=clock.of_campaign())
    assert images_of(engine) == ["cpu"]
    (absent,) = (launch for launch in campaign.launches if launch.image == "other")
    assert (absent.verdict.status, absent.verdict.cause) == ("fail", "interrupted")
    assert absent.verdict.summary == "not launched: the budget of 1 min is spent"


def test_a_campaign_without_a_rule_launches_as_often_as_it_says_and_records_none(bench: Bench) -> None:
    campaign = bench.run(FakeEngine(that_takes(wild)), launches=2)
    assert [(launch.plan.stopping, launch.decision, launch.plan.cool_down) for launch in campaign.launches] == [
        (None, None, None)
    ] * 2


def lengths(bench: Bench, *seconds: float) -> Iterable[Audio]:
    for each in seconds:
        name = f"sample-fitted-{each:.0f}s"
        yield an_audio(bench.folder / name, name=name, seconds=each, sha256=f"{each:064.0f}")


def test_the_lengths_of_a_recording_are_launched_in_turn(bench: Bench) -> None:
    engine = FakeEngine()
    campaign = bench.run(engine, launches=2, more_lengths=lengths(bench, 60.0, 120.0))
    heard = [launch.plan.workload for launch in campaign.launches]
    assert [workload.amount for workload in heard] == [30.0, 60.0, 120.0, 120.0, 60.0, 30.0]
    assert len({workload.input_sha256 for workload in heard}) == 3
    mounted = [next(mount.source for mount in run.mounts if mount.target == "/input/audio.wav") for run in engine.runs]
    assert len(set(mounted)) == 3, "each length is handed in as its own file"
    assert bench.listener.begun[1] == "2/6 cpu/cpu/embedded/sample-fitted-60s"


def test_an_image_that_cannot_be_launched_is_on_record_with_every_length(bench: Bench) -> None:
    engine = FakeEngine(by_image(cpu=fails_at_import))
    campaign = bench.run(engine, more_lengths=lengths(bench, 60.0))
    assert {launch.plan.workload.input for launch in campaign.launches} == {"sample-30s", "sample-fitted-60s"}


def test_the_wait_in_front_of_each_launch_is_recorded_with_it(bench: Bench) -> None:
    """The fake machine grows warmer by a degree a second, waiting or not, so each wait runs to its bound."""
    clock = FakeClock()
    engine = FakeEngine(clock.takes(25.0, that_takes(steady)))
    campaign = bench.run(engine, launches=3, cool_down_seconds=5.0, clock=clock.of_campaign())
    waits = [launch.plan.cool_down for launch in campaign.launches]
    assert [each.outcome if each else None for each in waits] == ["cool", "time is up", "time is up"]
    assert [each.waited_seconds if each else None for each in waits] == [0.0, 5.0, 5.0]
    assert waits[1] is not None
    assert (waits[1].start_celsius, waits[1].before_celsius, waits[1].after_celsius) == (
        {"gpu": 40.0},
        {"gpu": 65.0},
        {"gpu": 70.0},
    )


def test_a_wait_lasts_no_longer_than_the_budget_and_no_launch_begins_after_it(bench: Bench) -> None:
    clock = FakeClock()
    engine = FakeEngine(clock.takes(58.0, that_takes(steady)))
    rule = StoppingRule(launches=3, budget_seconds=60.0)
    campaign = bench.run(engine, stopping=rule, cool_down_seconds=30.0, clock=clock.of_campaign())
    assert clock.now == 60.0, "two of the thirty seconds were waited"
    assert len(campaign.launches) == 1


def test_an_interrupted_launch_is_stored_without_a_decision(bench: Bench) -> None:
    def guest(run: Run) -> ExitRecord:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(FakeEngine(guest), stopping=UNTIL)
    (launch,) = bench.store.launches()
    assert (launch.plan.stopping, launch.decision) == (UNTIL, None)


def purposes(campaign: Campaign) -> list[str]:
    return [f"{launch.image} {launch.plan.purpose}" for launch in campaign.launches]


WITHOUT_MIOPEN = (load_catalog().variants["miopen-off"],)
"""A fix that may change what a CPU computes, so that a CPU run without it is made to compare with."""


def test_all_cpu_runs_are_made_before_the_first_round(bench: Bench) -> None:
    campaign = bench.run(FakeEngine(that_takes(steady)), images=(CPU, OTHER), launches=2, fixes=WITHOUT_MIOPEN)
    first, rest = purposes(campaign)[:2], purposes(campaign)[2:]
    assert first == ["cpu reference", "other reference"]
    assert rest == ["cpu result", "other result", "other result", "cpu result"]


def test_a_cpu_run_takes_nothing_of_the_budget(bench: Bench) -> None:
    clock = FakeClock()
    engine = FakeEngine(clock.takes(300.0, that_takes(steady)))
    rule = StoppingRule(launches=3, budget_seconds=60.0)
    campaign = bench.run(engine, stopping=rule, fixes=WITHOUT_MIOPEN, clock=clock.of_campaign())
    assert purposes(campaign) == ["cpu reference", "cpu result"]
