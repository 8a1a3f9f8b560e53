"""`strixbench bench local-cpu`: real models on real audio, no engine."""

from __future__ import annotations

import json
import os
import signal
import wave
from pathlib import Path

import pytest

from benchmarks.wire import MEMORY_METERS
from harness import places
from harness.analysis.cold_and_warm import phase_of
from harness.analysis.waterfall import waterfall_of
from harness.inputs.audio import read_rttm
from harness.inputs.embedded import embedded_folder
from tests.commands import Workplace, wait_until

ONE = ("local-cpu", "--launches", "1", "--passes", "1")
SHORT = (*ONE, "--audio-seconds", "10")


def test_the_sample_is_diarized_right_and_both_tables_say_so(workplace: Workplace) -> None:
    done = workplace.bench("local-cpu", "--launches", "2", "--passes", "2")
    assert done.code == 0, done.stderr
    assert "| local-cpu | local" in done.stdout
    assert "PASS" in done.stdout
    page = workplace.page.read_text()
    assert "30.0 s of audio" in page
    assert "| local-cpu | local | cpu | ✅ | ✅ | ✅ | ✅ | ✅ | ✅ | ✅ |" in page
    for launch in workplace.stored():
        assert launch.verdict.status == "pass"
        assert launch.plan.workload.audio_seconds == 30.0
        assert launch.output["speakers"] == 2
        assert launch.der is not None
        assert launch.der <= 0.08
        assert launch.peak_resident_bytes is not None
        assert launch.peak_resident_bytes > 200 << 20
        assert len(launch.pass_seconds("cold")) == 1
        assert len(launch.pass_seconds("warm")) == 2


def test_the_parts_of_a_pass_sum_to_the_whole(workplace: Workplace) -> None:
    (launch,) = workplace.bench(*SHORT, "--json").launches
    passes = [event for event in launch.journal if event["event"] == "pass"]
    assert len(passes) == 2
    for event in passes:
        assert set(event["parts"]) == {"segmentation", "speaker counting", "embeddings", "clustering", "reconstruction", "rest"}
        assert set(event["processor_parts"]) == set(event["parts"])
        assert sum(event["parts"].values()) == pytest.approx(event["seconds"], rel=0.01)


def test_the_parts_of_a_launch_sum_to_its_whole_time(workplace: Workplace) -> None:
    (launch,) = workplace.bench(*SHORT, "--json").launches
    found = waterfall_of(launch)
    assert found is not None
    assert found.flaw is None
    assert found.share == pytest.approx(1.0, abs=0.01)
    assert found.seconds("between stages") < 0.05 * found.wall_seconds
    assert 0 < found.seconds("load", "decode") < found.seconds("load", "models")
    assert found.processor_seconds("warm", "embeddings") == pytest.approx(
        sum(e["processor_parts"]["embeddings"] for e in launch.journal if e["event"] == "pass" and e["stage"] == "warm")
    )
    assert "Where the time goes" in workplace.page.read_text()


def test_a_kept_cache_makes_second_launches_and_a_cpu_puts_no_kernel_into_it(workplace: Workplace, tmp_path: Path) -> None:
    kept = Workplace(workplace.results, {"STRIXBENCH_CACHE": str(tmp_path / "cache")})
    (tmp_path / "cache").mkdir()
    for path in places.cache().iterdir():  # the user's models and environments, and caches of this test's own
        if path.name != "kernels":
            (tmp_path / "cache" / path.name).symlink_to(path)
    done = kept.bench("local-cpu", "--launches", "2", "--passes", "1", "--audio-seconds", "10", "--caches", "keep", "--json")
    assert [phase_of(launch) for launch in done.launches] == ["cold", "second"]
    assert [launch.caches.files_after for launch in done.launches if launch.caches] == [0, 0]
    assert "no kernel cache on a CPU" in kept.page.read_text()
    (cache,) = json.loads(kept.run("caches", "--json").stdout)
    assert (cache["image"], cache["engine"]) == ("local-cpu", "local")
    assert kept.run("caches", "--clear").code == 0
    assert list((tmp_path / "cache" / "kernels").iterdir()) == []


def test_the_guest_s_memory_meters_are_read_or_said_to_be_unavailable(workplace: Workplace) -> None:
    (launch,) = workplace.bench(*SHORT, "--json").launches
    assert set(launch.memory) | set(launch.memory_unavailable) == set(MEMORY_METERS)
    assert launch.memory["resident_peak_bytes"] > 200 << 20
    assert launch.memory["tree_resident_peak_bytes"] >= launch.memory["resident_peak_bytes"]
    # A process of this host has no cgroup of its own.
    assert "cgroup_peak_bytes" in launch.memory_unavailable


def test_audio_seconds_repeats_audio_and_reference_and_says_so(workplace: Workplace) -> None:
    (launch,) = workplace.bench(*ONE, "--audio-seconds", "45", "--json").launches
    assert launch.plan.workload.audio_seconds == 45.0
    assert launch.plan.cell == "local-cpu/cpu/embedded/sample-fitted-45s"
    assert launch.verdict.status == "pass"
    assert launch.der is not None
    assert launch.der < 0.15


def test_a_reference_with_swapped_names_gives_the_same_der(workplace: Workplace, tmp_path: Path) -> None:
    reference = embedded_folder() / "sample.rttm"
    names = sorted({speaker for _, _, _, speaker in read_rttm(reference)})
    swapped = dict(zip(names, reversed(names), strict=True))
    text = "".join(
        f"SPEAKER {recording} 1 {start} {duration} <NA> <NA> {swapped[speaker]} <NA> <NA>\n"
        for recording, start, duration, speaker in read_rttm(reference)
    )
    (tmp_path / "swapped.rttm").write_text(text)
    sample = str(embedded_folder() / "sample.wav")
    (own,) = workplace.bench(*SHORT, "--audio", sample, "--reference", str(reference), "--json").launches
    (other,) = workplace.bench(*SHORT, "--audio", sample, "--reference", str(tmp_path / "swapped.rttm"), "--json").launches
    assert own.der == pytest.approx(other.der)


def test_output_that_is_wrong_is_not_ranked(workplace: Workplace, tmp_path: Path) -> None:
    overlay = tmp_path / "strict.toml"
    overlay.write_text("[audio.sample]\nhighest_der = 0.001\n")
    done = workplace.bench(*ONE, "--catalog", str(overlay))
    assert done.code == 1
    (launch,) = workplace.stored()
    assert launch.verdict.status == "wrong output"
    page = workplace.page.read_text()
    assert "0 of 1 configurations pass" in page
    assert "~~" in page
    assert "Fastest" not in page


def test_an_interrupted_bench_leaves_a_whole_store_and_no_process(workplace: Workplace) -> None:
    assert workplace.bench(*SHORT).code == 0
    process = workplace.start_bench("local-cpu", "--launches", "50")
    try:
        wait_until(lambda: len(workplace.stored()) >= 2, what="one launch of the second bench", seconds=600)
        wait_until(lambda: any('"cold"' in j.read_text() for j in workplace.journals()), what="a pass that runs", seconds=600)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait(timeout=60)
    causes = [launch.verdict.cause for launch in workplace.stored()]
    assert "interrupted; every finished launch is in the store" in workplace.talk.read_text()
    assert causes[:2] == [None, None]
    assert causes[-1] == "interrupted"
    assert workplace.journals() == []
    assert not guests_of(workplace)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_bench_that_is_told_to_end_stores_its_launch_and_leaves_no_process(
    workplace: Workplace, number: signal.Signals
) -> None:
    process = workplace.start_bench("local-cpu", "--launches", "50")
    try:
        wait_until(lambda: guests_of(workplace) and workplace.journals(), what="a guest that runs", seconds=600)
        process.send_signal(number)
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait(timeout=60)
    assert "interrupted; every finished launch is in the store" in workplace.talk.read_text()
    assert [launch.verdict.cause for launch in workplace.stored()] == ["interrupted"]
    assert workplace.journals() == []
    assert not guests_of(workplace)


def test_a_killed_bench_is_recovered_by_the_next(workplace: Workplace) -> None:
    process = workplace.start_bench("local-cpu", "--launches", "50")
    try:
        wait_until(lambda: any('"cold"' in j.read_text() for j in workplace.journals()), what="a pass that runs")
    finally:
        process.kill()
        process.wait(timeout=30)
    assert guests_of(workplace)
    done = workplace.bench(*SHORT)
    assert done.code == 0, done.stderr
    assert "recovered launch" in done.stderr
    first, second = workplace.stored()
    assert (first.verdict.cause, second.verdict.status) == ("interrupted", "pass")
    assert not guests_of(workplace)


def test_a_launch_that_takes_too_long_is_killed_and_recorded(workplace: Workplace) -> None:
    done = workplace.bench("local-cpu", "--launches", "1", "--audio-seconds", "1200", "--timeout", "8")
    assert done.code == 1
    (launch,) = workplace.stored()
    assert launch.verdict.cause == "timeout"
    assert not guests_of(workplace)


def test_a_memory_limit_ends_in_its_own_verdict(workplace: Workplace) -> None:
    # Enough address space for the imports: with less, some libraries try for ever to start their threads.
    done = workplace.bench(*ONE, "--memory", "1300m", "--timeout", "120")
    assert done.code == 1
    (launch,) = workplace.stored()
    assert (launch.verdict.status, launch.verdict.cause) == ("fail", "out of memory")


def test_a_dry_run_line_pasted_into_a_shell_does_the_same_run(workplace: Workplace) -> None:
    import subprocess

    from benchmarks.wire import read_journal

    line = workplace.run("bench", "local-cpu", "--passes", "1", "--dry-run").stdout
    subprocess.run(["bash", "-c", line], check=True, timeout=300)
    (journal,) = workplace.journals()
    events = read_journal(journal.read_text())
    assert events[-1]["event"] == "done"
    assert next(e for e in events if e["event"] == "end" and e["stage"] == "verify")["speakers"] == 2


def test_a_token_in_the_environment_reaches_nothing(tmp_path: Path) -> None:
    token = "hf_" + "S3cretS3cretS3cret"
    workplace = Workplace(tmp_path, {"HF_TOKEN": token, "HUGGING_FACE_HUB_TOKEN": token})
    done = workplace.bench(*SHORT)
    assert done.code == 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert token.encode() not in written + done.stdout.encode() + done.stderr.encode()


def test_audio_of_another_rate_and_two_channels_is_diarized(workplace: Workplace, tmp_path: Path) -> None:
    import numpy
    import soundfile
    import soxr

    samples, rate = soundfile.read(embedded_folder() / "sample.wav", dtype="float32")
    higher = soxr.resample(samples, rate, 44_100)
    soundfile.write(tmp_path / "call.flac", numpy.stack([higher, higher], axis=1), 44_100, subtype="PCM_24")
    reference = str(embedded_folder() / "sample.rttm")
    (launch,) = workplace.bench(*ONE, "--audio", str(tmp_path / "call.flac"), "--reference", reference, "--json").launches
    assert launch.plan.workload.audio == "call-30s"
    assert launch.der is not None
    assert launch.der < 0.1


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


def guests_of(workplace: Workplace) -> list[int]:
    """Processes that read an exchange folder of this workplace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if str(workplace.results).encode() in command and b"benchmarks" in command and int(path.parts[2]) != os.getpid():
            found.append(int(path.parts[2]))
    return found
