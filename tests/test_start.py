"""`strixbench` as a process of its own: what it imports, and that it answers at once and tidily."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Workplace
from tests.unit.samples import write_audio

HEAVY = (
    *("torch", "pyannote", "docker", "requests", "sqlalchemy", "pandas", "matplotlib", "scipy", "numpy"),
    *("soundfile", "soxr", "jinja2", "huggingface_hub", "rich"),
    *("asyncio", "concurrent", "email", "http", "logging", "multiprocessing", "ssl", "tarfile", "xml"),
)
"""What costs milliseconds and no quick answer needs."""

MODULES = """
import json, sys
sys.argv = ["strixbench", *sys.argv[1:]]
import harness.cli
if len(sys.argv) > 1:
    try:
        harness.cli.main()
    except SystemExit:
        pass
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    overlay = {"STRIXBENCH_CATALOG": "", "STRIXBENCH_CACHE": str(tmp_path / "cache")}
    return Workplace(tmp_path / "results", overlay)


def modules_after(workplace: Workplace, repository: Path, *arguments: str) -> set[str]:
    """The top-level modules that are imported after a command has run; after the import of the command line if there is none."""
    done = subprocess.run(
        (sys.executable, "-c", MODULES, *arguments),
        cwd=repository,
        env=workplace.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [(), ("--help",), ("--version",), ("list",), ("list", "--json"), ("build", "cpu", "--dry-run")],
    ids=" ".join,
)
def test_a_command_that_should_answer_at_once_imports_nothing_heavy(
    workplace: Workplace, repository: Path, arguments: tuple[str, ...]
) -> None:
    assert modules_after(workplace, repository, *arguments) & set(HEAVY) == set()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("bench", "--help")], ids=" ".join)
def test_a_help_needs_no_catalog(workplace: Workplace, repository: Path, arguments: tuple[str, ...]) -> None:
    assert modules_after(workplace, repository, *arguments) & {"benchmarks", "msgspec", "tomllib"} == set()


def test_a_dry_run_imports_only_what_reads_its_recording(workplace: Workplace, repository: Path, tmp_path: Path) -> None:
    recording = write_audio(tmp_path / "talk.wav")
    imported = modules_after(workplace, repository, "bench", "local-cpu", "--audio", str(recording), "--dry-run")
    assert list(workplace.results.glob("launches/dry-run-*/exchange/request.json")), "it ran to its end"
    assert imported & set(HEAVY) == {"numpy", "soundfile", "soxr"}


def test_help_lists_every_verb_and_the_exit_codes(workplace: Workplace) -> None:
    done = workplace.run("--help")
    assert (done.code, done.stderr) == (0, "")
    for word in ("list", "models", "build", "bench", "probe", "report", "show", "explain", "Exit codes: 0 all passed"):
        assert word in done.stdout


def test_without_a_verb_the_help_is_shown_as_wrong_usage(workplace: Workplace) -> None:
    done = workplace.run()
    assert done.code == 2
    assert "Usage:" in done.stdout + done.stderr


def test_list_prints_a_cell_a_line_to_stdout(workplace: Workplace) -> None:
    done = workplace.run("list", "local-cpu/*")
    assert (done.code, done.stderr) == (0, "")
    assert all(line.startswith("local-cpu/cpu/") for line in done.stdout.splitlines())


def test_wrong_usage_is_one_line_on_stderr_and_exit_2(workplace: Workplace) -> None:
    done = workplace.run("bench", "local-cup")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("strixbench: no image in the catalog matches 'local-cup' (did you mean 'local-cpu'?)")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error(workplace: Workplace, repository: Path) -> None:
    """More than a pipe holds, to a reader that takes one line, as in `strixbench list --json | head -1`."""
    overlay = workplace.results.with_name("many.toml")
    row = "[images.image-{number}]\nfamily = 'cpu'\ndescription = '{words}'\n"
    overlay.write_text("".join(row.format(number=number, words="x" * 400) for number in range(100)))
    with subprocess.Popen(
        (sys.executable, "-c", "from harness.cli import main; main()", "list", "--json", "--catalog", str(overlay)),
        cwd=repository,
        env=workplace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "[\n"
        process.stdout.close()
        said = process.stderr.read()
        assert (process.wait(timeout=60), said) == (0, "")
