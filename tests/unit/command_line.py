"""`strixbench` as the installed command runs it, inside the test's own process."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import cli, places
from harness.records.launch import Launch
from harness.records.store import Store
from tests.unit.samples import write_audio


class Outcome(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str


Strixbench = Callable[..., Outcome]


@pytest.fixture
def strixbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Strixbench]:
    """Runs `main` as the installed command does, with its keyword arguments; a bug's exception reaches the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: object, **edges: Any) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["strixbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main(**edges)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, captured.out, captured.err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_audio(tmp_path / "talk.wav")


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name on the path. It is never started, only looked for."""
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
