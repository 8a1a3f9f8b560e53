"""Whether the output is right. pyannote.core and pyannote.metrics are stubs here (see `tests.guest.stubs`)."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.workloads.diarization import output as output_of

from .stubs import Stubs, Turns, write_rttm

TRUTH: Turns = ((0.0, 2.0, "anna"), (1.0, 3.0, "ben"))


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


def described(core: ModuleType, *outputs: Turns, reference: Path | None = None) -> dict[str, Any]:
    """What `output_of.describe` makes of the passes' outputs."""
    return output_of.describe([annotated(core, turns) for turns in outputs], reference=str(reference) if reference else None)


def test_the_last_pass_speaks_for_all(core: ModuleType) -> None:
    output = described(core, ((0.0, 1.0, "A"),), ((0.0, 2.0, "A"), (1.5, 3.0, "B")))
    assert (
        output["rttm"] == "SPEAKER stub 1 0.000 2.000 <NA> <NA> A <NA> <NA>\nSPEAKER stub 1 1.500 1.500 <NA> <NA> B <NA> <NA>\n"
    )
    assert (output["speakers"], output["speech_seconds"], output["finite"]) == (2, 3.0, True)


def test_distinct_outputs_counts_different_ones_and_not_passes(core: ModuleType) -> None:
    one, other = ((0.0, 1.0, "A"),), ((0.0, 1.0, "B"),)
    assert described(core, one, one, one)["distinct_outputs"] == 1
    assert described(core, one, other, one)["distinct_outputs"] == 2


def test_no_speech_at_all_is_described_too(core: ModuleType) -> None:
    output = described(core, ())
    assert (output["rttm"], output["speakers"], output["speech_seconds"], output["finite"]) == ("", 0, 0, True)


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
    output = output_of.describe([UncheckedAnnotation(core, start, end)], reference=None)
    assert output["finite"] is False
    assert json.dumps(output, allow_nan=False)


def test_without_a_reference_there_is_no_der(core: ModuleType) -> None:
    assert described(core, TRUTH)["der"] is None


def test_each_kind_of_error_is_told_in_seconds(core: ModuleType, tmp_path: Path) -> None:
    reference = write_rttm(tmp_path / "reference.rttm", TRUTH)
    # pyannote.metrics 4.2.0 itself gives these for this pair.
    assert described(core, ((0.0, 1.5, "X"), (2.0, 4.0, "Y")), reference=reference)["der"] == pytest.approx(
        {"missed_seconds": 1.5, "false_alarm_seconds": 1.0, "confusion_seconds": 0.0, "total_seconds": 4.0}
    )


def test_the_same_speech_under_other_names_is_no_error(core: ModuleType, tmp_path: Path) -> None:
    der = described(core, ((0.0, 2.0, "X"), (1.0, 3.0, "Y")), reference=write_rttm(tmp_path / "reference.rttm", TRUTH))["der"]
    assert der == pytest.approx(
        {"missed_seconds": 0.0, "false_alarm_seconds": 0.0, "confusion_seconds": 0.0, "total_seconds": 4.0}
    )


# The reference


def turns_of(path: Path) -> list[tuple[float, float, str]]:
    """The turns that `output_of.read_rttm` finds."""
    return [(s.start, s.end, label) for s, _, label in output_of.read_rttm(str(path)).itertracks(yield_label=True)]


def test_a_reference_is_read_as_it_was_written(core: ModuleType, tmp_path: Path) -> None:
    assert turns_of(write_rttm(tmp_path / "reference.rttm", TRUTH)) == list(TRUTH)


def test_two_speakers_at_the_very_same_time_are_both_kept(core: ModuleType, tmp_path: Path) -> None:
    both: Turns = ((0.0, 1.0, "anna"), (0.0, 1.0, "ben"))
    assert turns_of(write_rttm(tmp_path / "reference.rttm", both)) == list(both)


def test_lines_of_other_kinds_are_passed_over(core: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "reference.rttm"
    path.write_text("; a comment\n\nSPKR-INFO stub 1 <NA> <NA>\nSPEAKER stub 1 0.5 1.5 <NA> <NA> anna <NA> <NA>\r\n")
    assert turns_of(path) == [(0.5, 2.0, "anna")]


def test_a_byte_order_mark_does_not_cost_the_first_turn(core: ModuleType, tmp_path: Path) -> None:
    path = write_rttm(tmp_path / "reference.rttm", TRUTH)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert turns_of(path) == list(TRUTH)


@pytest.mark.parametrize(
    "line",
    [
        "SPEAKER stub 1 zero 1.0 <NA> <NA> anna",
        "SPEAKER stub 1 0.0",
        "SPEAKER",
        "SPEAKER stub 1 0.0 nan <NA> <NA> anna",
        "SPEAKER stub 1 0.0 inf <NA> <NA> anna",
    ],
)
def test_a_line_that_is_not_rttm_is_refused_by_its_number(core: ModuleType, tmp_path: Path, line: str) -> None:
    path = tmp_path / "reference.rttm"
    path.write_text(f"SPEAKER stub 1 0.0 1.0 <NA> <NA> anna <NA> <NA>\n{line}\n")
    with pytest.raises(output_of.BadReference, match="line 2 of the reference"):
        output_of.read_rttm(str(path))
