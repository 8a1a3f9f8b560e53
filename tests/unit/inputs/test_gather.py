from __future__ import annotations

from pathlib import Path

import pytest

from harness.catalog.load import load_catalog
from harness.catalog.rows import AudioRow, Catalog
from harness.errors import UsageError
from harness.inputs.gather import locate_inputs
from harness.inputs.launch_inputs import Inputs
from tests.unit.samples import write_audio, write_rttm


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """The shipped catalog with a recording of which it is known what is right."""
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / "cache"))
    file = write_audio(tmp_path / "call.wav")
    reference = write_rttm(tmp_path / "call.rttm", (0.0, 1.0, "a"))
    catalog = load_catalog()
    row = AudioRow(name="call", file=str(file), reference=str(reference), highest_der=0.08)
    catalog.audio["call"] = row
    return catalog


def located(
    known: Catalog, pipeline: str = "embedded", *, reference: Path | None = None, seconds: float | None = None
) -> Inputs:
    return locate_inputs(known, pipeline, "call", reference, seconds)


def test_what_is_right_is_known_of_the_whole_recording_with_the_pipeline_that_can_be_scored(
    known: Catalog, tmp_path: Path
) -> None:
    assert located(known).highest_error == 0.08
    assert located(known, "3.1").highest_error is None
    assert located(known, seconds=1.0).highest_error is None
    other = write_rttm(tmp_path / "other.rttm", (0.0, 1.5, "a"))
    assert located(known, reference=other).highest_error is None


def test_the_reference_is_what_the_host_scores_by_and_no_file_of_the_guest(known: Catalog) -> None:
    found = located(known)
    assert found.truth is not None
    assert found.truth.suffix == ".rttm"
    assert found.truth not in found.files.values()


def test_random_weights_are_scored_by_nothing(known: Catalog, tmp_path: Path) -> None:
    found = located(known, "synthetic")
    assert (found.truth, found.highest_error, set(found.files)) == (None, None, {"audio"})
    with pytest.raises(UsageError, match="its weights are random"):
        located(known, "synthetic", reference=tmp_path / "call.rttm")
