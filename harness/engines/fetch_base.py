"""Fetches the base of an image before its build, so that a person sees how far the fetch is.

Podman prints nothing while a build fetches a layer; asked to fetch an image, it tells the bytes once a second
(seen with 4.3.1; https://github.com/podman-container-tools/podman/issues/24887).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import docker.errors
import requests
from docker import auth
from docker.utils import parse_repository_tag

from harness.engines.base import Recipe
from harness.engines.connection import CONNECTION_ERRORS, SILENCE_VARIABLE, Connection, is_silence, limit_text
from harness.engines.discovery import EngineName
from harness.engines.fetch_progress import (
    KEPT,
    LARGE_LAYER_BYTES,
    Fetched,
    fetch_text,
    is_fault_of_image,
    is_fault_of_quota,
    large_layer_text,
    log_line,
    read_line,
    registry_of,
    take_in,
)
from harness.errors import BuildFailed, EngineError
from harness.text import Say
from harness.tools import tail_of

MOST_LINE_BYTES = 1 << 20

fetch_locks: defaultdict[tuple[EngineName, str], threading.Lock] = defaultdict(threading.Lock)
"""By engine and reference: of two builds on one base the second waits until the first has fetched it."""


def is_fetched(reference: str) -> bool:
    """Whether a registry could have a reference. None has an id, an image of this host alone, or what a Containerfile that starts
    from nothing names."""
    return bool(reference) and reference != "scratch" and not reference.startswith(("localhost/", "sha256:"))


def fetch_base(connection: Connection, recipe: Recipe, log: Path, stream: IO[str], *, say: Say, announce: Say) -> None:
    """Fetch the base of a recipe. ``stream`` is open on ``log``.

    Raises `EngineError` where the connection, the registry or this host is at fault, `BuildFailed` where the image is.
    """
    name, fetched = recipe.base.partition("@")[0], Fetched()
    silence = f"{limit_text(connection.silence_seconds)} ({SILENCE_VARIABLE})"
    largest = recipe.largest_layer_bytes or 0
    if largest >= LARGE_LAYER_BYTES:
        announce(large_layer_text(name, largest, engine=connection.name, silence_text=silence))
    say(fetch_text(name, fetched, None))
    for told in _lines(connection, recipe.base):
        line = read_line(told)
        before, fetched = fetched, take_in(fetched, line)
        if text := log_line(before, fetched, line):
            stream.write(f"{text}\n")
            stream.flush()
        if line.error:
            raise _refusal(connection.name, recipe.base, line.error, log)
        if largest < LARGE_LAYER_BYTES <= fetched.largest_bytes:
            largest = fetched.largest_bytes
            announce(large_layer_text(name, largest, engine=connection.name, silence_text=silence))
        say(fetch_text(name, fetched, recipe.base_bytes))


def _lines(connection: Connection, base: str) -> Iterator[Any]:
    """What the engine says, decoded; ``None`` for a line that is not JSON. Raises `EngineError` where the connection fails."""
    try:
        with contextlib.closing(_ask(connection.api, base, timeout_seconds=connection.silence_seconds)) as answer:
            if not answer.ok:
                yield {"error": _explanation(answer)}
                return
            for text in answer.iter_lines(chunk_size=1 << 16):
                try:
                    told = json.loads(text[:MOST_LINE_BYTES])
                except (ValueError, RecursionError):
                    told = None
                yield told
    except CONNECTION_ERRORS as error:
        again = f"Run the same command again: {KEPT[connection.name]}"
        if is_silence(error):
            raise EngineError(
                f"{connection.name} was fetching {base}, and no data arrived for {limit_text(connection.silence_seconds)} "
                f"({SILENCE_VARIABLE}): the connection or the registry is down. {again}"
            ) from error
        raise EngineError(f"{connection.name} stopped answering while it fetched {base}: {error}. {again}") from error


def _refusal(engine: EngineName, base: str, why: str, log: Path) -> Exception:
    """The error for a fetch that the engine gave up."""
    what, again = f"{engine} cannot fetch {base}: {why.strip()}", f"Run the same command again: {KEPT[engine]}"
    if is_fault_of_quota(why):
        registry = registry_of(base)
        login = f"{engine} login" if (engine, registry) == ("docker", "docker.io") else f"{engine} login {registry}"
        return EngineError(
            f"{what}. The registry counts what this address or account fetches: `{login}` with an account raises the "
            f"limit, or wait some hours. {again}"
        )
    if is_fault_of_image(why):
        return BuildFailed(f"{what} (`{engine} login` where it needs an account)", tail_of(log))
    return EngineError(f"{what}. Look at the network, and at docs/mirrors.md where there is a proxy or a mirror. {again}")


def _ask(api: Any, reference: str, *, timeout_seconds: float) -> requests.Response:
    """The engine's answer to a request for an image, still to be read: the SDK's own `pull` has no time limit."""
    # Docker would fetch every tag of a name without one.
    name, tag = parse_repository_tag(reference)
    try:  # those of `docker login`; Podman uses its own as well
        credentials = auth.get_config_header(api, auth.resolve_repository_name(name)[0])
    except docker.errors.DockerException as error:
        raise EngineError(f"the credentials for {reference} cannot be read: {error}") from error
    answer: requests.Response = api.post(
        f"{api.base_url}/v{api.api_version}/images/create",
        params={"fromImage": name, "tag": tag or "latest"},
        headers={"X-Registry-Auth": credentials} if credentials else {},
        stream=True,
        timeout=timeout_seconds,
    )
    return answer


def _explanation(answer: requests.Response) -> str:
    """Why the engine refused at once."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"it answered {answer.status_code}: {answer.text.strip()[:300]}"
