"""The connection to Docker or Podman: the docker SDK on the engine's API socket.

Podman serves Docker's API. Where no Podman listens, the connection starts a service of its own and ends it again. Slow to import,
for the SDK is; `harness.engines.discovery` and `harness.engines.options` are not.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import docker
import docker.errors
import requests
import urllib3

from harness.engines.base import KEEP_GROUPS, Run
from harness.engines.discovery import EngineName, Found
from harness.engines.podman_service import PodmanService
from harness.errors import EngineError, UsageError
from harness.records.plan import EngineRecord

CALL_TIMEOUT_SECONDS = 60
"""For any call but a build and a wait."""

STATS_TIMEOUT_SECONDS = 5
"""For a container's memory, which is read twice a second; Docker takes one second to answer."""

SILENCE_VARIABLE = "STRIXBENCH_BUILD_SILENCE_SECONDS"

SILENCE_SECONDS = 7200.0
"""A fetch or a build that prints nothing for this long is given up. pip fetches a wheel of 3 GB without a word, for which 7,200 s
are enough at 3.4 Mbit/s; the 1,800 s of earlier versions needed 13 Mbit/s."""

_MOST_SECONDS = 1_000_000.0
"""Python's sockets wait no longer than 2,147,483 s."""

CONNECTION_ERRORS = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
)
"""What a dead or silent connection raises. The SDK reads a stream from urllib3's answer, below `requests`, where a silence is a
`urllib3.exceptions.ReadTimeoutError`, which is not a `requests` exception."""

REFUSALS = (docker.errors.DockerException, docker.errors.StreamParseError, *CONNECTION_ERRORS)
"""What a call raises that the engine refused or did not answer."""


class Connection:
    """An open connection to one engine."""

    def __init__(
        self,
        found: Found,
        *,
        dial: Callable[..., docker.DockerClient] = docker.DockerClient,
        serve: Callable[[], PodmanService] = PodmanService,
    ) -> None:
        """Connect, and start Podman's service where none listens. Raises `EngineError`, and `UsageError` of `silence_limit`.

        ``dial`` connects to a socket and ``serve`` starts a service; tests hand in others.
        """
        self.name: EngineName = found.name
        self.silence_seconds = silence_limit(os.environ)
        """A fetch or a build that is silent for longer is given up."""
        self.service: PodmanService | None = None
        """Podman's, where it is ours"""
        self._dial, self._serve = dial, serve
        self._client: docker.DockerClient | None = None
        self._stats_client: docker.DockerClient | None = None
        self._socket = ""
        self._no_service: dict[str, str] = {}
        """By the path of a socket: why no service of ours can start its runs"""
        try:
            self._connect(found.socket)
            with self.explained("introducing itself"):
                self.record = self._introduced()
        except BaseException:  # a Ctrl-C leaves no service either
            self.close()
            raise

    def _introduced(self) -> EngineRecord:
        """The engine's name, version and settings."""
        version, info = self.api.version(), self.api.info()
        # Only Docker tells whether it is rootless; a Podman service on a user's socket is that user's.
        options = info.get("SecurityOptions") or []
        is_users = self.name == "podman" and os.stat(self._socket).st_uid != 0
        drivers = ("cdi",) * bool(info.get("CDISpecDirs")) + ("nvidia",) * ("nvidia" in (info.get("Runtimes") or {}))
        return EngineRecord(
            name=self.name,
            version=str(version.get("Version")),
            rootless=any("rootless" in str(option) for option in options) or is_users,
            runtime=info.get("DefaultRuntime"),
            device_drivers=drivers if self.name == "docker" else None,  # Podman does not say
        )

    @property
    def api(self) -> Any:
        """The SDK's calls. Reconnects where our Podman service has ended, as it does after some idle minutes."""
        if self.service is not None and self.service.has_ended:
            self.close()
            self._connect(None)
        if self._client is None:
            raise EngineError(f"the connection to {self.name} was closed")
        return self._client.api

    @property
    def stats_api(self) -> Any:
        """The same calls on a connection of their own: another thread may be using the first one."""
        if self._stats_client is None:
            self._stats_client = self._dial(base_url=f"unix://{self._socket}", timeout=STATS_TIMEOUT_SECONDS)
        return self._stats_client.api

    def serve_with_our_groups(self, run: Run) -> str:
        """Have a run that keeps its caller's groups started by a service of ours, which has them.

        Returns why that cannot be, else an empty text. A container that keeps groups has those of its service. `systemd --user`
        starts the service of podman.socket with the groups of the first login after boot; where the user lingers, later logins
        do not change them (https://github.com/podman-container-tools/podman/issues/27876). A service of ours has the same
        user's store: it sees the same images and containers.
        """
        theirs = self._socket
        with self.explained("looking whose its socket is"):
            if self.service is not None or KEEP_GROUPS not in run.groups or os.stat(theirs).st_uid != os.getuid():
                return ""
        # A service that could not start takes a minute to fail again: once is enough.
        if theirs not in self._no_service:
            client, self._client = self._client, None
            try:
                self._connect(None)
                self.api.inspect_image(run.image)
            except (EngineError, *REFUSALS) as error:
                self._disconnect()
                self._socket, self._client = theirs, client
                self._no_service[theirs] = str(error)
            else:
                # The connection for statistics stays: another thread may be using it, and it sees the same containers.
                if client is not None:
                    client.close()
                return ""
        return (
            f"the Podman service on {theirs} keeps the groups that it was started with, which may lack those that open the GPU's "
            f"nodes; one of our own cannot be used: {self._no_service[theirs]}. If the GPU cannot be opened, reboot to give the "
            "service your groups, or run `sudo systemctl restart user@$UID`, which ends your sessions"
        )

    @contextlib.contextmanager
    def explained(self, doing: str) -> Iterator[None]:
        """Turns the SDK's errors into one sentence: raises `EngineError`."""
        try:
            yield
        except (*REFUSALS, OSError) as error:
            raise EngineError(f"{self.name} failed at {doing}: {error}") from error

    def close(self) -> None:
        """Close the connection, and end the service that is ours."""
        self._disconnect()
        if self._stats_client is not None:
            self._stats_client.close()
            self._stats_client = None

    def _connect(self, socket: str | None) -> None:
        """Connect to a socket; ``None``: to a service of our own. Raises `EngineError`."""
        if socket is None:
            self.service = self._serve()
            socket = self.service.socket
        try:
            self._client = self._dial(base_url=f"unix://{socket}", timeout=CALL_TIMEOUT_SECONDS)
        except REFUSALS as error:
            self._disconnect()
            raise EngineError(f"{self.name} does not answer on {socket}: {error}") from error
        self._socket = socket

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self.service is not None:
            self.service.stop()
            self.service = None


def patiently(ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A list of the engine's. Podman's fails when something is removed meanwhile ("does not exist in database", "image not
    known"), so it is asked again."""
    for _ in range(10):
        try:
            return ask()
        except docker.errors.APIError as error:
            if error.status_code not in (404, 500):
                raise
            time.sleep(0.1)
    return ask()


def silence_limit(environment: Mapping[str, str]) -> float:
    """Seconds after which a silent fetch or build is given up. Raises `UsageError`."""
    text = environment.get(SILENCE_VARIABLE, "")
    if not text:
        return SILENCE_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MOST_SECONDS:
        raise UsageError(f"{SILENCE_VARIABLE} is {text!r}: give seconds, more than 0 and at most {_MOST_SECONDS:.0f}")
    return seconds


def is_silence(error: BaseException) -> bool:
    """Whether a connection failed because nothing came in time. `requests` wraps urllib3's own error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, TimeoutError | requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def limit_text(seconds: float) -> str:
    """A time limit as a person reads it."""
    return f"{seconds:,.0f} s" if seconds >= 10 else f"{seconds:g} s"
