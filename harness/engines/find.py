"""Which container engine to talk to, and where: decided by what is there, without asking it anything.

Imports nothing heavy, so that `--dry-run` can name the engine at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import EngineError

EngineName = Literal["podman", "docker"]


_INSTALL_PODMAN = "install it (`apt install podman`, `dnf install podman`)"
_START_DOCKER = "its daemon does not listen on DOCKER_HOST, $XDG_RUNTIME_DIR/docker.sock or /var/run/docker.sock"
_ADVICE = {
    "podman": f"Podman is not to be found: {_INSTALL_PODMAN}",
    "docker": f"Docker is not to be found: {_START_DOCKER}",
    "auto": f"neither Podman nor Docker is to be found: {_INSTALL_PODMAN}; `make bench` alone needs no engine",
}


class Found(msgspec.Struct, frozen=True):
    """An engine that could be used."""

    name: EngineName
    socket: str | None
    """``None``: none listens, and the program is there to start one."""


def find_engine(preference: str, *, environment: Mapping[str, str] | None = None) -> Found:
    """The engine of a preference: ``podman``, ``docker``, or ``auto`` (Podman first: it needs no daemon and no root).

    Raises `EngineError` saying what is missing and how to get it.
    """
    variables = os.environ if environment is None else environment
    found = {"podman": _find_podman(variables), "docker": _find_docker(variables)}
    for name in ("podman", "docker") if preference == "auto" else (preference,):
        if (engine := found[name]) is not None:
            return engine
    raise EngineError(_ADVICE[preference])


def is_rootless() -> bool:
    """Whether an engine started by us would be rootless."""
    return os.getuid() != 0


def _find_podman(variables: Mapping[str, str]) -> Found | None:
    candidates = [variables.get("CONTAINER_HOST", "").removeprefix("unix://")]
    if is_rootless():
        candidates.append(f"{variables.get('XDG_RUNTIME_DIR') or f'/run/user/{os.getuid()}'}/podman/podman.sock")
    else:
        candidates.append("/run/podman/podman.sock")
    for socket in filter(None, candidates):
        if _listens(socket):
            return Found("podman", socket)
    return Found("podman", None) if shutil.which("podman") else None


def _find_docker(variables: Mapping[str, str]) -> Found | None:
    named = variables.get("DOCKER_HOST", "")
    candidates = [named.removeprefix("unix://")] if named.startswith("unix://") else []
    candidates += [f"{variables.get('XDG_RUNTIME_DIR') or f'/run/user/{os.getuid()}'}/docker.sock", "/var/run/docker.sock"]
    for socket in filter(None, candidates):
        if _listens(socket):
            return Found("docker", socket)
    return None


def _listens(socket: str) -> bool:
    """Whether somebody answers on a Unix socket: one that was left behind by a dead process refuses."""
    import socket as sockets

    if not Path(socket).exists():
        return False
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(socket)
        except OSError:
            return False
    return True
