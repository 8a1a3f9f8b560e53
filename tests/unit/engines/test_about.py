"""What engines say of themselves. The one that answers here is `AnEngine`: a socket in this process, no engine."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engines.about import ANSWER_TIMEOUT_SECONDS, EngineFacts, ask_engines, docker_facts, podman_facts, silent_docker
from harness.engines.base import Storage

PODMAN_INFO = {
    "host": {
        "cgroupControllers": ["cpu", "memory"],
        "cgroupVersion": "v2",
        "ociRuntime": {"name": "crun"},
        "security": {"rootless": True},
    },
    "store": {"graphRoot": "/somewhere/containers/storage"},
    "version": {"Version": "5.6.2"},
}


class AnEngine(socketserver.ThreadingUnixStreamServer):
    """Answers ``GET /info`` on a Unix socket, as Docker's API would, and as a Podman what its own interface is asked."""

    def __init__(self, path: Path, *, status: int, body: bytes, libpod: bytes | None) -> None:
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                is_own = libpod is not None and self.path == "/v5.6.2/libpod/info"
                said = libpod if libpod is not None and is_own else body
                self.send_response(200 if is_own else status if self.path == "/info" else 404)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base class
                """Says nothing."""

            def address_string(self) -> str:
                return "unix"

        super().__init__(str(path), Answer)


@contextlib.contextmanager
def an_engine(path: Path, *, status: int = 200, body: bytes, libpod: bytes | None = None) -> Iterator[str]:
    with AnEngine(path, status=status, body=body, libpod=libpod) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield str(path)
        finally:
            server.shutdown()
            thread.join(5)


@pytest.fixture(autouse=True)
def _no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def asked(path: object, name: str, *, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> EngineFacts:
    """What one of the two says where both are on this socket, and no real engine is asked."""
    environment = {"DOCKER_HOST": f"unix://{path}", "CONTAINER_HOST": f"unix://{path}"}
    return next(facts for facts in ask_engines(environment, timeout_seconds=timeout_seconds) if facts.name == name)


def test_podmans_answer_is_read() -> None:
    assert podman_facts(json.dumps(PODMAN_INFO)) == EngineFacts(
        name="podman",
        version="5.6.2",
        rootless=True,
        runtime="crun",
        cgroup_version="2",
        controllers=("cpu", "memory"),
        storage=Storage(folder="/somewhere/containers/storage", spool="/var/tmp"),
    )


@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "null", "[" * 200_000, '{"host": 3}', json.dumps({**PODMAN_INFO, "store": None})]
)
def test_an_answer_of_podmans_that_is_not_understood_is_an_error(answer: str) -> None:
    facts = podman_facts(answer)
    assert facts.error is not None
    assert facts.version is None


def test_dockers_answer_is_read() -> None:
    told = {
        "ServerVersion": "28.3.3",
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "DefaultRuntime": "runc",
        "CgroupVersion": "2",
        "DockerRootDir": "/var/lib/docker",
    }
    facts = docker_facts("docker", told)
    assert (facts.version, facts.rootless, facts.runtime) == ("28.3.3", True, "runc")
    assert (facts.cgroup_version, facts.storage, facts.error) == ("2", Storage(folder="/var/lib/docker"), None)
    assert docker_facts("docker", {}) == EngineFacts(name="docker", rootless=False)


def test_an_engine_is_asked_on_its_socket(tmp_path: Path) -> None:
    with an_engine(tmp_path / "s", body=b'{"ServerVersion": "28.3.3"}') as path:
        assert asked(path, "docker").version == "28.3.3"


def test_podman_without_its_program_is_asked_on_its_socket(tmp_path: Path) -> None:
    with an_engine(tmp_path / "s", body=b'{"ServerVersion": "5.6.2"}') as path:
        facts = asked(path, "podman")
    assert (facts.version, facts.error) == ("5.6.2", None)


def test_podman_without_its_program_says_where_it_unpacks_as_it_would_with_it(tmp_path: Path) -> None:
    store = {"graphRoot": "/home/images", "imageCopyTmpDir": "/large/tmp"}
    info = json.dumps({**PODMAN_INFO, "store": store}).encode()
    with an_engine(tmp_path / "s", body=b'{"ServerVersion": "5.6.2"}', libpod=info) as path:
        facts = asked(path, "podman")
    assert facts == podman_facts(info.decode())
    assert facts.storage == Storage(folder="/home/images", spool="/large/tmp")


@pytest.mark.parametrize("form", ["unix://{}", "unix:{}", "{}"])
def test_a_docker_socket_is_read_of_its_variable_in_every_form(tmp_path: Path, form: str) -> None:
    (tmp_path / "s").touch()
    variables = {"DOCKER_HOST": form.format(tmp_path / "s"), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert silent_docker(variables) == EngineFacts(name="docker", error=f"nothing listens on {tmp_path / 's'}")


def test_what_is_no_docker_socket_is_said(tmp_path: Path) -> None:
    assert "names no Unix socket" in str(silent_docker({"DOCKER_HOST": "tcp://10.0.0.2:2375"}))


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"[]"), (200, b"nonsense"), (403, b"")])
def test_an_engine_that_answers_nonsense_is_an_error(tmp_path: Path, status: int, body: bytes) -> None:
    with an_engine(tmp_path / "s", status=status, body=body) as path:
        assert asked(path, "docker").error is not None


def test_an_engine_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        assert "no answer on" in str(asked(tmp_path / "s", "docker", timeout_seconds=0.05).error)
