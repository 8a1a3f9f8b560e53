"""`make` makes `.venv`, or says what is missing; whatever an earlier run left there.

The environments are real. What is installed into them is not looked at here, and the network is not used: `INSTALL` is
another command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = ("Makefile", "make-venv.sh", "pyproject.toml", "locks/host.txt")

DEBIAN_SAYS = "The virtual environment was not created successfully because ensurepip is not\navailable."
"""The beginning of what Debian's venv prints (python3.12, debian/patches/ensurepip-disabled.diff and its like)."""

VERSION = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Path:
    """As much of a checkout as `make` needs for `.venv`."""
    folder = tmp_path / "checkout"
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (repository / name).exists():
            shutil.copy(repository / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real virtual environment, to be copied."""
    folder = tmp_path_factory.mktemp("whole") / ".venv"
    subprocess.run((sys.executable, "-m", "venv", folder), check=True, timeout=300)
    return folder


def make(checkout: Path, *, python: str = sys.executable, install: str = "true") -> subprocess.CompletedProcess[str]:
    """`make .venv/host`, which every target that needs Python begins with."""
    return subprocess.run(
        ("make", ".venv/host", f"PYTHON={python}", f"INSTALL={install} #"),
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def has_pip(checkout: Path) -> bool:
    """Whether what the next line of the recipe starts is there."""
    python = checkout / ".venv/bin/python"
    return python.exists() and subprocess.run((python, "-c", "import pip"), check=False, timeout=60).returncode == 0


class FakeDebianPython:
    """A Python as Debian and Ubuntu have it without python3-venv: no module ensurepip, and a venv that makes half an
    environment before it notices. All else is this Python."""

    def __init__(self, folder: Path) -> None:
        hidden = folder / "hidden"
        hidden.mkdir()
        (hidden / "ensurepip.py").write_text("raise ModuleNotFoundError(\"No module named 'ensurepip'\")\n")
        self.path = folder / "python3"
        self.path.write_text(
            f'#!/bin/sh\nexport PYTHONPATH={hidden}\n[ "$1 $2" != "-m venv" ] || {{\n'
            f'    {sys.executable} -m venv --without-pip "$3"\n    echo "{DEBIAN_SAYS}"\n    exit 1\n}}\n'
            f'exec {sys.executable} "$@"\n'
        )
        self.path.chmod(0o755)


def test_where_python3_venv_is_missing_it_is_named_and_nothing_is_left(checkout: Path, tmp_path: Path) -> None:
    done = make(checkout, python=str(FakeDebianPython(tmp_path).path))
    assert done.returncode != 0
    assert f"sudo apt update && sudo apt install python{VERSION}-venv" in done.stderr
    assert "python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def without_pip(environment: Path) -> None:
    """As Debian leaves it, and as Ctrl-C does in ensurepip."""
    (environment / "host").unlink()
    shutil.rmtree(environment / f"lib/python{VERSION}/site-packages")


def half_installed(environment: Path) -> None:
    """As a killed pip leaves it: pip is there, and it is not known what else is whole."""
    (environment / "host").unlink()


def of_a_removed_python(environment: Path) -> None:
    for path in (environment / "bin").glob("python*"):
        path.unlink()
        path.symlink_to("/usr/bin/python3-of-the-system-before")


def of_an_upgraded_python(environment: Path) -> None:
    """The link leads to the new Python, and the packages lie in the folder of the old."""
    (environment / f"lib/python{VERSION}").rename(environment / "lib/python3.1")


@pytest.mark.parametrize(
    "damage",
    [
        without_pip,
        # Each makes a whole environment anew, for one more line of make-venv.sh that is held.
        *(pytest.param(each, marks=pytest.mark.slow) for each in (half_installed, of_a_removed_python, of_an_upgraded_python)),
    ],
)
def test_an_environment_that_is_not_whole_is_made_anew(
    checkout: Path, environment: Path, damage: Callable[[Path], None]
) -> None:
    found = checkout / ".venv"
    shutil.copytree(environment, found, symlinks=True)
    (found / "host").touch()
    damage(found)
    (found / "of-before").touch()
    done = make(checkout)
    assert done.returncode == 0, done.stderr
    assert "made anew" in done.stderr
    assert has_pip(checkout)
    assert (found / "host").exists()
    assert not (found / "of-before").exists()


def test_an_installation_that_fails_is_begun_anew_by_the_next_make(checkout: Path) -> None:
    assert make(checkout, install="touch .venv/half; false").returncode != 0
    assert (checkout / ".venv/half").exists()
    done = make(checkout)
    assert done.returncode == 0, done.stderr
    assert has_pip(checkout)
    assert not (checkout / ".venv/half").exists()


def test_a_whole_environment_is_kept_also_where_the_locks_are_newer(checkout: Path, environment: Path) -> None:
    found = checkout / ".venv"
    shutil.copytree(environment, found, symlinks=True)
    (found / "host").touch()
    os.utime(found / "host", (1, 1))
    (found / "of-before").touch()
    assert make(checkout, install="touch .venv/installed").returncode == 0
    assert (found / "installed").exists()
    (found / "installed").unlink()
    again = make(checkout, install="touch .venv/installed")
    assert (again.returncode, again.stderr) == (0, "")
    assert not (found / "installed").exists()
    assert (found / "of-before").exists()


def test_an_old_python_is_refused_before_anything_is_made(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 10, 12)\n")
    old = tmp_path / "python3"
    old.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    old.chmod(0o755)
    done = make(checkout, python=str(old))
    assert done.returncode != 0
    assert "strixbench needs Python 3.11 or later; set PYTHON=" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_named(checkout: Path) -> None:
    done = make(checkout, python="python3.99")
    assert done.returncode != 0
    assert "python3.99 is not to be found: install Python 3.11 or later, or set PYTHON=" in done.stderr


def test_a_fresh_checkout_says_nothing_of_a_python_that_is_not_there_yet(checkout: Path) -> None:
    done = subprocess.run(("make", "help"), cwd=checkout, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "not found" not in done.stdout
