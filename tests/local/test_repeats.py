"""`bench` over several lengths and under a rule, with real launches."""

from __future__ import annotations

from harness.records.plan import StoppingRule
from tests.commands import Workplace

SMALL = ("local-cpu", "--passes", "1")


def test_several_lengths_are_launched_in_turn_and_make_a_line_or_say_why_not(workplace: Workplace) -> None:
    done = workplace.bench(*SMALL, "--durations", "8,10,12", "--launches", "1")
    assert done.code == 0, done.stderr
    assert [launch.plan.workload.audio_seconds for launch in workplace.stored()] == [8.0, 10.0, 12.0]
    assert "fixed and marginal cost" in done.stdout
    assert "8 s x1, 10 s x1, 12 s x1" in workplace.page.read_text()


def test_a_budget_ends_a_campaign_behind_the_launch_that_spends_it(workplace: Workplace) -> None:
    done = workplace.bench(*SMALL, "--audio-seconds", "8", "--until", "100%", "--budget", "0.01", "--cool-down", "1")
    assert done.code == 0, done.stderr
    (launch,) = workplace.stored()
    assert launch.plan.stopping == StoppingRule(launches=50, until=1.0, budget_seconds=0.6)
    assert launch.decision is not None
    assert launch.decision.stop == "budget"
    assert launch.decision.elapsed_seconds >= 0.6
    assert launch.plan.cool_down is not None
    assert "the budget of 0.01 min is spent" in workplace.page.read_text()
