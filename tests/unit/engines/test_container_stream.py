"""What becomes of an engine that falls silent or hangs up in the middle of a stream. The engine is a fake: a Unix socket in this
process, which the real SDK talks to. Real engines and a real registry are in tests/engines."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.commands.opening import open_engine
from harness.engines.base import Recipe, Run
from harness.engines.connection import SILENCE_SECONDS, SILENCE_VARIABLE, silence_limit
from harness.engines.container import ContainerEngine
from harness.engines.container_runs import remove_container, remove_soon
from harness.engines.discovery import Found
from harness.errors import BuildFailed, EngineError, UsageError

BASE = "registry.example/rocm/pytorch:7.2"
VERSION = {"Version": "5.6.2", "ApiVersion": "1.41"}
LAYER = [
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Downloading", "progressDetail": {"current": 3_100_000_000, "total": 7_910_000_000}, "id": "aaa"},
]


class Script:
    """What the fake engine does when it is asked to fetch or to build."""

    def __init__(self) -> None:
        self.lines: Sequence[Any] = ()
        self.end = "whole"
        """``whole``, ``silent`` or ``cut``"""
        self.status = 200
        self.is_gone = False
        """Whether it hangs up on whatever it is asked."""
        self.asked: list[str] = []
        self.over = threading.Event()


class AService(socketserver.ThreadingUnixStreamServer):
    """A fake of an engine's service. It knows of no image."""

    daemon_threads = True

    def __init__(self, path: Path, script: Script) -> None:
        super().__init__(str(path), Answer)
        self.script = script


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server: AService

    def do_GET(self) -> None:
        known = {"version": VERSION, "info": {}, "json": []}
        path = self.path.partition("?")[0]
        found = known.get(path.rpartition("/")[2]) if not path.endswith(f"{BASE}/json") else None
        if self.server.script.is_gone:
            self.close_connection = True
        elif found is None:
            self._whole(404, {"message": "no such image"})
        else:
            self._whole(200, found)

    def do_POST(self) -> None:
        script = self.server.script
        script.asked.append(self.path)
        self._read_body()
        if script.status != 200:
            self._whole(script.status, script.lines[0])
        elif not script.is_gone:
            self._stream(script)
        self.close_connection = True

    def do_DELETE(self) -> None:
        self.close_connection = True

    def _stream(self, script: Script) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in script.lines:
            data = json.dumps(line).encode() + b"\r\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        if script.end == "silent":
            script.over.wait()
        elif script.end == "whole":
            self.wfile.write(b"0\r\n\r\n")

    def _read_body(self) -> None:
        if self.headers.get("Transfer-Encoding") != "chunked":
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + 2)
        self.rfile.readline()

    def _whole(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base class
        """Says nothing."""

    def address_string(self) -> str:
        return "unix"


@contextlib.contextmanager
def an_engine(path: Path, script: Script) -> Iterator[None]:
    """The service at work."""
    with AService(path, script) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            script.over.set()
            server.shutdown()
            thread.join(5)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def engine(tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerEngine]:
    """Connected to the fake, and patient for 0.3 s."""
    monkeypatch.setenv(SILENCE_VARIABLE, "0.3")
    with an_engine(tmp_path / "engine.sock", script):
        opened = ContainerEngine(Found("podman", str(tmp_path / "engine.sock")))
        yield opened
        opened.close()


def a_recipe(base: str = BASE, **changes: Any) -> Recipe:
    given = {"image": "x", "hash": "a" * 64, "containerfile": "FROM scratch\n", "arguments": {"BASE": base}, "files": {}}
    return Recipe(**{**given, **changes})


def built(engine: ContainerEngine, recipe: Recipe, log: Path, *, announced: list[str] | None = None) -> list[str]:
    """What was said on the way."""
    said: list[str] = []
    try:
        engine.build(recipe, log=log, say=said.append, announce=None if announced is None else announced.append)
    finally:
        assert log.exists()
    return said


def test_a_fetch_that_falls_silent_says_what_was_fetched_and_what_is_kept(
    engine: ContainerEngine, script: Script, tmp_path: Path
) -> None:
    script.lines, script.end = LAYER, "silent"
    with pytest.raises(EngineError) as caught:
        built(engine, a_recipe(), tmp_path / "log")
    assert f"podman was fetching {BASE}, and no data arrived for 0.3 s ({SILENCE_VARIABLE})" in str(caught.value)
    assert "Run the same command again: if a fetch stops early, Podman keeps" in str(caught.value)
    assert str(caught.value) in (tmp_path / "log").read_text()
    assert caught.value.exit_code == 3


def test_an_engine_that_hangs_up_in_a_fetch_is_our_error(engine: ContainerEngine, script: Script, tmp_path: Path) -> None:
    script.lines, script.end = LAYER, "cut"
    with pytest.raises(EngineError, match=f"podman stopped answering while it fetched {BASE}: .*Run the same command again"):
        built(engine, a_recipe(), tmp_path / "log")


def test_an_image_that_no_registry_has_is_the_image_s_failure(engine: ContainerEngine, script: Script, tmp_path: Path) -> None:
    script.lines = [{"error": f"reading manifest 7.2 in {BASE}: manifest unknown"}]
    with pytest.raises(BuildFailed, match=f"podman cannot fetch {BASE}: .*manifest unknown") as caught:
        built(engine, a_recipe(), tmp_path / "log")
    assert "manifest unknown" in caught.value.log_tail


def test_a_registry_that_cannot_be_reached_is_the_environment_s(
    engine: ContainerEngine, script: Script, tmp_path: Path
) -> None:
    # As Docker refuses, before any line of progress.
    script.status, script.lines = 500, [{"message": 'Get "https://registry.example/v2/": dial tcp: lookup: no such host'}]
    with pytest.raises(EngineError, match=f"podman cannot fetch {BASE}: Get .*no such host"):
        built(engine, a_recipe(), tmp_path / "log")


def test_a_registry_s_limit_of_pulls_is_no_fault_of_the_network(
    engine: ContainerEngine, script: Script, tmp_path: Path
) -> None:
    # As Docker Hub refuses.
    refusal = (
        "initializing source docker://rocm/pytorch:7.2: reading manifest 7.2 in docker.io/rocm/pytorch: toomanyrequests: You "
        "have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit"
    )
    script.lines = [{"error": refusal}]
    with pytest.raises(EngineError, match="toomanyrequests") as caught:
        built(engine, a_recipe(), tmp_path / "log")
    assert "`podman login registry.example` with an account raises the limit, or wait some hours" in str(caught.value)
    assert "Look at the network" not in str(caught.value)


def test_a_large_layer_is_announced_once(engine: ContainerEngine, script: Script, tmp_path: Path) -> None:
    announced: list[str] = []
    script.lines, script.end = [*LAYER, *LAYER], "cut"
    with pytest.raises(EngineError):
        built(engine, a_recipe(largest_layer_bytes=7_910_000_000), tmp_path / "log", announced=announced)
    (line,) = announced
    assert line.startswith("registry.example/rocm/pytorch:7.2 has a layer of 7.9 GB. ")


def test_a_large_layer_that_the_catalog_does_not_know_is_announced_when_the_engine_names_its_size(
    engine: ContainerEngine, script: Script, tmp_path: Path
) -> None:
    announced: list[str] = []
    script.lines, script.end = LAYER, "cut"
    with pytest.raises(EngineError):
        built(engine, a_recipe(), tmp_path / "log", announced=announced)
    assert [line.partition(".")[0] for line in announced] == ["registry"]


@pytest.mark.parametrize("base", ["localhost/mine:1", "scratch", ""])
def test_a_base_that_no_registry_has_is_not_asked_for(
    engine: ContainerEngine, script: Script, tmp_path: Path, base: str
) -> None:
    script.lines = [{"stream": "STEP 1/1: FROM x\n"}, {"error": "no such image"}]
    with pytest.raises(BuildFailed, match="no such image"):
        built(engine, a_recipe(base), tmp_path / "log")
    assert [path.partition("?")[0] for path in script.asked] == ["/v1.41/build"]


def test_a_build_that_falls_silent_is_told_with_what_sets_the_limit(
    engine: ContainerEngine, script: Script, tmp_path: Path
) -> None:
    script.lines, script.end = [{"stream": "STEP 2/3: RUN pip install torch\n"}], "silent"
    engine.connection.silence_seconds = 0.4  # the SDK takes whole seconds: 1
    with pytest.raises(EngineError) as caught:
        built(engine, a_recipe("localhost/mine:1"), tmp_path / "log")
    assert "printed nothing for 0.4 s and was given up, at `STEP 2/3: RUN pip install torch`" in str(caught.value)
    assert SILENCE_VARIABLE in str(caught.value)


def test_an_engine_that_hangs_up_in_a_build_is_our_error(engine: ContainerEngine, script: Script, tmp_path: Path) -> None:
    script.lines, script.end = [{"stream": "STEP 1/3: FROM x\n"}], "cut"
    with pytest.raises(EngineError, match="podman stopped answering during the build of localhost/strixbench/x:aaaaaaaaaaaa"):
        built(engine, a_recipe("localhost/mine:1"), tmp_path / "log")


def test_a_line_of_a_build_that_is_no_object_is_left_out(engine: ContainerEngine, script: Script, tmp_path: Path) -> None:
    script.lines = [[1], {"stream": "STEP 1/1: FROM x\n"}, {"error": "exit status 1"}]
    with pytest.raises(BuildFailed, match="exit status 1"):
        built(engine, a_recipe("localhost/mine:1"), tmp_path / "log")
    assert "STEP 1/1" in (tmp_path / "log").read_text()


def test_an_engine_that_hangs_up_is_our_error_wherever_it_is_asked(
    engine: ContainerEngine, script: Script, tmp_path: Path
) -> None:
    script.is_gone = True
    with pytest.raises(EngineError, match=f"podman failed at looking for {BASE}"):
        engine.find_reference(BASE)
    with pytest.raises(EngineError, match="podman failed at looking for an image"):
        engine.find_built(a_recipe())
    with pytest.raises(EngineError, match="stopped answering during the build"):
        built(engine, a_recipe("localhost/mine:1"), tmp_path / "log")
    with pytest.raises(EngineError, match="podman stopped answering"):
        engine.run(a_run(tmp_path), timeout_seconds=1)
    with pytest.raises(EngineError, match="podman failed at telling a container's memory"):
        engine.memory_stats("x")
    with pytest.raises(EngineError, match="podman did not answer while removing"):
        remove_container(engine.connection, "x")
    remove_soon(engine.connection, "x")  # ends without an error: an interruption goes on


def test_what_the_caller_named_and_is_not_used_is_said_once(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://box")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with an_engine(tmp_path / "docker.sock", script):
        for _ in range(2):
            open_engine("docker").close()
    warning = "warning: DOCKER_HOST is ssh://..., and strixbench talks only to Unix sockets; using this host's other Docker"
    assert capsys.readouterr().err.splitlines() == [warning]


def a_run(folder: Path) -> Run:
    return Run(name="x", image="y", argv=("true",), environment={}, mounts=(), working_directory="/", exchange=folder)


def test_the_limit_of_silence_is_what_the_environment_says() -> None:
    assert silence_limit({}) == silence_limit({SILENCE_VARIABLE: ""}) == SILENCE_SECONDS
    assert silence_limit({SILENCE_VARIABLE: "90"}) == 90


@pytest.mark.parametrize("text", ["0", "-3", "nan", "inf", "2h", "1e9", "1 000"])
def test_a_limit_of_silence_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=f"{SILENCE_VARIABLE} is "):
        silence_limit({SILENCE_VARIABLE: text})
