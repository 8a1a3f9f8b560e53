"""What our pages and docstrings point to is there: files in the pages, modules and names in the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGES = ("harness", "reports", "benchmarks")

_FILE = re.compile(r"`([A-Za-z0-9_./-]+\.(?:py|toml|md|in|txt|sh|Containerfile))`")
_FOLDER = re.compile(r"`([a-z_]+(?:/[a-z_]+)*)/`")
_NAME = re.compile(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`")


def pages(repository: Path) -> list[Path]:
    """The pages that are written by hand: those that are generated quote other repositories."""
    return [
        repository / "CONTRIBUTING.md",
        *(page for page in sorted((repository / "docs").glob("*.md")) if page.name != "images.md"),
    ]


def missing_files(repository: Path, page: Path) -> Iterator[str]:
    """The files and folders that a page names and that are not there. `NAME` stands for a name to choose: its folder must be there."""
    text = page.read_text(encoding="utf-8")
    for name in [*_FILE.findall(text), *(f"{folder}/" for folder in _FOLDER.findall(text))]:
        wanted = name.rpartition("/")[0] if "NAME" in name else name
        if not any((above / wanted).exists() for above in (repository, repository / "harness", page.parent)) and not (
            "/" not in wanted.rstrip("/") and _is_somewhere(repository, wanted.rstrip("/"))
        ):
            yield name


def _is_somewhere(repository: Path, name: str) -> bool:
    """Whether something of this name lies in one of our folders: a page may have named the folder before."""
    return any(next((repository / folder).rglob(name), None) for folder in (*PACKAGES, "tests", "containers", "docs"))


def is_there(repository: Path, name: str) -> bool:
    """Whether a dotted name is a module of ours, or something that one defines."""
    words = name.split(".")
    for count in range(len(words), 0, -1):
        stem = repository.joinpath(*words[:count])
        module = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        if module.is_file():
            return set(words[count:]) <= _defined_in(module)
    return False


@cache
def _defined_in(module: Path) -> frozenset[str]:
    return frozenset(_defined(ast.parse(module.read_text(encoding="utf-8"))))


def _defined(tree: ast.AST) -> Iterator[str]:
    """The names that a module, its classes and its functions define."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_the_files_that_the_pages_name_are_there(repository: Path) -> None:
    found = {page.name: sorted(set(missing_files(repository, page))) for page in pages(repository)}
    assert {page: names for page, names in found.items() if names} == {}


def test_the_names_that_sources_point_to_are_there(repository: Path) -> None:
    found: dict[str, set[str]] = {}
    for folder in (*PACKAGES, "tests"):
        for path in sorted((repository / folder).rglob("*.py")):
            for name in _NAME.findall(path.read_text(encoding="utf-8")):
                if not is_there(repository, name):
                    found.setdefault(str(path.relative_to(repository)), set()).add(name)
    assert found == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`harness/cli.py`, `verdict/judge.py`, `words.md`, `judge.py`, `harness/`, `commands/NAME.py`", []),
        ("`harness/gone.py` and `gone/NAME.py`, in `gone/`", ["gone/", "gone/NAME.py", "harness/gone.py"]),
    ],
)
def test_a_file_that_is_gone_is_seen(repository: Path, tmp_path: Path, text: str, missing: list[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert sorted(missing_files(repository, page)) == missing


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("harness.verdict.judge", True),
        ("harness.verdict.judge.judge", True),
        ("harness.workloads.workload.Workload.agree", True),
        ("harness.verdict.gone", False),
        ("harness.verdict.judge.gone", False),
    ],
)
def test_a_name_that_is_gone_is_seen(repository: Path, name: str, there: bool) -> None:
    assert is_there(repository, name) == there
