"""What is told of a pipeline's output. pyannote.core is a stub here (see `tests.guest.stubs`)."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.workloads.diarization import output

from .stubs import Stubs, Turns


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The stub pyannote.core, for this test alone."""
    names = ("stub_settings", "pyannote")
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(Stubs().write(tmp_path / "stubs"))
    yield importlib.import_module("pyannote.core")
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]


def annotated(core: ModuleType, turns: Turns) -> Any:
    """A hypothesis."""
    annotation = core.Annotation(uri="stub")
    for track, (start, end, speaker) in enumerate(turns):
        annotation[core.Segment(start, end), track] = speaker
    return annotation


def described(core: ModuleType, *outputs: Turns) -> dict[str, Any]:
    """What `output.describe` makes of the passes' outputs."""
    return output.describe([annotated(core, turns) for turns in outputs])


def test_the_last_pass_speaks_for_all(core: ModuleType) -> None:
    told = described(core, ((0.0, 1.0, "A"),), ((0.0, 2.0, "A"), (1.5, 3.0, "B")))
    assert (
        told["rttm"] == "SPEAKER stub 1 0.000 2.000 <NA> <NA> A <NA> <NA>\nSPEAKER stub 1 1.500 1.500 <NA> <NA> B <NA> <NA>\n"
    )
    assert (told["speakers"], told["speech_seconds"], told["finite"]) == (2, 3.0, True)


def test_distinct_outputs_counts_different_ones_and_not_passes(core: ModuleType) -> None:
    one, other = ((0.0, 1.0, "A"),), ((0.0, 1.0, "B"),)
    assert described(core, one, one, one)["distinct_outputs"] == 1
    assert described(core, one, other, one)["distinct_outputs"] == 2


def test_no_speech_at_all_is_described_too(core: ModuleType) -> None:
    told = described(core, ())
    assert (told["rttm"], told["speakers"], told["speech_seconds"], told["finite"]) == ("", 0, 0, True)


class UncheckedAnnotation:
    """An annotation that, unlike pyannote.core's, lets a turn with NaN in."""

    def __init__(self, core: ModuleType, start: float, end: float) -> None:
        self._segment = core.Segment(start, end)
        self._timeline = core.Timeline([(start, end)])

    def labels(self) -> list[str]:
        return ["A"]

    def itersegments(self) -> list[Any]:
        return [self._segment]

    def get_timeline(self) -> Any:
        return self._timeline

    def write_rttm(self, file: Any) -> None:
        file.write(f"SPEAKER stub 1 {self._segment.start} {self._segment.end} <NA> <NA> A <NA> <NA>\n")


@pytest.mark.parametrize(
    ("start", "end"), [(float("nan"), 1.0), (0.0, float("nan")), (0.0, float("inf")), (float("-inf"), 1.0)]
)
def test_a_turn_that_is_not_finite_is_told_in_words_that_a_journal_can_hold(core: ModuleType, start: float, end: float) -> None:
    told = output.describe([UncheckedAnnotation(core, start, end)])
    assert told["finite"] is False
    assert json.dumps(told, allow_nan=False)
