"""`podman system service`, started where none listens and ended with the engine that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from harness.engines.base import KEEP_GROUPS, Run, tail_of, without_tokens
from harness.engines.find import answer_of
from harness.errors import EngineError

SERVICE_START_TIMEOUT_SECONDS = 60.0
"""Podman waits for its storage's lock first, which a removal of many layers holds for long."""

SERVICE_IDLE_SECONDS = 300
"""`podman system service` ends by itself when nobody talked to it for so long, so that a killed harness leaves none."""


class PodmanService:
    """One of our own."""

    def __init__(self) -> None:
        """Start it and wait until it takes connections. Raises `EngineError`."""
        self._folder = tempfile.TemporaryDirectory(prefix="strixbench-")
        self.socket = f"{self._folder.name}/podman.sock"
        log = Path(self._folder.name) / "service.log"
        try:
            with log.open("wb") as stream:
                self._process = subprocess.Popen(
                    ("podman", "system", "service", f"--time={SERVICE_IDLE_SECONDS}", f"unix://{self.socket}"),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    env=without_tokens(),
                    start_new_session=True,  # a Ctrl-C at the terminal is ours to act on
                    cwd=self._folder.name,  # conmon leaves a file `oom` in the folder that the service was started in
                )
        except OSError as error:
            self._folder.cleanup()
            raise EngineError(f"`podman system service` cannot be started: {error.strerror}") from error
        deadline = time.monotonic() + SERVICE_START_TIMEOUT_SECONDS
        while answer_of(self.socket) != "listens":  # its file is there a moment before that
            if self.has_ended or time.monotonic() > deadline:
                said = tail_of(log, 500).strip()
                self.stop()
                raise EngineError(f"`podman system service` does not come up: {said or 'it says nothing'}")
            time.sleep(0.02)

    @property
    def has_ended(self) -> bool:
        """Also by itself, having had nothing to do for a while."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it, with whatever it started for us: a build's own programs go on without it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._folder.cleanup()


def has_foreign_groups(run: Run, socket: str) -> bool:
    """Whether a run keeps its caller's groups and the caller is a service that somebody else started for this user.

    A container that keeps groups has those of the service. `systemd --user` starts the one of podman.socket with the groups of
    the first login after boot; where the user lingers, later logins do not change them
    (https://github.com/podman-container-tools/podman/issues/27876).
    """
    return KEEP_GROUPS in run.groups and os.stat(socket).st_uid == os.getuid()


def foreign_groups_text(socket: str, why: str) -> str:
    """What is to be said where such a run has to do with that service."""
    return (
        f"the Podman service on {socket} keeps the groups that it was started with, which may lack those that open the GPU's "
        f"nodes; one of our own cannot be used: {why}. If the GPU cannot be opened, a new boot gives the service your groups, or "
        "`sudo systemctl restart user@$UID`, which ends your sessions"
    )
