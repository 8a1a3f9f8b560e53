"""The command line without an engine: whatever needs one is in `tests/local` and `tests/engines`."""

from __future__ import annotations

import io
import json
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from harness import __version__, cli, places
from harness.build import recipe_of
from harness.catalog import is_portable, load_catalog, portable, select_variants
from harness.engines.base import OWNER_LABEL
from harness.errors import BuildFailed
from harness.models import GATED
from harness.records import Launch
from harness.store import Store
from tests.unit.samples import FakeEngine, a_failed_launch, a_launch, a_link, a_plan, passing_journal, write_audio, write_rttm

CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
"""What an engine takes for a container's name: https://github.com/moby/moby/blob/master/daemon/names/names.go"""


class Outcome(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str


Strixbench = Callable[..., Outcome]


@pytest.fixture
def strixbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Strixbench]:
    """Runs `main` as the installed command does; an exception of a bug comes through to the test."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["strixbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, captured.out, captured.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_audio(tmp_path / "talk.wav")


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name on the path. It is never started: the engine is only looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "podman").write_text("#!/bin/false\n")
    (folder / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder / "podman"


def overlay(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def stored(*launches: Launch) -> None:
    store = Store(places.store_url())
    for launch in launches:
        store.add(launch)


def options_of(line: str) -> dict[str, list[str]]:
    """``--name=value`` of a command line, by name."""
    found: dict[str, list[str]] = {}
    for word in shlex.split(line):
        if word.startswith("--"):
            name, _, value = word.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_version_is_printed(strixbench: Strixbench) -> None:
    assert strixbench("--version") == Outcome(0, f"strixbench {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "local-cup"), "no image in the catalog matches 'local-cup' (did you mean 'local-cpu'?)"),
        (("bench", "zzz*"), "no image in the catalog matches 'zzz*'; `strixbench list` shows them"),
        (("build", "local-cup"), "no image in the catalog matches 'local-cup'"),
        (("probe", "local-cup"), "no image in the catalog matches 'local-cup'"),
        (("bench", "--pipeline", "embeded"), "no pipeline 'embeded' (did you mean 'embedded'?)"),
        (("bench", "x:1", "--family", "rocn"), "--family 'rocn' (did you mean 'rocm'?): there are rocm, therock, cuda, cpu"),
        (("probe", "x:1", "--family", "amd"), "--family 'amd'"),
        (("bench", "cpu", "--gfx", "gfx1100"), "image cpu has no variant that matches 'gfx1100': it has cpu"),
        (("bench", "--audio", "sampel"), "'sampel' is neither a file nor a recording of the catalog (did you mean 'sample'?)"),
        (("bench", "--fix", "miopen-of"), "no fix 'miopen-of' (did you mean 'miopen-off'?)"),
        (("probe", "--fix", "native"), "no fix 'native'"),
        (("probe", "--gfx", "gfx1100"), "image local-cpu has no variant that matches 'gfx1100': it has cpu"),
        (("probe", "--timeout", "0"), "--timeout 0 is not between 1 and"),
        (("list", "zzz"), "no image matches zzz"),
        (("list", "zzz/*"), "no cell matches zzz/*"),
        (("list", "local-cup"), "(did you mean 'local-cpu'?)"),
        (("models", "fetch", "embeded"), "no model profile 'embeded'"),
        (("show", "2026"), "no launch '2026' in the store"),
        (("build", "softab:rocm62"), "softab:rocm62"),
        (("build", "local-cpu", "--engine", "docker"), "local-cpu is a virtual environment"),
        (("build", "local-cpu", "--portable"), "image local-cpu has no portable build"),
        (("bench", "seed-therock", "--portable"), "image seed-therock has no portable build: torch 2.7.0a0"),
        (("build", "cpu", "--wheelhouse", "/nowhere"), "--wheelhouse /nowhere is not a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_refused_in_one_line_with_exit_2(
    strixbench: Strixbench, arguments: tuple[str, ...], said: str
) -> None:
    outcome = strixbench(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("strixbench: ")
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize("verb", ["bench", "build", "probe"])
def test_an_unknown_engine_is_refused_with_the_nearest(strixbench: Strixbench, verb: str) -> None:
    outcome = strixbench(verb, "cpu", "--engine", "pdoman")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--engine 'pdoman' (did you mean 'podman'?): there are auto, podman, docker, local" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("bench", "--lunches", "3"),
        ("bench", "--launches", "0"),
        ("bench", "--launches", "many"),
        ("bench", "--passes", "0"),
        ("bench", "--timeout", "0"),
        ("nonsense",),
        ("models",),
        ("show",),
    ],
    ids=" ".join,
)
def test_wrong_options_are_refused_with_exit_2(strixbench: Strixbench, arguments: tuple[str, ...]) -> None:
    outcome = strixbench(*arguments)
    assert outcome.code == 2
    assert outcome.out + outcome.err


def test_an_unknown_key_of_an_overlay_is_refused_with_its_line_and_the_nearest(strixbench: Strixbench, tmp_path: Path) -> None:
    path = overlay(tmp_path, '[images.cpu]\nlock = "pyannote4.txt"\ntorhc = "2"\n')
    outcome = strixbench("list", "--catalog", path)
    assert outcome.code == 2
    assert outcome.err == f"strixbench: {path}:3: unknown key 'torhc' in images.cpu (did you mean 'torch'?)\n"


def test_list_shows_every_image_with_its_pins(strixbench: Strixbench) -> None:
    title, *lines = strixbench("list").out.splitlines()
    assert title.split()[:5] == ["IMAGE", "FAMILY", "TORCH", "PYANNOTE", "GFX"]
    assert [line.split()[0] for line in lines] == list(load_catalog().images)
    (rocm62,) = (line for line in lines if line.startswith("rocm62 "))
    assert re.search(r"rocm +2\.5\.1\+rocm6\.2 +4\.0\.7 +gfx1100 +no +pinned", rocm62)
    (amd,) = (line for line in lines if line.startswith("rocm72-amd "))
    assert re.search(r"native gfx1100 +yes +TODO", amd)


def test_list_shows_every_cell_of_the_catalog(strixbench: Strixbench) -> None:
    known = load_catalog()
    shown = [line.split()[0] for line in strixbench("list", "*/*").out.splitlines()]
    variants = [
        f"{image.name}/{variant.name}" for image in known.images.values() for variant in select_variants(known, image, None)
    ]
    assert shown == [f"{each}/{pipeline}/sample-30s" for each in variants for pipeline in known.pipelines]
    assert "local-cpu/cpu/embedded/sample-30s" in shown


def test_list_takes_patterns_on_images_and_on_cells(strixbench: Strixbench) -> None:
    def shown(*patterns: str) -> set[str]:
        return {line.split()[0] for line in strixbench("list", *patterns).out.splitlines()}

    assert shown("rocm6*") == {"IMAGE", "rocm62", "rocm64", "rocm64-amd", "rocm62-pyannote3", "rocm64-pyannote3"}
    assert {cell.split("/")[2] for cell in shown("*/3.1/*")} == {"3.1"}
    assert shown("*/3.1/*") >= {"local-cpu/cpu/3.1/sample-30s", "cpu/cpu/3.1/sample-30s"}
    both = shown("cpu/*/3.1/sample-30s", "local-cpu/*/embedded/sample-30s")
    assert both == {"local-cpu/cpu/embedded/sample-30s", "cpu/cpu/3.1/sample-30s"}


def test_list_as_json_has_what_a_script_needs(strixbench: Strixbench) -> None:
    (image,) = json.loads(strixbench("list", "rocm714", "--json").out)
    assert (image["family"], image["expected"], image["variants"]) == ("therock", "7.14", ["native", "gfx1100"])
    cells = json.loads(strixbench("list", "local-cpu/*", "--json").out)
    assert cells[0]["cell"] == "local-cpu/cpu/embedded/sample-30s"
    assert (cells[0]["family"], cells[0]["engine"]) == ("cpu", "local")


def test_a_portable_build_can_be_looked_at(strixbench: Strixbench) -> None:
    rows = json.loads(strixbench("build", "rocm7*", "--portable", "--dry-run", "--json").out)
    assert {row["image"] for row in rows} == {f"rocm{name}-portable" for name in ("72", "72-amd", "714", "72-pyannote3")}
    assert {row["arguments"]["FAMILY"] for row in rows} == {"portable"}
    assert {row["arguments"]["TORCH"] for row in rows} == {"2.7.1", "2.9.1", "2.12.0"}


def test_list_shows_an_image_of_an_overlay_that_somebody_else_built(strixbench: Strixbench, tmp_path: Path) -> None:
    path = overlay(tmp_path, '[images.softab]\nreference = "softab:rocm62"\n')
    outcome = strixbench("list", "softab", "--catalog", path)
    assert outcome.code == 0
    assert "\nsoftab " in outcome.out
    assert "None" not in outcome.out


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
    assert all("readonly" in mount or "/exchange" in mount for mount in options["--mount"])
    assert not any(OWNER_LABEL in label for label in options["--label"]), "no sweep ends what a person runs"
    assert "# if it is not built yet: strixbench build cpu --engine podman" in outcome.err


def test_a_dry_run_of_a_gated_pipeline_mounts_the_user_s_cache(
    strixbench: Strixbench, recording: Path, podman: Path, tmp_path: Path
) -> None:
    hub = tmp_path / "huggingface" / "hub"
    for name in GATED["3.1"]:
        (hub / f"models--{name.replace('/', '--')}").mkdir(parents=True)
    options = options_of(strixbench("bench", "cpu", "--pipeline", "3.1", "--audio", recording, "--dry-run").out)
    assert f"type=bind,source={hub},target=/models,readonly" in options["--mount"]
    assert "HF_HUB_CACHE=/models" in options["--env"]


@pytest.mark.parametrize("reference", ["softab:pyannote-rocm62-gfx1151", "ghcr.io/a/b:1", f"ghcr.io/a/b@sha256:{'0' * 64}"])
def test_the_line_of_a_foreign_image_names_the_container_as_an_engine_takes_it(
    strixbench: Strixbench, recording: Path, podman: Path, reference: str
) -> None:
    outcome = strixbench("bench", reference, "--family", "cpu", "--audio", recording, "--dry-run")
    assert outcome.code == 0
    assert reference in shlex.split(outcome.out)
    (name,) = options_of(outcome.out)["--name"]
    assert CONTAINER_NAME.fullmatch(name), name


def test_a_reference_is_mounted_from_the_cache(
    strixbench: Strixbench, recording: Path, podman: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rttm(tmp_path / "talk.rttm", (0.0, 1.0, "a"))
    monkeypatch.chdir(tmp_path)
    outcome = strixbench("bench", "cpu", "--audio", "talk.wav", "--reference", "talk.rttm", "--dry-run")
    (mounted,) = [option for option in options_of(outcome.out)["--mount"] if "reference.rttm" in option]
    source = Path(mounted.split("source=")[1].split(",")[0])
    assert source.is_absolute()
    assert source.read_bytes() == (tmp_path / "talk.rttm").read_bytes()


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
        ("64k", 64 << 10),
        ("8589934592", 8 << 30),
        ("1b", 1),
    ],
)
def test_a_memory_limit_is_read_in_the_usual_spellings(
    strixbench: Strixbench, recording: Path, podman: Path, text: str, bytes_: int
) -> None:
    outcome = strixbench("bench", "cpu", "--audio", recording, "--memory", text, "--dry-run")
    options = options_of(outcome.out)
    assert options["--memory"] == options["--memory-swap"] == [str(bytes_)]


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


def test_the_wide_set_is_part_of_the_printed_line(strixbench: Strixbench, recording: Path, podman: Path) -> None:
    options = options_of(strixbench("bench", "cpu", "--audio", recording, "--flags", "compat", "--dry-run").out)
    assert options["--security-opt"] == ["no-new-privileges", "seccomp=unconfined", "label=disable"]
    assert options["--ipc"] == ["host"]
    assert "--shm-size" not in options


@pytest.mark.parametrize("text", ["inf", "nan"])
def test_a_time_limit_that_is_no_number_of_seconds_is_refused(strixbench: Strixbench, recording: Path, text: str) -> None:
    assert strixbench("bench", "local-cpu", "--audio", recording, "--timeout", text, "--dry-run").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--audio", "none.wav"), "audio file none.wav does not exist"),
        (("--audio", "."), "cannot be read: Is a directory"),
        (("--audio", "talk.wav", "--reference", "none.rttm"), "reference none.rttm does not exist"),
        (("--audio", "talk.wav", "--audio-seconds", "0"), "--audio-seconds 0 is not between 1 and 86400"),
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
    strixbench: Strixbench, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if Path("/var/run/docker.sock").exists():
        pytest.skip("Docker is here")
    outcome = strixbench("bench", "cpu", "--engine", "docker", "--audio", recording, "--dry-run")
    assert (outcome.code, outcome.out) == (3, "")
    assert "Docker is not to be found" in outcome.err


def test_a_build_can_be_looked_at_without_building(strixbench: Strixbench) -> None:
    (row,) = json.loads(strixbench("build", "cpu", "--dry-run", "--json").out)
    assert row["image"] == "cpu"
    assert row["tag"].startswith("localhost/strixbench/cpu:")
    assert row["arguments"]["TORCH"] == load_catalog().images["cpu"].torch
    assert row["files"] == ["finish.py", "lock.txt"]


def test_an_image_that_somebody_else_built_cannot_be_built_and_the_error_says_why(
    strixbench: Strixbench, tmp_path: Path
) -> None:
    path = overlay(tmp_path, '[images.softab]\nreference = "softab:rocm62"\n')
    outcome = strixbench("build", "softab", "--catalog", path)
    assert outcome.code == 2
    assert "softab:rocm62" in outcome.err
    assert "did you mean 'softab'" not in outcome.err


def test_show_prints_a_launch_for_a_person(strixbench: Strixbench) -> None:
    launch = a_failed_launch(
        chain=[a_link("ImportError", "outer"), a_link("OSError", "libc10_cuda.so: cannot open shared object file")]
    )
    stored(launch)
    outcome = strixbench("show", launch.id)
    assert outcome.code == 0
    for words in (
        launch.id,
        "cpu/cpu/embedded/sample-30s",
        "fail: import in import",
        "ImportError: outer",
        "caused by OSError: libc10",
    ):
        assert words in outcome.out


def test_show_takes_the_beginning_of_an_id(strixbench: Strixbench) -> None:
    launch = a_launch()
    stored(launch)
    outcome = strixbench("show", launch.id[:-3])
    assert outcome.code == 0
    assert "2.00 s, 2.10 s, 2.20 s" in outcome.out
    assert "5.0%" in outcome.out


def test_show_as_json_is_the_record_itself(strixbench: Strixbench) -> None:
    launch = a_launch()
    stored(launch)
    assert msgspec.convert(json.loads(strixbench("show", launch.id, "--json").out), Launch) == launch


def test_show_refuses_a_beginning_that_several_launches_have(strixbench: Strixbench) -> None:
    stored(a_launch(a_plan(1)), a_launch(a_plan(2)))
    outcome = strixbench("show", "2026")
    assert outcome.code == 2
    assert "'2026' is the beginning of 2 launches: 202611" in outcome.err


def test_show_makes_no_store(strixbench: Strixbench, tmp_path: Path) -> None:
    strixbench("show", "2026")
    assert not (tmp_path / "results").exists()


def test_report_writes_the_page_of_the_store(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch())
    page = tmp_path / "page.md"
    outcome = strixbench("report", "--output", page)
    assert (outcome.code, outcome.out) == (0, f"{page}\n")
    assert "1 of 1 configurations pass" in page.read_text(encoding="utf-8")


def test_report_check_tells_a_fresh_page_from_a_stale_one(strixbench: Strixbench, tmp_path: Path) -> None:
    stored(a_launch(a_plan(1)))
    page = tmp_path / "page.md"
    assert strixbench("report", "--output", page, "--check").code == 1, "a page that is not there is stale"
    strixbench("report", "--output", page)
    assert strixbench("report", "--output", page, "--check") == Outcome(0, "", "")
    fresh = page.read_text(encoding="utf-8")
    stored(a_launch(a_plan(2), journal=passing_journal(warm=(9.0,))))
    outcome = strixbench("report", "--output", page, "--check")
    assert (outcome.code, outcome.out) == (1, "")
    assert "is stale: run `make report`" in outcome.err
    assert page.read_text(encoding="utf-8") == fresh, "a check writes nothing"


def test_report_without_a_store_has_nothing_to_say(strixbench: Strixbench, tmp_path: Path) -> None:
    outcome = strixbench("report", "--output", tmp_path / "page.md")
    assert (outcome.code, outcome.out) == (4, "")
    assert "`make bench` makes the first launch" in outcome.err
    assert not (tmp_path / "page.md").exists()
    assert strixbench("report", "--output", tmp_path / "page.md", "--check").code == 0


def test_a_store_that_cannot_be_opened_is_the_environment_s_fault(
    strixbench: Strixbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "launches.db").write_text("no database at all, but long enough to look at\n" * 20)
    monkeypatch.setenv("STRIXBENCH_STORE", f"sqlite:///{tmp_path}/launches.db")
    outcome = strixbench("report", "--output", tmp_path / "page.md")
    assert (outcome.code, outcome.out) == (3, "")
    assert "not a database" in outcome.err


def test_a_url_of_the_store_that_is_none_is_refused(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIXBENCH_STORE", "sqlite.db")
    outcome = strixbench("show", "2026")
    assert (outcome.code, outcome.out) == (3, "")


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


def test_doctor_says_what_it_found_and_ends_by_its_problems(
    strixbench: Strixbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no engine's program is started
    monkeypatch.setenv("HF_TOKEN", "hf_never_shown")
    done = strixbench("doctor", "--json")
    findings = json.loads(done.out)
    assert {"subject", "check", "status", "found", "why", "fix", "source"} == set(findings[0])
    assert done.code == int(any(finding["status"] == "problem" for finding in findings))
    assert [finding["status"] for finding in findings if finding["check"] == "token"] == ["ok"]
    told = strixbench("doctor")
    assert told.code == done.code
    assert "a Hugging Face token is configured in a variable" in told.out
    assert "hf_never_shown" not in done.out + done.err + told.out + told.err


TRACEBACK = (
    'Traceback (most recent call last):\n  File "/app/x.py", line 3, in <module>\n    import pyannote.audio\n'
    "RuntimeError: operator torchvision::nms does not exist\n"
)


def test_explain_knows_a_pasted_traceback(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "traceback.txt"
    file.write_text(TRACEBACK)
    from_file = strixbench("explain", file)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACEBACK.encode())))
    from_stdin = strixbench("explain", "-")
    assert (from_file.code, from_stdin.code) == (0, 0)
    assert from_file.out == from_stdin.out
    assert "torchvision-mismatch" in from_file.out
    assert json.loads(strixbench("explain", file, "--json").out)["signature"]["id"] == "torchvision-mismatch"


def test_explain_knows_a_launch_of_the_store(strixbench: Strixbench) -> None:
    launch = a_failed_launch(chain=[a_link("OSError", "[Errno 28] No space left on device")])
    stored(launch)
    outcome = strixbench("explain", launch.id)
    assert outcome.code == 0
    assert "disk-full" in outcome.out


def test_explain_ends_with_1_where_nothing_known_fits(strixbench: Strixbench, tmp_path: Path) -> None:
    file = tmp_path / "traceback.txt"
    file.write_text("KeyError: 'new'\n")
    outcome = strixbench("explain", file)
    assert outcome.code == 1
    assert "nothing known fits" in outcome.out


@pytest.mark.parametrize(
    ("content", "said"), [(b"\x7fELF\0\0", "is not text"), (b" \n", "is empty"), (None, "no launch"), ("folder", "is a folder")]
)
def test_explain_refuses_what_is_no_text(content: object, said: str, strixbench: Strixbench, tmp_path: Path) -> None:
    path = tmp_path / "shown"
    if content == "folder":
        path.mkdir()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    outcome = strixbench("explain", path)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_explain_reads_the_end_of_a_long_log(strixbench: Strixbench, tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_text("a line of a log\n" * 700_000 + TRACEBACK)
    outcome = strixbench("explain", file)
    assert outcome.code == 0
    assert "only its last 10 MB" in outcome.err


def test_a_dry_run_shows_a_cell_with_its_fixes(strixbench: Strixbench, recording: Path) -> None:
    fixes = ("--fix", "weights-only-off", "--fix", "miopen-off")
    outcome = strixbench("bench", "local-cpu", "--audio", recording, *fixes, "--dry-run")
    assert outcome.code == 0
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1" in outcome.out
    (path,) = places.results().glob("launches/*/exchange/request.json")
    assert json.loads(path.read_text())["knobs"] == ["miopen-off"]


def test_a_failed_build_is_on_record_though_nothing_was_fetched(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = FakeEngine(has_image=False, build_failure=BuildFailed("exit 1", "ERROR: ResolutionImpossible\n"))
    monkeypatch.setattr(cli, "open_engine", lambda name: failing)
    outcome = strixbench("build", "rocm62", "rocm64", "--jobs", "2", "--json")
    assert outcome.code == 1
    assert [row["error"] for row in json.loads(outcome.out)] == ["exit 1", "exit 1"]
    stored = Store(places.store_url()).launches()
    assert {launch.plan.cell for launch in stored} == {f"rocm{name}/gfx1100/embedded/sample-30s" for name in ("62", "64")}
    assert {launch.verdict.cause for launch in stored} == {"build"}
    assert {launch.verdict.signature for launch in stored} == {"pip-unresolvable"}


def test_old_images_are_pruned_and_no_current_one(strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(cli, "open_engine", lambda name: engine)
    outcome = strixbench("build", "cpu", "--prune")
    assert outcome.code == 0
    assert "removed from auto: localhost/strixbench/old:0" in outcome.err
    known = load_catalog()
    built = [image for image in known.images.values() if image.reference is None]
    assert engine.kept >= {recipe_of(image).hash for image in built}
    assert engine.kept >= {recipe_of(portable(image, known)).hash for image in built if is_portable(image)}
