from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.campaign.cool_down import MARGIN_CELSIUS, CampaignClock, too_hot


class FakeMachine:
    """A clock that moves when one waits, and thermometers that say what they are told to, the last for ever."""

    def __init__(self, *readings: Mapping[str, float]) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.said: list[str] = []
        self._readings = list(readings)

    def celsius(self) -> Mapping[str, float]:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def clock(self) -> CampaignClock:
        clock = CampaignClock(self.celsius, clock=lambda: self.now, wait=self.wait)
        clock.note_start()
        return clock


def gpu(*celsius: float) -> Iterable[dict[str, float]]:
    return ({"gpu": each} for each in celsius)


def test_a_cool_machine_waits_for_nothing() -> None:
    machine = FakeMachine(*gpu(40.0, 43.0))
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds, machine.waits) == ("cool", 0.0, [])
    assert (found.start_celsius, found.before_celsius, found.after_celsius) == ({"gpu": 40.0}, {"gpu": 43.0}, {"gpu": 43.0})
    assert (found.most_seconds, found.margin_celsius) == (60.0, MARGIN_CELSIUS)
    assert machine.said == []


def test_a_warm_machine_waits_until_it_is_back_within_the_margin() -> None:
    machine = FakeMachine(*gpu(40.0, 70.0, 55.0, 43.1, 43.0))
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds, machine.waits) == ("cool", 3.0, [1.0, 1.0, 1.0])
    assert (found.before_celsius, found.after_celsius) == ({"gpu": 70.0}, {"gpu": 43.0})
    assert machine.said[0] == "cooling down: gpu 70 °C, was 40"


def test_a_machine_that_stays_warm_is_waited_for_no_longer_than_is_said() -> None:
    machine = FakeMachine(*gpu(40.0, 70.0))
    found = machine.clock().cool_down(2.5, say=machine.said.append)
    assert (found.outcome, found.waited_seconds, machine.waits) == ("time is up", 2.5, [1.0, 1.0, 0.5])
    assert found.after_celsius == {"gpu": 70.0}


def test_a_machine_without_a_thermometer_waits_for_nothing_and_says_why() -> None:
    machine = FakeMachine({})
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds, machine.waits) == ("no thermometer", 0.0, [])
    assert found.start_celsius == found.after_celsius == {}


def test_every_thermometer_is_waited_for() -> None:
    machine = FakeMachine(
        {"gpu": 40.0, "cpu": 50.0}, {"gpu": 41.0, "cpu": 80.0}, {"gpu": 60.0, "cpu": 52.0}, {"gpu": 40.0, "cpu": 50.0}
    )
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds) == ("cool", 2.0)
    assert machine.said == ["cooling down: cpu 80 °C, was 50", "cooling down: gpu 60 °C, was 40"]


def test_a_thermometer_that_falls_silent_is_not_waited_for() -> None:
    machine = FakeMachine({"gpu": 40.0, "cpu": 50.0}, {"gpu": 90.0, "cpu": 50.0}, {"cpu": 50.0})
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds, found.after_celsius) == ("cool", 1.0, {"cpu": 50.0})


def test_one_that_all_fall_silent_ends_as_no_thermometer() -> None:
    machine = FakeMachine({"gpu": 40.0}, {"gpu": 90.0}, {})
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds) == ("no thermometer", 1.0)


def test_a_thermometer_that_was_silent_at_the_start_has_nothing_to_be_held_against() -> None:
    machine = FakeMachine({"cpu": 50.0}, {"gpu": 90.0, "cpu": 50.0})
    found = machine.clock().cool_down(60.0, say=machine.said.append)
    assert (found.outcome, found.waited_seconds, found.before_celsius) == ("cool", 0.0, {"cpu": 50.0})


def test_every_launch_waits_for_the_campaign_s_start_and_not_for_the_last_launch_s() -> None:
    machine = FakeMachine(*gpu(40.0, 60.0, 50.0))
    clock = machine.clock()
    assert clock.cool_down(1.0, say=machine.said.append).outcome == "time is up"
    assert clock.cool_down(1.0, say=machine.said.append).start_celsius == {"gpu": 40.0}


def test_cooler_than_the_start_is_cool() -> None:
    assert too_hot({"gpu": 40.0}, {"gpu": 20.0}) == ()


def test_time_counts_from_when_it_is_asked_for_first() -> None:
    machine = FakeMachine({})
    clock = machine.clock()
    machine.now += 500
    assert clock.elapsed_seconds() == 0.0
    machine.now += 7
    assert clock.elapsed_seconds() == 7.0
