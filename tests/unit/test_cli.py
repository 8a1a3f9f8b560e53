"""The command line without an engine: whatever needs one is in `tests/local` and `tests/engines`."""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import __version__, commands, places
from harness.commands import VERBS, register
from harness.commands.app import app
from harness.commands.bench import bench
from tests.unit.command_line import Outcome, Strixbench, overlay

COMMANDS = Path(commands.__file__).parent
"""The folder of the verbs' modules."""


def test_a_name_with_a_newline_or_a_terminal_s_signs_is_refused_in_one_line(strixbench: Strixbench) -> None:
    outcome = strixbench("build", "cpu", "--wheelhouse", "no\nsuch\x1b[2J\u202e")
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1
    assert not set(outcome.err) & set("\x1b\u202e")


@pytest.mark.parametrize("verb", [("bench",), ("models", "fetch"), ("calibrate",)])
def test_a_cache_where_no_folder_can_be_made_is_the_environment_s_fault(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    monkeypatch.delenv("STRIXBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    outcome = strixbench(*verb)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err == "strixbench: /proc/strixbench: No such file or directory\n"


def test_a_file_of_our_own_that_is_missing_is_a_bug_and_keeps_its_traceback(strixbench: Strixbench) -> None:
    def read(**_: object) -> None:
        (places.ROOT / "no-such-file").read_text()

    with pytest.raises(FileNotFoundError):
        strixbench("list", run=read)


@pytest.fixture
def _same_terminal() -> Iterator[None]:
    """Keeps the terminal of the tests: the command gives its own up."""
    kept = {number: os.dup(number) for number in (1, 2)}
    yield
    for number, copy in kept.items():
        os.dup2(copy, number)
        os.close(copy)


@pytest.mark.usefixtures("_same_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_command_with_130_and_more_of_them_do_not_end_its_tidying(
    strixbench: Strixbench, number: signal.Signals
) -> None:
    tidied = []

    def interrupted(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(number)
        finally:
            for again in (number, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.raise_signal(again)
            tidied.append(True)

    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
    assert strixbench("list", run=interrupted) == Outcome(
        130, "", "strixbench: interrupted; every finished launch is in the store\n"
    )
    assert tidied == [True]


def test_a_command_under_nohup_outlives_its_terminal(strixbench: Strixbench) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert strixbench("list", run=lambda **_: signal.raise_signal(signal.SIGHUP)) == Outcome(0, "", "")


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
        (("bench", "cpu", "--gfx", "gfx1100"), "image cpu has no GFX mode that matches 'gfx1100': it has cpu"),
        (("bench", "--audio", "sampel"), "'sampel' is neither a file nor a recording of the catalog (did you mean 'sample'?)"),
        (("bench", "--fix", "miopen-of"), "no fix 'miopen-of' (did you mean 'miopen-off'?)"),
        (("probe", "--fix", "native"), "no fix 'native'"),
        (("probe", "--gfx", "gfx1100"), "image local-cpu has no GFX mode that matches 'gfx1100': it has cpu"),
        (("probe", "--timeout", "0"), "--timeout 0 is not between 1 second and"),
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


def test_every_verb_is_registered_by_its_module() -> None:
    register([])
    registered = {
        str(command.name or getattr(command.callback, "__name__", "")): str(getattr(command.callback, "__module__", ""))
        for command in app.registered_commands
    }
    (models,) = app.registered_groups
    assert models.typer_instance is not None
    (fetch,) = models.typer_instance.registered_commands
    registered[str(models.name)] = str(getattr(fetch.callback, "__module__", ""))
    assert registered == {verb: f"harness.commands.{verb}" for verbs in VERBS.values() for verb in verbs}
    registering = {path.stem for path in COMMANDS.glob("*.py") if "\n@app.command" in path.read_text(encoding="utf-8")}
    assert registering <= registered.keys(), "add it to VERBS of harness/commands/__init__.py"


def sections(text: str) -> dict[str, list[str]]:
    """The first words below each heading of a help."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            found[line.removesuffix(":")] = []
        elif line.startswith("  ") and not line.startswith("   ") and found:
            found[next(reversed(found))].append(line.split()[0])
    return found


def test_the_help_shows_each_verb_once_in_its_group_and_cuts_no_line(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = strixbench("--help").out
    verbs, _ = text.split("\n\n  Exit codes: 0 all passed")
    shown = sections(verbs)
    assert {heading: shown[heading] for heading in VERBS} == {heading: list(names) for heading, names in VERBS.items()}
    assert "..." not in verbs.split("Options:")[1]


def test_the_help_of_bench_shows_each_option_once_and_the_most_used_ones_first(
    strixbench: Strixbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = strixbench("bench", "--help").out
    assert max(map(len, text.splitlines())) < 80
    shown = sections(text)
    assert list(shown) == ["Arguments", "What to run", "How often", "Output", "Comparisons", "Advanced"]
    assert shown["What to run"] == ["--engine", "--gfx", "--pipeline", "--audio", "--reference", "--workload", "--input"]
    options = [name.rstrip(",") for names in list(shown.values())[1:] for name in names]
    words = inspect.signature(bench).parameters.keys() - {"context", "images"}
    assert len(options) == len(set(options)) == len(words) + 1, "--help is the one more"
