"""`strixbench bench local-cpu`: real models on real audio, no engine. How a bench ends, and what the harness makes of its launches,
is looked at in tests/stubbed."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from benchmarks.wire import MEMORY_METERS
from harness.analysis.waterfall import waterfall_of
from harness.catalog.load import load_catalog
from harness.inputs.audio import read_rttm
from harness.inputs.embedded import embedded_folder
from harness.records.journal import Pass
from harness.records.launch import Launch
from harness.workloads.diarization import WORKLOAD as DIARIZATION
from harness.workloads.diarization import der_of
from tests.commands import Workplace

ONE = ("--launches", "1", "--passes", "1", "--json")


class Sample(msgspec.Struct, frozen=True):
    """One launch on the whole sample, and what was printed and written of it."""

    launch: Launch
    stdout: str
    page: str


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, cache: Mapping[str, str]) -> Sample:
    """Many tests look at it, none changes it."""
    workplace = Workplace(tmp_path_factory.mktemp("sample"), cache)
    done = workplace.bench("local-cpu", "--launches", "1", "--passes", "2")
    assert done.code == 0, done.stderr
    (launch,) = workplace.stored()
    return Sample(launch, done.stdout, workplace.page.read_text())


def test_the_sample_is_diarized_right_and_both_tables_say_so(sample: Sample) -> None:
    assert "| local-cpu | local" in sample.stdout
    assert "PASS" in sample.stdout
    assert "30.0 s of audio" in sample.page
    assert "| local-cpu | local | cpu | ✅ | ✅ | ✅ | ✅ | ✅ | ✅ | ✅ |" in sample.page
    launch = sample.launch
    assert launch.verdict.status == "pass"
    assert launch.plan.workload.amount == 30.0
    assert launch.plan.workload.highest_error == load_catalog().audio["sample"].highest_der
    assert launch.said.found("verify").count("speakers") == 2
    assert der_of(launch) is not None
    assert der_of(launch) <= 0.08
    assert launch.peak_resident_bytes is not None
    assert launch.peak_resident_bytes > 200 << 20
    assert len(launch.pass_seconds("cold")) == 1
    assert len(launch.pass_seconds("warm")) == 2


def test_the_parts_of_a_pass_sum_to_the_whole(sample: Sample) -> None:
    passes = sample.launch.said.of(Pass)
    assert len(passes) == 3
    for each in passes:
        assert set(each.parts) == {"segmentation", "speaker counting", "embeddings", "clustering", "reconstruction", "rest"}
        assert set(each.processor_parts) == set(each.parts)
        assert sum(each.parts.number(name) or 0.0 for name in each.parts) == pytest.approx(each.seconds, rel=0.01)


def test_the_parts_of_a_launch_sum_to_its_whole_time(sample: Sample) -> None:
    found = waterfall_of(sample.launch)
    assert found is not None
    assert found.flaw is None
    assert found.share == pytest.approx(1.0, abs=0.01)
    assert 0 < found.seconds("load", "decode") < found.seconds("load", "models")
    assert found.processor_seconds("warm", "embeddings") == pytest.approx(
        sum(each.processor_parts.number("embeddings") or 0.0 for each in sample.launch.said.passes("warm"))
    )
    assert "Where the time goes" in sample.page


def test_the_guest_s_memory_meters_are_read_or_said_to_be_unavailable(sample: Sample) -> None:
    launch = sample.launch
    assert set(launch.memory) | set(launch.memory_unavailable) == set(MEMORY_METERS)
    assert launch.memory["resident_peak_bytes"] > 200 << 20
    assert launch.memory["tree_resident_peak_bytes"] >= launch.memory["resident_peak_bytes"]
    # A process of this host has no cgroup of its own.
    assert "cgroup_peak_bytes" in launch.memory_unavailable


def test_a_reference_with_swapped_names_gives_the_same_der(sample: Sample, tmp_path: Path) -> None:
    reference = embedded_folder() / "sample.rttm"
    names = sorted({speaker for _, _, _, speaker in read_rttm(reference)})
    swapped = dict(zip(names, reversed(names), strict=True))
    text = "".join(
        f"SPEAKER {recording} 1 {start} {duration} <NA> <NA> {swapped[speaker]} <NA> <NA>\n"
        for recording, start, duration, speaker in read_rttm(reference)
    )
    (tmp_path / "swapped.rttm").write_text(text)
    launch = sample.launch
    found = DIARIZATION.examine(launch.plan, launch.said, tmp_path / "swapped.rttm")
    assert found["der"] == pytest.approx(launch.findings["der"])


def test_audio_of_another_rate_and_two_channels_is_diarized(workplace: Workplace, tmp_path: Path) -> None:
    import numpy
    import soundfile
    import soxr

    samples, rate = soundfile.read(embedded_folder() / "sample.wav", dtype="float32")
    higher = soxr.resample(samples, rate, 44_100)
    soundfile.write(tmp_path / "call.flac", numpy.stack([higher, higher], axis=1), 44_100, subtype="PCM_24")
    reference = str(embedded_folder() / "sample.rttm")
    (launch,) = workplace.bench("local-cpu", "--audio", str(tmp_path / "call.flac"), "--reference", reference, *ONE).launches
    assert launch.plan.workload.input == "call-30s"
    assert der_of(launch) is not None
    assert der_of(launch) < 0.1


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "silent"])
def test_bad_audio_is_one_line_and_nothing_is_stored(workplace: Workplace, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.wav"
    good = (embedded_folder() / "sample.wav").read_bytes()
    if kind == "silent":
        with wave.open(str(path), "wb") as silent:
            silent.setnchannels(1)
            silent.setsampwidth(2)
            silent.setframerate(16_000)
            silent.writeframes(bytes(64_000))
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"no audio\n" * 100, "truncated": good[: len(good) // 2]}[kind])
    done = workplace.bench("local-cpu", "--audio", str(path))
    assert done.code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(path) in done.stderr
    assert not (tmp_path / "strixbench.db").exists()
