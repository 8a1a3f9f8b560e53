"""What the guest says the time of a load and of a pass was spent on: pyannote's stubs, the real guest."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.meter import Stopwatch
from benchmarks.workloads.diarization.diarize import timed_callables

from .stubs import Ended, Stubs, run_guest

SPIN = "import time\nuntil = time.process_time() + 0.05\nwhile time.process_time() < until: pass"


def test_the_parts_of_each_pass_sum_to_the_whole(whole: Ended) -> None:
    passes = whole.events("pass")
    assert [(event["stage"], event["index"]) for event in passes] == [("cold", 0), ("warm", 0), ("warm", 1)]
    named = {"segmentation", "speaker counting", "embeddings", "clustering", "reconstruction", "rest"}
    for event in passes:
        assert set(event["parts"]) == set(event["processor_parts"]) == named
        assert sum(event["parts"].values()) == pytest.approx(event["seconds"])
        assert sum(event["processor_parts"].values()) == pytest.approx(event["processor_seconds"])


def test_the_parts_of_the_load_are_told_and_fit_into_it(whole: Ended) -> None:
    end = whole.end("load")
    assert list(end["parts"]) == list(end["processor_parts"]) == ["decode", "models", "to device"]
    assert 0 < sum(end["parts"].values()) <= end["seconds"]


def test_each_stage_tells_its_processor_seconds(whole: Ended) -> None:
    ends = whole.events("end")
    assert len(ends) == 7
    assert all(event["processor_seconds"] >= 0 for event in ends)
    assert whole.end("launch")["processor_seconds_before"] > 0


@pytest.mark.parametrize("version", ["3.4.0+stub", "4.0.7+stub"])
def test_clustering_is_told_apart_from_reconstruction(tmp_path: Path, version: str) -> None:
    ended = run_guest(tmp_path, Stubs(misbehave={"cluster": SPIN}, pyannote_audio=version))
    for event in ended.events("pass"):
        assert event["parts"]["clustering"] >= 0.05
        assert event["processor_parts"]["clustering"] >= 0.05
        assert event["processor_parts"]["reconstruction"] < 0.05
        assert event["processor_parts"]["embeddings"] < 0.05


class Registered:
    """What pyannote.pipeline does with a sub-pipeline: it is in a registry and found by ``__getattr__``."""

    metric = "cosine"

    def __call__(self, value: int) -> int:
        return value + 1


class FakePipeline:
    """A fake of pyannote's: one sub-pipeline of the registry, one method, and nothing else that is timed."""

    def __init__(self) -> None:
        self._pipelines = {"clustering": Registered()}

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_pipelines"][name]
        except KeyError:
            raise AttributeError(name) from None

    def reconstruct(self, value: int) -> int:
        return self.clustering(value) + 1 if value else 0


def test_timing_changes_neither_answers_nor_attributes_and_leaves_nothing_behind() -> None:
    pipeline = FakePipeline()
    before = list(vars(pipeline))
    watch = Stopwatch(lambda: None)
    with timed_callables(pipeline, watch):
        assert pipeline.clustering(1) == 2
        assert pipeline.clustering.metric == "cosine"
        assert pipeline.reconstruct(0) == 0
    assert list(vars(pipeline)) == before
    assert isinstance(pipeline.clustering, Registered)
    assert set(watch.stop()["parts"]) == {"rest", "clustering", "reconstruction"}


def test_what_an_instance_had_of_its_own_is_put_back_even_after_an_exception() -> None:
    pipeline = FakePipeline()
    pipeline.clustering = own = Registered()
    with pytest.raises(TypeError), timed_callables(pipeline, Stopwatch(lambda: None)):
        pipeline.clustering("a")
    assert vars(pipeline)["clustering"] is own


def test_a_call_that_fails_is_timed_as_well() -> None:
    watch = Stopwatch(lambda: None)

    def fail() -> None:
        time.sleep(0.01)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        watch.timed("clustering", fail)()
    assert watch.stop()["parts"]["clustering"] >= 0.01
