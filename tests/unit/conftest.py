"""A unit test starts no process and touches no file of its user."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.campaigns import bench  # noqa: F401 - fixtures of several files, here and below
from tests.unit.command_line import podman, recording, strixbench  # noqa: F401
from tests.unit.doctored import fedora, nvidia, plain, ubuntu  # noqa: F401

STARTERS = (
    *("fork", "forkpty", "posix_spawn", "posix_spawnp", "system"),
    *("execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe"),
    *("spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe"),
)
"""All of `os` that starts a process or becomes another program."""


SETTINGS = ("XDG_CACHE_HOME", "CONTAINER_HOST", "DOCKER_HOST", "COLUMNS", "FORCE_COLOR", "NO_COLOR")
"""Variables by which a user sets where things are and how they are printed, besides those with a prefix of ours or the hub's."""


@pytest.fixture(autouse=True)
def _no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a process fails the test, also where the code under test catches exceptions: `Failed` is none of them."""

    def refuse(*arguments: object, **_: object) -> None:
        pytest.fail(f"a unit test tried to start a process: {arguments!r}")

    def refuse_popen(_: object, *arguments: object, **__: object) -> None:
        refuse(*arguments)

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse_popen)
    for name in STARTERS:
        monkeypatch.setattr(os, name, refuse)


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Results, caches and home are the test's own, and none of the caller's settings and programs reach it."""
    monkeypatch.setenv("PATH", str(tmp_path / "no programs"))
    for name in tuple(os.environ):
        if name.startswith(("STRIXBENCH_", "HF_")) or name.lower().endswith("_proxy") or name in SETTINGS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("STRIXBENCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
