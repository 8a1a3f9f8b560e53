"""An engine that falls silent, as Podman does where its disk is full. The API is a fake; real engines are in tests/engines."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from harness.engines.container import ContainerEngine
from harness.engines.podman_service import listens
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
    silent._connection = SimpleNamespace(api=SilentApi())  # type: ignore[assignment]
    return silent


def test_a_removal_that_is_not_answered_is_the_engine_s_failure_and_no_traceback(engine: ContainerEngine) -> None:
    with pytest.raises(EngineError, match="podman did not answer while removing container abc"):
        engine._remove("abc")


def test_a_sweep_that_is_not_answered_is_the_engine_s_failure(engine: ContainerEngine) -> None:
    with pytest.raises(EngineError, match="podman failed at looking for leftovers"):
        engine.sweep()


def test_a_service_is_there_when_it_takes_connections_and_not_when_its_socket_appears(tmp_path: Path) -> None:
    path = str(tmp_path / "podman.sock")
    assert not listens(path)
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        assert Path(path).exists()
        assert not listens(path)
        service.listen()
        assert listens(path)
