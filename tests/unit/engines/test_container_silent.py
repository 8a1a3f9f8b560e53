"""An engine that falls silent, as Podman does where its disk is full. The API is a fake; real engines are in tests/engines."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import requests

from harness.engines import container
from harness.engines.base import KEEP_GROUPS, Run
from harness.engines.container import ContainerEngine
from harness.engines.find import answer_of
from harness.errors import EngineError


class SilentApi:
    """A fake of the SDK's client: no call is answered in time."""

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object, **options: object) -> None:
            raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=60)")

        return call


@pytest.fixture
def engine() -> ContainerEngine:
    """Connected to nothing."""
    silent = ContainerEngine.__new__(ContainerEngine)
    silent._name = "podman"
    silent._service = None
    silent._url = "unix:///nowhere"
    silent._no_service = {}
    silent._connection = SimpleNamespace(api=SilentApi())  # type: ignore[assignment]
    return silent


def test_a_removal_that_is_not_answered_is_the_engine_s_failure_and_no_traceback(engine: ContainerEngine) -> None:
    with pytest.raises(EngineError, match="podman did not answer while removing container abc"):
        engine._remove("abc")


def test_a_sweep_that_is_not_answered_is_the_engine_s_failure(engine: ContainerEngine) -> None:
    with pytest.raises(EngineError, match="podman failed at looking for leftovers"):
        engine.sweep()


class HeldApi:
    """A fake of the SDK's client whose one container starts, and never ends: as where the kernel holds its process. It prints
    nothing, so its output has no end either."""

    def __init__(self, *, answers_kill: bool = True) -> None:
        self.asked: list[str] = []
        self._answers_kill = answers_kill
        self._here, self._there = socket.socketpair()

    def create_host_config(self, **options: object) -> dict[str, object]:
        return {}

    def create_container(self, image: str, **options: object) -> dict[str, str]:
        return {"Id": "abc123"}

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"State": {"Running": True, "Status": "running", "OOMKilled": False}, "HostConfig": {"Memory": 0}}

    def attach_socket(self, container: str, params: object) -> Any:
        return SimpleNamespace(_sock=self._here, _response=self._there)

    def start(self, container: str) -> None:
        self.asked.append("start")

    def kill(self, container: str, signal: str) -> None:
        self.asked.append(signal)
        if not self._answers_kill:
            raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=60)")

    def remove_container(self, container: str, **options: object) -> None:
        raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=60)")


def a_run() -> Run:
    """Of an image that nobody has."""
    return Run(
        name="strixbench-test",
        image="none",
        argv=("python",),
        environment={},
        mounts=(),
        working_directory="/",
        exchange=Path("/nowhere"),
        labels={},
    )


@pytest.mark.parametrize("answers_kill", [True, False])
def test_a_launch_that_was_killed_is_on_record_where_the_kernel_does_not_let_go_of_it(
    engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch, answers_kill: bool
) -> None:
    monkeypatch.setattr(container, "CALL_TIMEOUT_SECONDS", 0)
    held = HeldApi(answers_kill=answers_kill)
    engine._connection = SimpleNamespace(api=held)  # type: ignore[assignment]
    ended = engine.run(a_run(), timeout_seconds=60, give_up=lambda: "gpu fault")
    assert held.asked == ["start", "SIGKILL"]
    assert (ended.started, ended.ended_because, ended.code) == (True, "gpu fault", 137)
    assert "the container was killed and is not gone: podman did not see container abc123 end" in ended.remark
    assert "reboot" in ended.remark
    assert "podman did not answer while removing container abc123" in ended.remark


class Connection:
    """A fake of the SDK's connection, which knows whether it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_a_service_of_ours_that_cannot_start_is_tried_once_and_no_connection_is_closed_for_it(
    engine: ContainerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Sequence[str]] = []

    def no_podman(argv: Sequence[str], **options: object) -> None:
        """A fake of a program that cannot be started."""
        started.append(argv)
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "Popen", no_podman)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "podman").touch(mode=0o755)
    theirs = tmp_path / "podman.sock"
    theirs.touch()
    engine._url = f"unix://{theirs}"
    connection, stats = Connection(), Connection()
    engine._connection, engine._stats_connection = connection, stats  # type: ignore[assignment]
    run = msgspec.structs.replace(a_run(), groups=(KEEP_GROUPS,))
    first = engine._with_our_groups(run)
    assert "`podman system service` cannot be started: No such file or directory" in first
    assert engine._with_our_groups(run) == first
    assert len(started) == 1
    assert (connection.is_closed, stats.is_closed) == (False, False)
    assert engine._url == f"unix://{theirs}"


def test_a_service_is_there_when_it_takes_connections_and_not_when_its_socket_appears(tmp_path: Path) -> None:
    path = str(tmp_path / "podman.sock")
    assert answer_of(path) == "absent"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        assert Path(path).exists()
        assert answer_of(path) == "absent"
        service.listen()
        assert answer_of(path) == "listens"
