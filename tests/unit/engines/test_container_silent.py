"""An engine that falls silent, as Podman does where its disk is full. The API is a fake; real engines are in tests/engines."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import requests

from harness.engines.base import KEEP_GROUPS, Run
from harness.engines.connection import Connection
from harness.engines.container import ContainerEngine
from harness.engines.container_runs import remove_container, run_container
from harness.engines.discovery import Found, answer_of
from harness.engines.podman_service import PodmanService
from harness.errors import EngineError


class IntroducedApi:
    """A fake of the SDK's calls that says what engine it is."""

    def version(self) -> dict[str, Any]:
        return {"Version": "5.4.2"}

    def info(self) -> dict[str, Any]:
        return {}


class SilentApi(IntroducedApi):
    """A fake of the SDK's calls: from then on no call is answered in time."""

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object, **options: object) -> None:
            raise requests.exceptions.ReadTimeout("Read timed out. (read timeout=60)")

        return call


class Client:
    """A fake of the SDK's client, which knows whether it was closed."""

    def __init__(self, api: IntroducedApi) -> None:
        self.api = api
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class NoService:
    """A fake of Podman's service that cannot be started, which counts the attempts."""

    attempts = 0

    def __call__(self) -> PodmanService:
        self.attempts += 1
        raise EngineError("`podman system service` cannot be started: No such file or directory")


def connected(folder: Path, *clients: Client, serve: NoService | None = None) -> Connection:
    """A connection on a socket of this user, by fakes of the SDK's client in turn."""
    theirs = folder / "podman.sock"
    theirs.touch()
    left = list(clients)
    return Connection(Found("podman", str(theirs)), dial=lambda **_: cast(Any, left.pop(0)), serve=serve or NoService())


@pytest.fixture
def silent(tmp_path: Path) -> Connection:
    """A connection to an engine that answers nothing."""
    return connected(tmp_path, Client(SilentApi()))


def test_a_removal_that_is_not_answered_is_the_engine_s_failure_and_no_traceback(silent: Connection) -> None:
    with pytest.raises(EngineError, match="podman did not answer while removing container abc"):
        remove_container(silent, "abc")


def test_a_sweep_that_is_not_answered_is_the_engine_s_failure(silent: Connection) -> None:
    with pytest.raises(EngineError, match="podman failed at looking for leftovers"):
        ContainerEngine(Found("podman", None), connect=lambda _: silent).sweep()


class HeldApi(IntroducedApi):
    """A fake of the SDK's calls whose one container starts, and never ends: as where the kernel holds its process. It prints
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
    tmp_path: Path, answers_kill: bool
) -> None:
    held = HeldApi(answers_kill=answers_kill)
    connection = connected(tmp_path, Client(held))
    ended = run_container(connection, a_run(), timeout_seconds=60, give_up=lambda: "gpu fault", end_seconds=0)
    assert held.asked == ["start", "SIGKILL"]
    assert (ended.started, ended.ended_because, ended.code) == (True, "gpu fault", 137)
    assert "the container was killed and is not gone: podman did not see container abc123 end" in ended.remark
    assert "reboot" in ended.remark
    assert "podman did not answer while removing container abc123" in ended.remark


def test_a_service_of_ours_that_cannot_start_is_tried_once_and_no_connection_is_closed_for_it(tmp_path: Path) -> None:
    client, stats, service = Client(IntroducedApi()), Client(IntroducedApi()), NoService()
    connection = connected(tmp_path, client, stats, serve=service)
    assert connection.stats_api is stats.api
    run = msgspec.structs.replace(a_run(), groups=(KEEP_GROUPS,))
    first = connection.serve_with_our_groups(run)
    assert "`podman system service` cannot be started: No such file or directory" in first
    assert connection.serve_with_our_groups(run) == first
    assert service.attempts == 1
    assert (client.is_closed, stats.is_closed) == (False, False)
    assert connection.api is client.api
    connection.close()
    assert (client.is_closed, stats.is_closed) == (True, True)


def test_a_service_is_there_when_it_takes_connections_and_not_when_its_socket_appears(tmp_path: Path) -> None:
    path = str(tmp_path / "podman.sock")
    assert answer_of(path) == "absent"
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        assert Path(path).exists()
        assert answer_of(path) == "absent"
        service.listen()
        assert answer_of(path) == "listens"
