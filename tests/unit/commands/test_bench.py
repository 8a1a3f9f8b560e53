"""`bench` and `probe` as far as they come without an engine."""

from __future__ import annotations

import errno
import json
import re
import shlex
import socket
from pathlib import Path

import pytest

from harness import places
from harness.commands.arguments import parse_time_limit
from harness.inputs.models import GATED
from harness.tools import OWNER_LABEL
from tests.unit.command_line import Strixbench, options_of, overlay
from tests.unit.samples import write_rttm

CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""What an engine accepts as a container's name: https://github.com/moby/moby/blob/master/daemon/names/names.go"""


def test_a_dry_run_prints_the_line_of_a_virtual_environment(strixbench: Strixbench, recording: Path) -> None:
    outcome = strixbench("bench", "local-cpu", "--audio", recording, "--dry-run")
    assert outcome.code == 0
    (line,) = outcome.out.splitlines()
    words = shlex.split(line)
    assert words[:2] == ["env", "-i"]
    assert "HF_HUB_OFFLINE=1" in words
    assert "-m" in words
    assert "# not built yet: strixbench build local-cpu" in outcome.err


def test_a_dry_run_writes_the_request_that_its_line_reads(strixbench: Strixbench, recording: Path, tmp_path: Path) -> None:
    strixbench("bench", "local-cpu", "--audio", recording, "--passes", 7, "--dry-run")
    (request,) = (tmp_path / "results" / "launches").glob("*/exchange/request.json")
    assert json.loads(request.read_text())["warm_passes"] == 7


def test_a_dry_run_prints_the_line_of_a_container_with_its_isolation(
    strixbench: Strixbench, recording: Path, podman: Path
) -> None:
    outcome = strixbench("bench", "cpu", "--audio", recording, "--dry-run")
    assert outcome.code == 0
    (line,) = outcome.out.splitlines()
    assert line.startswith("podman run ")
    options = options_of(line)
    assert options["--network"] == ["none"]
    assert options["--cap-drop"] == ["ALL"]
    assert set(options["--security-opt"]) - {"label=disable"} == {"no-new-privileges"}  # it is off where SELinux enforces
    assert "--read-only" in options
    assert all("readonly" in mount or "/exchange" in mount or "=/caches" in mount for mount in options["--mount"])
    assert not any(OWNER_LABEL in label for label in options["--label"]), "no sweep ends what a person runs"
    assert "# if it is not built yet: strixbench build cpu --engine podman" in outcome.err


def test_a_dry_run_of_a_gated_pipeline_mounts_the_user_s_cache(
    strixbench: Strixbench, recording: Path, podman: Path, tmp_path: Path
) -> None:
    hub = tmp_path / "huggingface" / "hub"
    for name in GATED["3.1"]:
        (hub / f"models--{name.replace('/', '--')}").mkdir(parents=True)
    options = options_of(strixbench("bench", "cpu", "--pipeline", "3.1", "--audio", recording, "--dry-run").out)
    assert f"type=bind,source={hub},target=/input/models,readonly" in options["--mount"]
    assert "HF_HUB_CACHE=/input/models" in options["--env"]


@pytest.mark.parametrize("reference", ["softab:pyannote-rocm62-gfx1151", "ghcr.io/a/b:1", f"ghcr.io/a/b@sha256:{'0' * 64}"])
def test_the_line_of_a_foreign_image_names_the_container_as_an_engine_takes_it(
    strixbench: Strixbench, recording: Path, podman: Path, reference: str
) -> None:
    outcome = strixbench("bench", reference, "--family", "cpu", "--audio", recording, "--dry-run")
    assert outcome.code == 0
    assert reference in shlex.split(outcome.out)
    (name,) = options_of(outcome.out)["--name"]
    assert CONTAINER_NAME.fullmatch(name), name


def test_a_reference_is_not_mounted(
    strixbench: Strixbench, recording: Path, podman: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rttm(tmp_path / "talk.rttm", (0.0, 1.0, "a"))
    monkeypatch.chdir(tmp_path)
    outcome = strixbench("bench", "cpu", "--audio", "talk.wav", "--reference", "talk.rttm", "--dry-run")
    assert outcome.code == 0
    assert ".rttm" not in outcome.out


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("512m", 512 << 20),
        ("8g", 8 << 30),
        ("8G", 8 << 30),
        ("8GiB", 8 << 30),
        ("8gb", 8 << 30),
        ("8 g", 8 << 30),
        ("1t", 1 << 40),
        ("65536k", 64 << 20),
        ("8589934592", 8 << 30),
        ("67108864b", 64 << 20),
    ],
)
def test_a_memory_limit_is_read_in_the_usual_spellings(
    strixbench: Strixbench, recording: Path, podman: Path, text: str, bytes_: int
) -> None:
    outcome = strixbench("bench", "cpu", "--audio", recording, "--memory", text, "--dry-run")
    options = options_of(outcome.out)
    assert options["--memory"] == options["--memory-swap"] == [str(bytes_)]


@pytest.mark.parametrize(
    ("text", "meant"), [("8", "; did you mean 8g?"), ("8192", "; did you mean 8192m?"), ("64k", ""), ("1b", "")]
)
def test_a_memory_limit_in_which_nothing_starts_is_a_slip(
    strixbench: Strixbench, recording: Path, text: str, meant: str
) -> None:
    outcome = strixbench("bench", "local-cpu", "--audio", recording, "--memory", text, "--dry-run")
    assert outcome.code == 2
    assert outcome.err.endswith(f"bytes, in which not even Python starts{meant}\n")


@pytest.mark.parametrize("text", ["0", "0g", "-1g", "8.5g", "lots", "8x", "g", "", "8 g g", "1e9"])
def test_a_memory_limit_that_is_no_size_is_refused(strixbench: Strixbench, recording: Path, text: str) -> None:
    outcome = strixbench("bench", "local-cpu", "--audio", recording, f"--memory={text}", "--dry-run")
    assert outcome.code == 2
    assert f"--memory {text!r} is not a size such as 512m or 8g" in outcome.err


@pytest.mark.parametrize("verb", ["bench", "probe"])
def test_flags_and_gpus_that_cannot_be_are_refused_before_anything_is_done(strixbench: Strixbench, verb: str) -> None:
    outcome = strixbench(verb, "cpu", "--flags", "comapt")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--flags 'comapt' (did you mean 'compat'?): there are least, compat, ipc=host" in outcome.err


def test_a_gpu_that_is_not_there_is_refused(strixbench: Strixbench, recording: Path, podman: Path) -> None:
    common = ("bench", "some/image:1", "--audio", recording, "--dry-run")
    outcome = strixbench(*common, "--family", "rocm", "--gpu", "97")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--gpu '97' is no AMD GPU of this host" in outcome.err
    assert "--family" in strixbench(*common, "--gpu", "0").err


def test_a_report_that_cannot_be_written_is_refused_before_the_first_launch(
    strixbench: Strixbench, recording: Path, tmp_path: Path
) -> None:
    for path, why in (
        (recording / "x.md", f"cannot be written: {recording} is no folder"),
        (recording / "deeper/x.md", f"cannot be written: {recording} is no folder"),
        (tmp_path, "is a folder; name a file"),
        (tmp_path / ("x" * 300), "is no file's path: File name too long"),
    ):
        outcome = strixbench("bench", "local-cpu", "--audio", recording, "--report", path)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.endswith(f"strixbench: --report {path} {why}\n")
    assert not (tmp_path / "results").exists()


def test_the_wide_set_is_part_of_the_printed_line(strixbench: Strixbench, recording: Path, podman: Path) -> None:
    options = options_of(strixbench("bench", "cpu", "--audio", recording, "--flags", "compat", "--dry-run").out)
    assert options["--security-opt"] == ["no-new-privileges", "seccomp=unconfined", "label=disable"]
    assert options["--ipc"] == ["host"]
    assert "--shm-size" not in options


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("2 H", 7200.0)])
def test_a_time_limit_may_have_a_unit(text: str, seconds: float) -> None:
    assert parse_time_limit(text) == seconds


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--reference", "talk.rttm"), "--reference is the RTTM of a recording of yours: name that too, with --audio"),
        (("--audio", "https://example.org/a.wav"), "strixbench downloads no recordings; fetch it yourself, and name the file"),
        (("--timeout", "soon"), "--timeout 'soon' is not a time such as 90, 10m or 2h"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_a_sentence_of_its_own(
    strixbench: Strixbench, arguments: tuple[str, ...], said: str
) -> None:
    outcome = strixbench("bench", "local-cpu", *arguments, "--dry-run")
    assert outcome.code == 2
    assert said in outcome.err


@pytest.mark.parametrize("text", ["inf", "nan"])
def test_a_time_limit_that_is_no_number_of_seconds_is_refused(strixbench: Strixbench, recording: Path, text: str) -> None:
    assert strixbench("bench", "local-cpu", "--audio", recording, "--timeout", text, "--dry-run").code == 2


@pytest.mark.parametrize("seconds", ["0", "60", "3600"])
def test_a_wait_that_ends_can_be_asked_for(strixbench: Strixbench, recording: Path, seconds: str) -> None:
    assert strixbench("bench", "local-cpu", "--audio", recording, "--cool-down", seconds, "--dry-run").code == 0


@pytest.mark.parametrize("seconds", ["-1", "3601", "inf", "nan"])
def test_a_wait_that_does_not_end_is_refused(strixbench: Strixbench, recording: Path, seconds: str) -> None:
    outcome = strixbench("bench", "local-cpu", "--audio", recording, "--cool-down", seconds, "--dry-run")
    assert outcome.code == 2
    assert f"--cool-down {seconds} is not between 0 and 3600 seconds" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--audio", "none.wav"), "audio file none.wav does not exist"),
        (("--audio", "."), "cannot be read: Is a directory"),
        (("--audio", "talk.wav", "--reference", "none.rttm"), "reference none.rttm does not exist"),
        (("--audio", "talk.wav", "--audio-seconds", "0"), "--audio-seconds 0 is not between 1 and 86400"),
        (("--audio", "talk.wav", "--durations", "11,30", "--audio-seconds", "5"), "--durations and --audio-seconds exclude"),
        (
            ("--audio", "talk.wav", "--durations", "11"),
            "give 2 to 12 lengths, 3 or more for a fit; for one there is --audio-seconds",
        ),
        (("--audio", "talk.wav", "--durations", "11,x"), "--durations '11,x' is not a list of seconds such as 11,30,120,600"),
        (("--audio", "talk.wav", "--durations", "1.1.1,2"), "--durations '1.1.1,2' is not a list of seconds"),
        (("--audio", "talk.wav", "--durations", "11,0.5"), "0.5 is not between 1 and 86400 seconds"),
        (("--audio", "talk.wav", "--durations", "11,30,11.2"), "has one length twice, to the second"),
        (("--audio", "talk.wav", "--durations", "11.49999,12,30"), "has one length twice, to the second"),
        (("--audio", "talk.wav", "--durations", ",".join(map(str, range(1, 14)))), "give 2 to 12 lengths"),
        (("--audio", "talk.wav", "--until", "2"), "--until '2' is not a percentage above 0% and up to 100%, such as 2%"),
        (("--audio", "talk.wav", "--until", "2%", "--launches", "3"), "--launches and --until exclude each other"),
        (("--audio", "talk.wav", "--budget", "0"), "--budget 0 is not a number of minutes between 0 and 43200"),
        (("--audio", "talk.wav", "--cool-down", "1e9"), "--cool-down 1e+09 is not between 0 and 3600 seconds"),
        (("--audio", "talk.wav", "--engine", "docker"), "local-cpu is a virtual environment and runs with --engine local"),
        (("--audio", "talk.wav", "--engine", "podmn"), "--engine 'podmn' (did you mean 'podman'?)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_input_is_refused_with_exit_2(
    strixbench: Strixbench,
    recording: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(recording.parent)
    outcome = strixbench("bench", "local-cpu", *arguments, "--dry-run")
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err


def test_models_that_are_not_there_are_the_environment_s_fault(strixbench: Strixbench) -> None:
    outcome = strixbench("bench", "local-cpu", "--dry-run")
    assert (outcome.code, outcome.out) == (3, "")
    assert "strixbench models fetch" in outcome.err


def test_an_engine_that_is_not_there_is_the_environment_s_fault(
    strixbench: Strixbench, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: socket.socket, address: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "no such socket", address)

    monkeypatch.setattr(socket.socket, "connect", refuse)  # Docker may be here
    outcome = strixbench("bench", "cpu", "--engine", "docker", "--audio", recording, "--dry-run")
    assert (outcome.code, outcome.out) == (3, "")
    assert "Docker is not to be found" in outcome.err


@pytest.mark.parametrize("pipeline", ["embedded", "synthetic", "3.1", "community-1"])
def test_each_pipeline_of_the_catalog_can_be_asked_for(strixbench: Strixbench, recording: Path, pipeline: str) -> None:
    assert strixbench("bench", "local-cpu", "--pipeline", pipeline, "--audio", recording, "--dry-run").code == 0


def test_random_weights_are_not_held_against_a_reference(strixbench: Strixbench, recording: Path, tmp_path: Path) -> None:
    reference = write_rttm(tmp_path / "r.rttm", (0.0, 1.0, "a"))
    outcome = strixbench("bench", "--pipeline", "synthetic", "--audio", recording, "--reference", reference, "--dry-run")
    assert outcome.code == 2
    assert "its weights are random, so there is nothing to score" in outcome.err


def test_every_cell_that_is_asked_for_is_printed_once(strixbench: Strixbench, recording: Path, podman: Path) -> None:
    outcome = strixbench("bench", "cpu", "local-cpu", "c[p]u", "--audio", recording, "--dry-run")
    assert len(outcome.out.splitlines()) == 2


def test_a_dry_run_shows_a_cell_with_its_fixes(strixbench: Strixbench, recording: Path) -> None:
    fixes = ("--fix", "weights-only-off", "--fix", "miopen-off")
    outcome = strixbench("bench", "local-cpu", "--audio", recording, *fixes, "--dry-run")
    assert outcome.code == 0
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1" in outcome.out
    (path,) = places.results().glob("launches/*/exchange/request.json")
    assert json.loads(path.read_text())["knobs"] == ["miopen-off"]


def test_every_length_is_a_cell_with_a_line_of_its_own(strixbench: Strixbench, recording: Path) -> None:
    outcome = strixbench("bench", "local-cpu", "--audio", recording, "--durations", "3,7, 12", "--dry-run")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 3
    requests = [json.loads(path.read_text()) for path in sorted(places.results().glob("launches/*/exchange/request.json"))]
    assert len({request["inputs"]["audio"] for request in requests}) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "# launches: 3 launches of each configuration"),
        (
            ("--launches", "7", "--budget", "2"),
            "# launches: 7 launches of each configuration; none begins later than 2 min after the first",
        ),
        (
            ("--until", "2%"),
            "# launches: 6 to 50 launches of each configuration, until the 95% interval's half-width is 2% of the median",
        ),
    ],
)
def test_a_dry_run_says_how_often_a_cell_would_be_launched(
    strixbench: Strixbench, recording: Path, options: tuple[str, ...], said: str
) -> None:
    outcome = strixbench("bench", "local-cpu", "--audio", recording, *options, "--dry-run")
    assert outcome.code == 0
    assert said in outcome.err


def test_a_dry_run_prints_the_line_of_each_arm_and_warns_of_its_hazard(
    strixbench: Strixbench, recording: Path, podman: Path, tmp_path: Path
) -> None:
    text = '[hazards.mine]\ndescription = "made up"\nsource = "x"\nfamilies = ["cpu"]\nsegmentation_batch_from = 64\n'
    own = overlay(tmp_path, text)
    vary = ("--vary", "segmentation-batch=32,64", "--catalog", own)
    outcome = strixbench("bench", "cpu", *vary, "--audio", recording, "--dry-run")
    assert outcome.code == 0
    assert len(outcome.out.splitlines()) == 2
    assert outcome.err.count("# hazard mine: made up (x)") == 1
    requests = (tmp_path / "results" / "launches").glob("*/exchange/request.json")
    assert sorted(json.loads(path.read_text())["options"]["segmentation_batch_size"] for path in requests) == [32, 64]


def test_a_dry_run_of_a_null_test_prints_its_one_cell_once(strixbench: Strixbench, recording: Path) -> None:
    outcome = strixbench("bench", "local-cpu", "--null", "--audio", recording, "--dry-run")
    assert len(outcome.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--vary", "smda=on,off"), "no knob 'smda' (did you mean 'sdma'?)"),
        (("--vary", "sdma=on,off"), "knob sdma bears on rocm, therock, and image local-cpu is cpu"),
        (("--set", "threads=0"), "'0' is no whole number"),
        (("--null", "--vary", "threads=1,2"), "one of them"),
        (("--workload", "../vit"), "no workload '../vit'"),
        (("--workload", "probe"), "no workload 'probe'"),
        (("--workload", "vit", "--set", "segmentation-batch=16"), "knob segmentation-batch bears on the workload diarization"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused_before_anything_is_fetched(
    strixbench: Strixbench, words: tuple[str, ...], said: str
) -> None:
    outcome = strixbench("bench", "local-cpu", *words)
    assert outcome.code == 2
    assert said in outcome.err


@pytest.mark.parametrize(("name", "said"), [("probe", "the workload probe has no passes to time"), ("os", "no workload 'os'")])
def test_a_workload_of_an_overlay_that_cannot_be_timed_is_refused(
    strixbench: Strixbench, tmp_path: Path, name: str, said: str
) -> None:
    catalog = overlay(tmp_path, f"[workloads.{name}]\ninputs.a.amount = 1\n")
    outcome = strixbench("bench", "local-cpu", "--workload", name, "--catalog", catalog, "--dry-run")
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
