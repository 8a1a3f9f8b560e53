"""What an engine tells of a container's memory, asked beside a launch. The engines are fakes, and so are their numbers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from harness.engines.container import stats_memory
from harness.errors import EngineError
from harness.launch.engine_stats import StatsWatch
from harness.records.outcome import ExitRecord
from harness.records.plan import Settings
from tests.unit.campaigns import Bench
from tests.unit.samples import FakeEngine, passes

WAIT_SECONDS = 10


class TellingEngine(FakeEngine):
    """A fake engine that gives these answers in turn, the last for ever, and knows when it has."""

    def __init__(self, *answers: Mapping[str, int] | EngineError, **more: Any) -> None:
        super().__init__(**more)
        self._answers = list(answers)
        self.told = threading.Event()

    def memory_stats(self, name: str) -> Mapping[str, int]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if len(self._answers) == 1:
            self.told.set()
        if isinstance(answer, EngineError):
            raise answer
        return answer


def watched(engine: TellingEngine) -> StatsWatch:
    """A watch that was stopped when all was told."""
    with StatsWatch(engine, "strixbench-1", hertz=1000.0) as watch:
        assert engine.told.wait(WAIT_SECONDS)
    return watch


def test_each_answer_is_a_sample_with_its_time() -> None:
    taken = watched(TellingEngine({"stats_usage_bytes": 5}, {"stats_usage_bytes": 7}, {})).taken
    assert taken.series["stats_usage_bytes"][:2] == (5.0, 7.0)
    assert len(taken.times) == len(taken.series["stats_usage_bytes"])
    assert list(taken.times) == sorted(taken.times)
    assert taken.sources == {"stats_usage_bytes": "podman stats"}
    assert taken.unavailable == {"stats_shown_bytes": "this engine does not tell it"}


def test_a_container_that_does_not_run_yet_is_a_gap_and_no_end() -> None:
    taken = watched(TellingEngine(EngineError("no such container"), {"stats_usage_bytes": 7}, {})).taken
    assert taken.series["stats_usage_bytes"][:2] == (None, 7.0)


def test_an_engine_that_never_answers_says_why() -> None:
    taken = watched(TellingEngine(EngineError("first"), EngineError("podman failed at telling a container's memory"))).taken
    assert taken.series == {}
    assert set(taken.unavailable.values()) <= {"first", "podman failed at telling a container's memory"}


def test_an_answer_that_does_not_come_keeps_nobody() -> None:
    asked, released = threading.Event(), threading.Event()

    class HangingEngine(FakeEngine):
        """A fake whose answer is held back."""

        def memory_stats(self, name: str) -> Mapping[str, int]:
            asked.set()
            released.wait(WAIT_SECONDS)
            return {}

    with StatsWatch(HangingEngine(), "strixbench-1", wait_seconds=0.01) as watch:
        assert asked.wait(WAIT_SECONDS)
    assert watch.taken.times == ()
    assert not released.is_set()
    released.set()


def test_a_calibration_is_stored_with_what_the_engine_told_and_another_launch_without(bench: Bench) -> None:
    engine = TellingEngine({}, {"stats_usage_bytes": 7})

    def waits(run: Any) -> ExitRecord:
        assert engine.told.wait(WAIT_SECONDS)
        return passes(run)

    engine.guest = waits
    settings = Settings(options={"sizes_bytes": [1 << 29], "hold_seconds": 0.1})
    (launch,) = bench.run(engine, settings=settings, workload="calibrate").launches
    (kept,) = bench.store.launches()
    assert kept == launch
    assert launch.engine_stats is not None
    assert launch.plan.options == {"sizes_bytes": [1 << 29], "hold_seconds": 0.1}
    (usual,) = bench.run(TellingEngine({"stats_usage_bytes": 7})).launches
    assert usual.engine_stats is None


def test_a_process_of_the_host_is_not_asked(bench: Bench) -> None:
    (launch,) = bench.run(FakeEngine(name="local"), preference="podman", workload="calibrate").launches
    assert launch.engine_stats is None


@pytest.mark.parametrize(
    ("memory", "engine", "told"),
    [
        ({"usage": 100, "stats": {"inactive_file": 30}}, "docker", {"stats_usage_bytes": 100, "stats_shown_bytes": 70}),
        (
            {"usage": 100, "stats": {"inactive_file": 5, "total_inactive_file": 30}},
            "docker",
            {"stats_usage_bytes": 100, "stats_shown_bytes": 70},
        ),
        ({"usage": 100, "stats": {"inactive_file": 130}}, "docker", {"stats_usage_bytes": 100, "stats_shown_bytes": 100}),
        ({"usage": 100}, "podman", {"stats_usage_bytes": 100}),
        ({"usage": 100, "stats": {"inactive_file": 30}}, "podman", {"stats_usage_bytes": 100}),
        ({"usage": 0}, "podman", {}),
        ({"usage": True}, "podman", {}),
        ({}, "docker", {}),
        (None, "docker", {}),
        ([], "docker", {}),
    ],
)
def test_the_answer_of_an_engine_is_read_as_its_command_line_prints_it(memory: Any, engine: Any, told: dict[str, int]) -> None:
    assert stats_memory({"memory_stats": memory}, engine) == told


@pytest.mark.parametrize("answer", [None, [], "stats", {}])
def test_an_answer_that_is_none_tells_nothing(answer: Any) -> None:
    assert stats_memory(answer, "docker") == {}
