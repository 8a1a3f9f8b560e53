"""Containers of Docker and Podman: created, run to their end, killed and removed."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from typing import Any

import docker.errors
import msgspec
import requests
from docker.models.containers import RUN_CREATE_KWARGS

from harness.engines.base import GIVE_UP_SECONDS, LOG, GiveUp, Run, still_held_text
from harness.engines.connection import CALL_TIMEOUT_SECONDS, REFUSALS, Connection, patiently
from harness.engines.options import docker_keywords, libpod_specification, needs_libpod
from harness.errors import EngineError
from harness.records.outcome import TIME_IS_UP, Ending, ExitRecord
from harness.tools import OWNER_LABEL

LIBPOD_CREATE = "/v{version}/libpod/containers/create"
"""https://docs.podman.io/en/latest/_static/api.html#tag/containers/operation/ContainerCreateLibpod; every service serves its own
version."""

MOST_LAST_WORDS_BYTES = 8_000


def run_container(
    connection: Connection, run: Run, *, timeout_seconds: float, give_up: GiveUp, end_seconds: float = CALL_TIMEOUT_SECONDS
) -> ExitRecord:
    """See `harness.engines.base.Engine.run`. ``end_seconds``: how long the engine may take to notice that a container has ended."""
    # Podman would make a missing folder, as root, where Docker refuses.
    absent = [mount.source for mount in run.mounts if not os.path.exists(mount.source)]
    if absent:
        return ExitRecord(started=False, message=f"{', '.join(absent)} is not there to be mounted")
    name = connection.name
    try:
        container = create_container(connection, run)
    except docker.errors.APIError as error:
        return ExitRecord(started=False, message=f"{name} refused to create the container: {error.explanation}")
    except REFUSALS as error:
        raise EngineError(f"{name} stopped answering: {error}") from error
    except KeyboardInterrupt:
        remove_soon(connection, run.name)
        raise
    left = ""
    try:
        ended = _run_to_its_end(connection, container, run, timeout_seconds, give_up=give_up, end_seconds=end_seconds)
    except docker.errors.APIError as error:
        ended = ExitRecord(started=False, message=f"{name} could not run it: {error.explanation}")
    except REFUSALS as error:
        raise EngineError(f"{name} stopped answering: {error}") from error
    finally:
        try:
            remove_container(connection, container)
        except EngineError as error:  # the launch's result is worth more; the next start sweeps
            left = str(error)
    return with_remark(ended, left)


def with_remark(ended: ExitRecord, remark: str) -> ExitRecord:
    """The record with one remark more, unless that is empty."""
    return msgspec.structs.replace(ended, remark="; ".join(text for text in (ended.remark, remark) if text))


def create_container(connection: Connection, run: Run) -> str:
    """Create the container; returns its id. Raises the SDK's errors."""
    if connection.name == "podman" and needs_libpod(run):
        return create_by_libpod(connection, run)
    host = docker_keywords(run)
    container = {name: host.pop(name) for name in RUN_CREATE_KWARGS if name in host}
    host_config = connection.api.create_host_config(**host)
    return str(connection.api.create_container(**container, host_config=host_config)["Id"])


def create_by_libpod(connection: Connection, run: Run) -> str:
    """Create the container through Podman's own interface; returns its id. Raises the SDK's errors."""
    api = connection.api
    address = api.base_url + LIBPOD_CREATE.format(version=connection.record.version)
    answer = api.post(address, json=libpod_specification(run), timeout=CALL_TIMEOUT_SECONDS)
    try:
        answer.raise_for_status()
    except requests.exceptions.HTTPError as error:
        docker.errors.create_api_error_from_http_exception(error)  # raises the SDK's own error
    return str(answer.json()["Id"])


def labelled_containers(connection: Connection) -> list[dict[str, Any]]:
    """All containers that have an owner, whichever harness it is."""
    return patiently(lambda: list(connection.api.containers(all=True, filters={"label": OWNER_LABEL})))


def remove_container(connection: Connection, container: str) -> None:
    """Remove a container in whatever state, also one that is gone already. Raises `EngineError`."""
    try:
        connection.api.remove_container(container, force=True, v=True)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        raise EngineError(f"{connection.name} could not remove container {container[:12]}: {error.explanation}") from error
    except REFUSALS as error:  # a full disk makes Podman fall silent; the next start sweeps
        raise EngineError(f"{connection.name} did not answer while removing container {container[:12]}: {error}") from error


def remove_soon(connection: Connection, name: str) -> None:
    """Remove a container that the engine may still be making after we were interrupted. Never fails."""
    deadline = time.monotonic() + 2
    with contextlib.suppress(EngineError, *REFUSALS):  # the next start sweeps
        while time.monotonic() < deadline:
            if connection.api.containers(all=True, filters={"name": name}):
                remove_container(connection, name)
                return
            time.sleep(0.05)


def _run_to_its_end(
    connection: Connection, container: str, run: Run, timeout_seconds: float, *, give_up: GiveUp, end_seconds: float
) -> ExitRecord:
    """Start a created container and wait for its end."""
    api, state, remark = connection.api, {}, ""
    if run.memory_bytes and not api.inspect_container(container)["HostConfig"].get("Memory"):
        # Rootless Podman with cgroups v1 drops the limit without a word.
        return ExitRecord(started=False, message=f"{connection.name} cannot limit memory here; run without --memory")
    # Attached, since Podman's wait looks only four times a second (WaitContainerDocker in
    # pkg/api/handlers/utils/containers.go): the attached stream ends when the container does.
    with _attached(api, container) as stream:
        try:
            api.start(container)
        except docker.errors.APIError as error:
            return ExitRecord(started=False, message=f"{connection.name} could not start it: {error.explanation}")
        begun = time.monotonic()
        said, ended_because = _read_to_end(stream, timeout_seconds, give_up)
        run_seconds = time.monotonic() - begun
    if ended_because is None:
        state = _ended_state(connection, container, end_seconds)
    else:
        # It may end between the question and the shot. Podman answers once it has ended (KillContainer in
        # pkg/api/handlers/compat/containers.go), so not in time where the kernel holds its process.
        with contextlib.suppress(*REFUSALS):
            api.kill(container, signal="SIGKILL")
        try:
            state = _ended_state(connection, container, end_seconds)
        except (EngineError, *REFUSALS) as error:
            remark = still_held_text("the container", str(error))
    log = run.exchange / LOG
    # What came before the shell could send its output to the log, such as its own failure to start.
    if said and not log.exists() and not log.is_symlink():
        log.write_bytes(said)
    return ExitRecord(
        started=True,
        code=128 + signal.SIGKILL if ended_because is not None else int(state["ExitCode"]),
        timed_out=ended_because in TIME_IS_UP,
        ended_because=ended_because,
        out_of_memory=bool(state.get("OOMKilled")),
        run_seconds=run_seconds,
        remark=remark,
    )


def _ended_state(connection: Connection, container: str, end_seconds: float) -> dict[str, Any]:
    """The state of a container whose output has ended, or that was killed; the engine may need a moment to notice."""
    deadline = time.monotonic() + end_seconds
    while True:
        state: dict[str, Any] = connection.api.inspect_container(container)["State"]
        if not state["Running"] and state["Status"] not in ("running", "stopping"):
            return state
        if time.monotonic() > deadline:
            raise EngineError(f"{connection.name} did not see container {container[:12]} end within {end_seconds:.0f} s")
        time.sleep(0.01)


@contextlib.contextmanager
def _attached(api: Any, container: str) -> Iterator[Any]:
    """The socket that a container's output comes on. It is part of an HTTP answer, which ends with it."""
    stream: Any = api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1})
    # The SDK gives the reading side of an HTTP answer; the socket below outlives it unless it is closed as well.
    response, socket = stream._response, stream._sock
    try:
        yield socket
    finally:
        response.close()
        socket.close()


def _read_to_end(stream: Any, timeout_seconds: float, give_up: GiveUp) -> tuple[bytes, Ending | None]:
    """The last words on an attached stream, and why it was left before its end; ``None``: it ended."""
    deadline = time.monotonic() + timeout_seconds
    asked, said = time.monotonic(), b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([stream], [], [], min(left, GIVE_UP_SECONDS))[0]:
            data = stream.recv(1 << 16)
            if not data:
                return said, None
            said = (said + data)[-MOST_LAST_WORDS_BYTES:]
        if time.monotonic() - asked >= GIVE_UP_SECONDS:  # a guest that prints without end is not checked more often
            asked = time.monotonic()
            if (why := give_up()) is not None:
                return said, why
    return said, "time"
