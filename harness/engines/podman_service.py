"""`podman system service`, started where none listens and ended with the engine that started it.

It never outlives the harness. A service that nobody stopped is ended at the interpreter's exit. Where the harness is killed, the
kernel closes a pipe that a shell beside the service waits on, and the shell ends the service.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from pathlib import Path

from harness.engines.discovery import answer_of
from harness.errors import EngineError
from harness.secrets import without_tokens
from harness.tools import KILLED_SECONDS, owner, owner_is_gone, tail_of

SERVICE_START_TIMEOUT_SECONDS = 60.0
"""Podman first waits for its storage's lock, which a removal of many layers holds for long."""

SERVICE_IDLE_SECONDS = 300
"""`podman system service` ends by itself after this time without a request."""

SERVICE_END_SECONDS = 3
"""How long a service that is told to end may take. It waits for the requests under way, even for a fetch of hours (seen with
4.3.1), so it is killed after that."""

_FOLDERS = "strixbench-"
_OWNER = "owner"

_GUARDED = f"""exec 3<&0 </dev/null
( read -r _ <&3; trap "" TERM; kill -TERM 0; sleep {SERVICE_END_SECONDS}; rm -rf -- "$0"; kill -KILL 0 ) &
exec "$@" 3<&-"""
"""A shell script that becomes the program of its arguments. When the pipe at stdin is closed, it ends the program's group and
removes the folder ``$0``. PR_SET_PDEATHSIG would also do so at the end of the thread that started the service."""

_REMOTE_VARIABLES = ("CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINER_SSHKEY")


def podman_environment() -> dict[str, str]:
    """The caller's environment for a `podman` that we start.

    It lacks the variables that make `podman` the client of another Podman, which has no `system service`
    (https://docs.podman.io/en/latest/markdown/podman.1.html). `find_engine` heeds what ``CONTAINER_HOST`` names.
    """
    return {name: value for name, value in without_tokens().items() if name not in _REMOTE_VARIABLES}


class PodmanService:
    """A service that we started."""

    def __init__(self) -> None:
        """Start it and wait until it takes connections. Raises `EngineError`."""
        if shutil.which("podman") is None:
            raise EngineError("`podman system service` cannot be started: No such file or directory")
        _remove_stale()
        folder = tempfile.mkdtemp(prefix=_FOLDERS)
        try:
            (Path(folder) / _OWNER).write_text(owner())
            self.socket = f"{folder}/podman.sock"
            log = Path(folder) / "service.log"
            service = ("podman", "system", "service", f"--time={SERVICE_IDLE_SECONDS}", f"unix://{self.socket}")
            with log.open("wb") as stream:
                self.process = subprocess.Popen(
                    ("/bin/sh", "-c", _GUARDED, folder, *service),
                    stdin=subprocess.PIPE,
                    stdout=stream,
                    stderr=stream,
                    env=podman_environment(),
                    start_new_session=True,  # a Ctrl-C at the terminal is for the harness
                    cwd=folder,  # conmon leaves a file `oom` in the folder that the service was started in
                )
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise EngineError(f"`podman system service` cannot be started: {error.strerror}") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        # Called at the interpreter's exit as well: a thread may be starting one when a Ctrl-C ends us.
        self._end = weakref.finalize(self, _end, self.process, folder)
        try:
            self._wait(log)
        except BaseException:
            self.stop()
            raise

    def _wait(self, log: Path) -> None:
        """Return once it takes connections. Raises `EngineError`."""
        deadline = time.monotonic() + SERVICE_START_TIMEOUT_SECONDS
        while answer_of(self.socket) != "listens":  # its file is there a moment before that
            if self.has_ended or time.monotonic() > deadline:
                said = tail_of(log, 500).strip()
                raise EngineError(f"`podman system service` does not come up: {said or 'it says nothing'}")
            time.sleep(0.02)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, as it does by itself after some idle minutes."""
        return self.process.poll() is not None

    def stop(self) -> None:
        """End it with whatever it started for us: a build's programs would go on without it."""
        self._end()


def _end(process: subprocess.Popen[bytes], folder: str) -> None:
    """End a service and its group, by force where it takes longer than `SERVICE_END_SECONDS`, and remove its folder."""
    try:
        _signal_group(process.pid, signal.SIGTERM)
        _wait_for_group(process, SERVICE_END_SECONDS)
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        _wait_for_group(process, KILLED_SECONDS)
        if process.stdin is not None:
            process.stdin.close()
        shutil.rmtree(folder, ignore_errors=True)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _wait_for_group(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Return once a process that leads a group and the group have ended, or the time is up.

    A rootless Podman is two processes: the one that we started may end before the one that serves.
    """
    deadline = time.monotonic() + seconds
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)
    while _is_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_alive(group: int) -> bool:
    """Whether a process of a group runs. Where nobody reaps orphans the group is never empty: those that have ended stay."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def _remove_stale() -> None:
    """Remove this user's folders whose harness is gone, and with it the shell that would have removed them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if folder.lstat().st_uid != os.getuid() or folder.is_symlink():  # others may write there, too
                continue
            if owner_is_gone((folder / _OWNER).read_text()):
                shutil.rmtree(folder, ignore_errors=True)
