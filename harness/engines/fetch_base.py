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

import requests

from harness.engines.base import Recipe
from harness.engines.connection import CONNECTION_ERRORS, SILENCE_VARIABLE, is_silence, limit_text
from harness.engines.discovery import EngineName
from harness.engines.fetch_progress import (
    KEPT,
    LARGE_LAYER_BYTES,
    Fetched,
    Line,
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

SCRATCH = "scratch"
"""What a Containerfile names as its base where it starts from nothing."""

MOST_LINE_BYTES = 1 << 20

fetch_locks: defaultdict[tuple[EngineName, str], threading.Lock] = defaultdict(threading.Lock)
"""By engine and reference: of two builds on one base the second waits until the first has fetched it."""


def is_fetched(reference: str) -> bool:
    """Whether a registry could have a reference. None has an id, or an image of this host alone."""
    return bool(reference) and reference != SCRATCH and not reference.startswith(("localhost/", "sha256:"))


class Fetch:
    """One fetch of one image."""

    def __init__(self, recipe: Recipe, *, engine: EngineName, silence_seconds: float, say: Say, announce: Say) -> None:
        self._recipe = recipe
        self._base = recipe.base
        self._name = recipe.base.partition("@")[0]
        self._engine = engine
        self._silence_seconds = silence_seconds
        self._silence_text = f"{limit_text(silence_seconds)} ({SILENCE_VARIABLE})"
        self._say = say
        self._announce = announce
        self._is_large_told = False

    def run(self, api: Any, log: Path, stream: IO[str]) -> None:
        """Fetch it. ``api`` is the SDK's, ``stream`` is open on ``log``.

        Raises `EngineError` where the connection, the registry or this host is at fault, `BuildFailed` where the image is.
        """
        self._tell_large(self._recipe.largest_layer_bytes or 0)
        fetched = Fetched()
        try:
            self._say(fetch_text(self._name, fetched, None))
            for told in self._lines(api):
                line = read_line(told)
                before, fetched = fetched, take_in(fetched, line)
                if text := log_line(before, fetched, line):
                    stream.write(f"{text}\n")
                    stream.flush()
                if line.error:
                    raise self._refused(line, log)
                self._tell_large(fetched.largest_bytes)
                self._say(fetch_text(self._name, fetched, self._recipe.base_bytes))
        except EngineError as error:
            stream.write(f"{error}\n")
            raise

    def _lines(self, api: Any) -> Iterator[Any]:
        """What the engine says, decoded. Raises `EngineError` where the connection to it fails."""
        try:
            with contextlib.closing(ask(api, self._base, timeout_seconds=self._silence_seconds)) as answer:
                if not answer.ok:
                    yield {"error": _explanation(answer)}
                    return
                for text in answer.iter_lines(chunk_size=1 << 16):
                    yield _decoded(text)
        except CONNECTION_ERRORS as error:
            if is_silence(error):
                raise EngineError(self._silence()) from error
            raise EngineError(
                f"{self._engine} stopped answering while it fetched {self._base}: {error}. {self._again()}"
            ) from error

    def _silence(self) -> str:
        return (
            f"{self._engine} was fetching {self._base}, and no data arrived for {self._silence_text}: the connection or the "
            f"registry is down. {self._again()}"
        )

    def _again(self) -> str:
        return f"Run the same command again: {KEPT[self._engine]}"

    def _refused(self, line: Line, log: Path) -> Exception:
        """The error for a fetch that the engine gave up."""
        what = f"{self._engine} cannot fetch {self._base}: {line.error.strip()}"
        if is_fault_of_quota(line.error):
            registry = registry_of(self._base)
            login = (
                f"{self._engine} login"
                if (self._engine, registry) == ("docker", "docker.io")
                else f"{self._engine} login {registry}"
            )
            return EngineError(
                f"{what}. The registry counts what this address or account fetches: `{login}` with an account raises the "
                f"limit, or wait some hours. {self._again()}"
            )
        if is_fault_of_image(line.error):
            return BuildFailed(f"{what} (`{self._engine} login` where it needs an account)", tail_of(log))
        return EngineError(
            f"{what}. Look at the network, and at docs/mirrors.md where there is a proxy or a mirror. {self._again()}"
        )

    def _tell_large(self, size_bytes: int) -> None:
        """Announce a large layer, once."""
        if size_bytes >= LARGE_LAYER_BYTES and not self._is_large_told:
            self._is_large_told = True
            self._announce(large_layer_text(self._name, size_bytes, engine=self._engine, silence_text=self._silence_text))


def ask(api: Any, reference: str, *, timeout_seconds: float) -> requests.Response:
    """The engine's answer to a request for an image, still to be read. Credentials are those of `docker login`; Podman uses its
    own as well. The SDK's own `pull` has no time limit. Raises `EngineError` where the credentials cannot be read."""
    from docker import auth, errors
    from docker.utils import parse_repository_tag

    # Docker would fetch every tag of a name without one.
    name, tag = parse_repository_tag(reference)
    try:
        credentials = auth.get_config_header(api, auth.resolve_repository_name(name)[0])
    except errors.DockerException as error:
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


def _decoded(text: bytes) -> Any:
    """A line's value; ``None`` where it is not JSON."""
    try:
        return json.loads(text[:MOST_LINE_BYTES])
    except (ValueError, RecursionError):
        return None
