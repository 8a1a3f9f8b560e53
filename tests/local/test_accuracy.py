"""`strixbench accuracy local-cpu` on a corpus made from the sample, against pyannote.metrics computed by hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.inputs.audio import read_rttm
from harness.inputs.embedded import embedded_folder
from tests.commands import Workplace
from tests.local.stacks import local_python

Turn = tuple[float, float, str]

BY_HAND = """
import json, sys, warnings
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate, JaccardErrorRate
warnings.simplefilter("ignore")

def annotation(rttm):
    found = Annotation()
    for number, line in enumerate(rttm.splitlines()):
        _, _, _, start, duration, _, _, who, _, _ = line.split()
        found[Segment(float(start), float(start) + float(duration)), number] = who
    return found

metrics = {"strict": DiarizationErrorRate(), "collar": DiarizationErrorRate(collar=0.5), "jer": JaccardErrorRate()}
files = {}
for name, (reference, hypothesis, uem) in json.load(sys.stdin).items():
    regions = Timeline([Segment(*region) for region in uem]) if uem else None
    files[name] = {key: metric(annotation(reference), annotation(hypothesis), uem=regions) for key, metric in metrics.items()}
json.dump({"files": files, "all": {key: abs(metric) for key, metric in metrics.items()}}, sys.stdout)
"""
"""Its own reading of RTTM; 0.25 s on each side is pyannote.metrics' collar of 0.5."""


class Made:
    """A corpus under construction, laid out as VoxConverse is."""

    def __init__(self, folder: Path) -> None:
        import soundfile

        self.folder = folder
        for name in ("audio", "dev", "uem"):
            (folder / name).mkdir(parents=True)
        self._samples, self._rate = soundfile.read(embedded_folder() / "sample.wav", dtype="int16")
        self._turns = [(start, duration, who) for _, start, duration, who in read_rttm(embedded_folder() / "sample.rttm")]

    def write(self, name: str, *pieces: tuple[float, float], uem: Sequence[tuple[float, float]] = ()) -> None:
        """A recording of pieces (start and end) of the sample, one behind the other, with what is said in them."""
        import numpy
        import soundfile

        cuts, turns, at = [], [], 0.0
        for start, end in pieces:
            cuts.append(self._samples[round(start * self._rate) : round(end * self._rate)])
            turns += [
                (max(begun, start) - start + at, min(begun + duration, end) - max(begun, start), who)
                for begun, duration, who in self._turns
                if min(begun + duration, end) > max(begun, start)
            ]
            at += end - start
        soundfile.write(self.folder / "audio" / f"{name}.wav", numpy.concatenate(cuts), self._rate)
        self.refer(name, turns)
        if uem:
            (self.folder / "uem" / f"{name}.uem").write_text("".join(f"{name} 1 {a} {b}\n" for a, b in uem))

    def refer(self, name: str, turns: Sequence[Turn]) -> None:
        """A reference."""
        lines = (f"SPEAKER {name} 1 {a:.3f} {d:.3f} <NA> <NA> {who} <NA> <NA>\n" for a, d, who in turns)
        (self.folder / "dev" / f"{name}.rttm").write_text("".join(lines))

    def reference(self, name: str) -> str:
        return (self.folder / "dev" / f"{name}.rttm").read_text()


def by_hand(files: dict[str, tuple[str, str, Sequence[tuple[float, float]]]]) -> dict[str, Any]:
    """DER, with a collar and without, and JER, by file and in all: of reference, hypothesis and UEM."""
    done = subprocess.run(
        (str(local_python()), "-c", BY_HAND), input=json.dumps(files), capture_output=True, text=True, timeout=300, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_corpus_is_scored_as_by_hand_and_a_broken_recording_costs_its_row(workplace: Workplace, tmp_path: Path) -> None:
    made = Made(tmp_path / "corpus")
    regions = [(1.0, 4.5), (6.0, 9.0)]
    made.write("cut", (5.0, 14.0))
    made.write("joined", (18.0, 24.0), (8.0, 12.0), uem=regions)
    made.write("repeated", (18.0, 22.0), (18.0, 22.0))
    (made.folder / "audio" / "broken.wav").write_bytes(b"RIFF but no audio" * 20)
    made.refer("broken", [(0.0, 1.0, "a")])
    made.write("unheard", (18.0, 20.0))
    (made.folder / "dev" / "unheard.rttm").unlink()
    done = workplace.run("accuracy", "local-cpu", "--corpus", str(made.folder), "--name", "made", "--json")
    assert done.code == 1, done.stderr
    (told,) = json.loads(done.stdout)
    (launch,) = workplace.stored()
    assert (launch.verdict.status, launch.verdict.stage) == ("pass", "accuracy")
    assert launch.plan.cell == "local-cpu/cpu/embedded/made-3-files"

    said = {event["index"]: event["rttm"] for event in launch.results if event["outcome"] == "ok"}
    names = [file["name"] for file in launch.plan.options["files"]]
    assert names == ["cut", "joined", "repeated"]
    uems = {"joined": regions}
    expected = by_hand(
        {name: (made.reference(name), said[index], uems.get(name, ())) for index, name in enumerate(names)},
    )
    files = {file["name"]: file for file in told["files"]}
    for name in names:
        assert files[name]["outcome"] == "ok"
        assert files[name]["der"] == pytest.approx(expected["files"][name]["strict"], abs=1e-9)
        assert files[name]["der_with_collar"] == pytest.approx(expected["files"][name]["collar"], abs=1e-9)
        of_file = files[name]["jaccard_error"] / files[name]["jaccard_speakers"]
        assert of_file == pytest.approx(expected["files"][name]["jer"], abs=1e-9)
    assert told["strict"]["der"] == pytest.approx(expected["all"]["strict"], abs=1e-9)
    assert told["collar"]["der"] == pytest.approx(expected["all"]["collar"], abs=1e-9)
    assert told["jer"] == pytest.approx(expected["all"]["jer"], abs=1e-9)
    assert 0 < told["strict"]["der"] < 0.5
    assert told["strict"]["interval"] is None, "three recordings are too few for one"
    without = by_hand({"joined": (made.reference("joined"), said[1], ())})
    assert files["joined"]["der"] != pytest.approx(without["files"]["joined"]["strict"]), "the UEM changed nothing"

    assert (files["broken"]["outcome"], files["unheard"]["outcome"]) == ("left out", "unscored")
    assert "broken.wav is not audio that libsndfile reads" in files["broken"]["why"]
    assert (told["scored"], told["failed"]) == (3, 1)
    seconds = sum(event["seconds"] for event in launch.results if event["outcome"] == "ok")
    assert told["hours_an_hour"] == pytest.approx((9 + 10 + 8) / seconds)
