"""`accuracy` as far as it comes without an engine, and a campaign of it on a fake one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.wire import REQUEST
from harness.campaign.request import BenchRequest
from harness.catalog.select import foreign_image
from harness.commands.accuracy import going_on
from harness.engines.base import Run
from harness.inputs.audio import Audio
from harness.inputs.corpus_folder import CorpusFile, CorpusFolder
from harness.inputs.models import Models
from harness.records.outcome import ExitRecord
from harness.records.plan import Settings
from tests.unit.campaigns import CATALOG, CPU, OTHER, Bench
from tests.unit.command_line import Strixbench
from tests.unit.corpora import accuracy_journal, an_accuracy_launch, trying
from tests.unit.samples import FakeEngine, passing_journal, write_audio, write_journal, write_rttm


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    write_audio(folder / "one.wav")
    write_rttm(folder / "one.rttm", (0.0, 1.0, "a"), recording="one")
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pipeline", "synthetic"), "its weights are random, so there is nothing to score"),
        (("--collar", "-0.1"), "--collar -0.1 is not between 0 and 5 seconds"),
        (("--collar", "nan"), "--collar nan is not between"),
        (("--name", "../x"), "is no short name"),
        (("--files", "*.flac"), "has no recording that matches --files *.flac"),
        (("--timeout", "0"), "--timeout 0 is not between"),
        (("--references", "nowhere"), "nowhere is not a folder"),
        (("--report", "/"), "--report / is a folder"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_runs(
    strixbench: Strixbench, corpus: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    outcome = strixbench("accuracy", "local-cpu", "--corpus", corpus, *options)
    assert outcome.code == 2
    assert said in outcome.err
    assert not (tmp_path / "results" / "strixbench.db").exists()


def test_options_are_read_before_the_corpus(strixbench: Strixbench, tmp_path: Path) -> None:
    outcome = strixbench("accuracy", "local-cpu", "--corpus", tmp_path / "nowhere", "--memory", "abc")
    assert (outcome.code, outcome.err) == (2, "strixbench: --memory 'abc' is not a size such as 512m or 8g\n")


def test_a_corpus_must_be_named(strixbench: Strixbench) -> None:
    outcome = strixbench("accuracy", "local-cpu")
    assert (outcome.code, outcome.err) == (2, "strixbench: name a folder of recordings and their .rttm files: --corpus DIR\n")


def test_the_family_of_a_foreign_image_is_found_without_the_task(bench: Bench) -> None:
    asked = []

    def guest(run: Run) -> ExitRecord:
        request = json.loads((run.exchange / REQUEST).read_text())
        asked.append((request["task"], request["last_stage"]))
        write_journal(run.exchange, accuracy_journal([]) if request["task"] else passing_journal(last_stage="import"))
        return ExitRecord(started=True, code=0)

    settings = Settings(options={"files": []})
    campaign = bench.run(FakeEngine(guest), images=[foreign_image("softab:x", family=None)], settings=settings)
    assert asked == [("", "import"), ("accuracy", "device")]
    assert [launch.verdict.status for launch in campaign.launches] == ["pass"]


def test_the_launch_behind_a_crash_is_of_the_same_cell_and_begins_behind_it(tmp_path: Path) -> None:
    audio = Audio(name="AMI-3-files", path=tmp_path / "a.wav", seconds=180.0, sha256="a" * 64)
    files = tuple(CorpusFile(name=f"f{index}", seconds=60.0, limit_seconds=100.0) for index in range(3))
    laid = CorpusFolder(path=tmp_path, truth=tmp_path / "truth", sha256="a" * 64, first=audio, files=files)
    request = BenchRequest(
        images=(CPU, msgspec.structs.replace(OTHER, family=None)),
        gfx=None,
        pipeline=CATALOG.pipelines["embedded"],
        recordings=(audio,),
        models=Models(folder=None, environment=()),
        engine="podman",
        launches=1,
        settings=Settings(task="accuracy", options={"run": "r", "first": 0}, timeout_seconds=900.0, label="kept"),
    )
    ended = an_accuracy_launch(1, [trying(0)], ends=False, image="other", variant="cpu+miopen-off")
    again = going_on(request, ended, laid, 1)
    assert [(image.name, image.family) for image in again.images] == [("other", "cpu")]
    assert again.gfx == "cpu"
    assert again.settings.options == {"run": "r", "first": 1}
    assert again.settings.timeout_seconds == 600.0 + 200.0
    assert again.settings.label == "kept"
