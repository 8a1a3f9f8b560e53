"""What a campaign has sampled beside its launches, over a fake engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.wire import STEPS
from harness.campaign.campaign import QUIET_SECONDS
from harness.engines.base import Run
from harness.launch.plan import TELEMETRY
from harness.records.outcome import ExitRecord
from harness.records.plan import Settings
from tests.unit.campaigns import CPU, OTHER, Bench
from tests.unit.samples import FakeEngine, guest_that_raises, passes

SAMPLE = '{"hertz": 2.0}\n{"at": 1.0, "values": {"made_up_bytes": 5.0}}\n'


class FakeSampler:
    """In place of `harness.telemetry.start.sampling`: writes one made-up sample, and remembers what it was asked for."""

    def __init__(self, text: str = SAMPLE) -> None:
        self.text = text
        self.asked: list[dict[str, Any]] = []
        self.at_work = 0

    @contextlib.contextmanager
    def __call__(self, exchange: Path, *, into: Path, **asked: Any) -> Iterator[None]:
        self.asked.append({"exchange": exchange, "into": into, **asked})
        self.at_work += 1
        into.write_text(self.text)
        try:
            yield
        finally:
            self.at_work -= 1

    @property
    def quiet_seconds(self) -> list[float]:
        """Of each launch, in their order."""
        return [asked["quiet_seconds"] for asked in self.asked]


def test_what_was_sampled_is_stored_with_the_launch(bench: Bench) -> None:
    engine, sampler = FakeEngine(), FakeSampler()
    bench.run(engine, sample=sampler)
    (launch,) = bench.store.launches()
    assert launch.telemetry is not None
    assert launch.telemetry.series == {"made_up_bytes": (5.0,)}
    (asked,) = sampler.asked
    assert asked["into"].name == TELEMETRY
    assert asked["into"].parent == engine.runs[0].exchange.parent, "where the container cannot write"
    assert asked["exchange"] == engine.runs[0].exchange
    assert (asked["gpu"], asked["is_nvidia"]) == (None, False)


def test_the_sampler_runs_while_the_engine_runs_and_no_longer(bench: Bench) -> None:
    sampler, seen = FakeSampler(), []

    def guest(run: Run) -> ExitRecord:
        seen.append(sampler.at_work)
        return passes(run)

    bench.run(FakeEngine(guest), launches=2, sample=sampler)
    assert (seen, sampler.at_work) == ([1, 1], 0)


def test_an_interrupt_ends_the_sampler_and_keeps_what_it_wrote(bench: Bench) -> None:
    sampler = FakeSampler()
    with contextlib.suppress(KeyboardInterrupt):
        bench.run(FakeEngine(guest_that_raises(KeyboardInterrupt())), sample=sampler)
    assert sampler.at_work == 0
    (launch,) = bench.store.launches()
    assert (launch.verdict.cause, launch.telemetry is not None) == ("interrupted", True)


def test_what_is_slow_to_read_is_read_at_every_sample_of_a_calibration_alone(bench: Bench) -> None:
    sampler = FakeSampler()
    bench.run(sample=sampler)
    options = {"sizes_bytes": [1], "hold_seconds": 3.0}
    bench.run(sample=sampler, settings=Settings(options=options), workload="calibrate")
    assert [asked["is_thorough"] for asked in sampler.asked] == [False, True]


def test_the_idle_host_is_sampled_once_a_campaign(bench: Bench) -> None:
    sampler = FakeSampler()
    bench.run(sample=sampler, images=(CPU, OTHER), launches=2)
    assert sampler.quiet_seconds == [QUIET_SECONDS, 0.0, 0.0, 0.0]


def test_where_the_first_sampler_could_not_start_the_next_launch_has_the_quiet_time(bench: Bench) -> None:
    sampler = FakeSampler(text="")
    bench.run(sample=sampler, launches=2)
    assert sampler.quiet_seconds == [QUIET_SECONDS, QUIET_SECONDS]


IDLE = SAMPLE.splitlines()[0] + "".join(f'\n{{"at": {at}.0, "values": {{"socket_power_watts": 9.0}}}}' for at in range(1, 6))


def test_where_the_first_launch_never_wrote_a_line_the_next_one_has_the_quiet_time(bench: Bench) -> None:
    """Nobody knows when the idle time of such a launch ended."""

    def silent_at_first(run: Run) -> ExitRecord:
        return ExitRecord(started=True, code=125) if len(sampler.asked) == 1 else passes(run)

    sampler = FakeSampler(text=IDLE)
    bench.run(FakeEngine(silent_at_first), sample=sampler, images=(CPU, OTHER), launches=2)
    assert (sampler.quiet_seconds[:2], set(sampler.quiet_seconds[2:])) == ([QUIET_SECONDS, QUIET_SECONDS], {0.0})


def test_a_probe_has_no_passes_whose_energy_could_be_of_interest(bench: Bench) -> None:
    sampler = FakeSampler()
    bench.run(sample=sampler, settings=Settings(options={"steps": STEPS}), workload="probe")
    assert sampler.quiet_seconds == [0.0]
