"""The rules that the folders keep, read from the sources without running them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

STARTERS = ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "popen", "exec", "spawn")
"""What of `os` starts a process or becomes another; the last two are the beginnings of families."""

ROOMS = (
    {"cli"},
    {"commands"},
    {"campaign"},
    {"launch"},
    {"analysis"},
    {"verdict"},
    {"doctor"},
    {"workloads"},
    {"images"},
    {"inputs", "engines"},
    {"telemetry", "failures"},
    {"machine"},
    {"catalog"},
    {"records"},
    {"tools"},
    {"secrets"},
    {"text", "places", "errors"},
)
"""What lies at the top of `harness/`, in the order of the flow. Each may import what stands in a later line."""

REPORTS_MAY_IMPORT = (
    *("harness.records", "harness.analysis", "harness.verdict", "harness.workloads", "harness.failures", "harness.text"),
    *("harness.doctor.finding", "harness.telemetry.meters", "benchmarks.wire"),
)

USE_THE_SDK = ("connection.py", "container.py", "container_build.py", "container_runs.py", "fetch_base.py")
"""Themselves imported only where an engine is opened."""

MAY_START_PROCESSES = ("engines/", "telemetry/start.py", "tools.py")


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"no source in {folder}"
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    """A source, parsed once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path, *, at_the_top_alone: bool = False) -> tuple[str, ...]:
    """Modules that a file imports, in functions as well; relative imports count as what they are written as."""
    return tuple(_imports_in(tree_of(path), at_the_top_alone=at_the_top_alone))


def _imports_in(tree: ast.Module, *, at_the_top_alone: bool) -> Iterator[str]:
    for node in top_of(tree) if at_the_top_alone else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_of(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run when a module is imported, without those for type checkers."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from node.body


def belongs_to(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def importers(folder: Path, package: str) -> set[str]:
    """Files below a folder that import a package, from the folder on."""
    return {
        str(path.relative_to(folder))
        for path in sources(folder)
        if any(belongs_to(module, package) for module in imports_of(path))
    }


def room_of(module: str) -> str | None:
    """The room of a module of `harness`; `None`: of none, such as the version."""
    words = module.split(".")
    return words[1] if words[0] == "harness" and len(words) > 1 and any(words[1] in line for line in ROOMS) else None


def test_the_top_of_the_harness_holds_the_rooms_and_what_they_stand_on(repository: Path) -> None:
    found = {path.stem for path in (repository / "harness").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__"} == set().union(*ROOMS)


def test_a_room_imports_only_rooms_that_come_after_it(repository: Path) -> None:
    rank = {room: number for number, line in enumerate(ROOMS) for room in line}
    for path in sources(repository / "harness"):
        room = path.relative_to(repository / "harness").parts[0].removesuffix(".py")
        others = {other for module in imports_of(path) if (other := room_of(module)) is not None and other != room}
        assert {other for other in others if rank[other] <= rank[room]} == set(), path


def test_the_reports_import_what_they_may_and_only_commands_import_the_reports(repository: Path) -> None:
    for path in sources(repository / "reports"):
        ours = {module for module in imports_of(path) if module.split(".")[0] in ("harness", "benchmarks", "tests")}
        whole = {module for module in ours if any(belongs_to(module, allowed) for allowed in REPORTS_MAY_IMPORT)}
        packages = {".".join(allowed.split(".")[:count]) for allowed in REPORTS_MAY_IMPORT for count in (1, 2)}
        assert ours - whole - packages == set(), path
    assert {name.split("/")[0] for name in importers(repository / "harness", "reports")} == {"commands"}


@pytest.mark.parametrize(
    ("folder", "package"),
    [("benchmarks", "harness"), ("benchmarks", "reports"), ("benchmarks", "tests"), ("harness", "tests")],
)
def test_a_folder_imports_nothing_of_the_other_side(repository: Path, folder: str, package: str) -> None:
    assert importers(repository / folder, package) == set()


def test_of_the_guest_the_host_and_the_reports_import_the_protocol_alone(repository: Path) -> None:
    for folder in ("harness", "reports"):
        for path in sources(repository / folder):
            of_guest = {module for module in imports_of(path) if belongs_to(module, "benchmarks")}
            assert all(belongs_to(module, "benchmarks.wire") for module in of_guest), path


def test_the_protocol_needs_the_standard_library_alone(repository: Path) -> None:
    for module in imports_of(repository / "benchmarks" / "wire.py"):
        assert module.split(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("package", ["subprocess", "docker", "multiprocessing", "pty"])
def test_only_engines_start_processes_or_talk_to_an_engine(repository: Path, package: str) -> None:
    assert importers(repository / "reports", package) == set()
    others = {name for name in importers(repository / "harness", package) if not name.startswith(MAY_START_PROCESSES)}
    assert others == set()


def test_nothing_but_an_engine_starts_a_process_by_way_of_os(repository: Path) -> None:
    for folder in ("harness", "reports", "benchmarks"):
        for path in sources(repository / folder):
            if str(path.relative_to(repository / folder)).startswith(MAY_START_PROCESSES):
                continue
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                    assert not node.attr.startswith(STARTERS), f"{path}:{node.lineno}"


@pytest.mark.parametrize("module", ["numpy", "soundfile", "soxr", "scipy", "pandas", "matplotlib", "huggingface_hub", "docker"])
def test_what_is_slow_to_import_is_not_imported_at_the_top(repository: Path, module: str) -> None:
    for folder in ("harness", "reports"):
        for path in sources(repository / folder):
            if path.name in USE_THE_SDK:
                continue
            assert not any(belongs_to(found, module) for found in imports_of(path, at_the_top_alone=True)), path


def test_only_the_store_knows_the_database(repository: Path) -> None:
    assert importers(repository / "harness", "sqlalchemy") == {"records/store.py"}
    assert importers(repository / "reports", "sqlalchemy") == set()


def test_our_errors_are_caught_where_they_are_shown_and_nowhere_else(repository: Path) -> None:
    """`StrixbenchError` as a whole: an engine's or a build's own error may well be a result to record."""
    catchers = set()
    for path in sources(repository / "harness"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler) and node.type is not None and "StrixbenchError" in ast.unparse(node.type):
                catchers.add(path.name)
    assert catchers == {"cli.py"}


def test_every_error_of_ours_has_an_exit_code_of_the_documented_ones() -> None:
    from harness import errors

    ours = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.StrixbenchError)]
    assert len(ours) > 5
    assert {each.exit_code for each in ours} == {1, 2, 3, 4}


def test_a_unit_test_cannot_start_a_process() -> None:
    with pytest.raises(pytest.fail.Exception, match="tried to start a process"):
        subprocess.run(["true"], check=False)
    with pytest.raises(pytest.fail.Exception, match="tried to start a process"):
        os.system("true")  # noqa: S605 - it is refused
    with pytest.raises(pytest.fail.Exception, match="tried to start a process"):
        os.fork()
