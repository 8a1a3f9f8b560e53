"""What an engine says about itself, for `doctor`: its version and settings. Each question has a time limit.

Nothing that is started stays: no service, no container. The facts of an engine that does not answer say why.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.engines.base import PODMAN_SPOOL, Storage
from harness.engines.discovery import EngineName, Found, Refusal, named_socket, search_engine
from harness.engines.podman_service import podman_environment

ANSWER_TIMEOUT_SECONDS = 3.0

_MOST_ANSWER_BYTES = 4 << 20

LIBPOD_INFO = "/v{version}/libpod/info"
"""Where Podman's own interface tells of itself, in the version of the service."""

CONTAINERD_ROOT = "/var/lib/containerd"
"""The default of ``root`` in containerd's configuration."""


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One engine. Fields are ``None`` where it did not say."""

    name: EngineName
    version: str | None = None
    error: str | None = None
    """Why it did not answer; ``None``: it did."""
    rootless: bool | None = None
    runtime: str | None = None
    """What runs its containers: ``crun`` or ``runc``."""
    cgroup_version: str | None = None
    """``1`` or ``2``."""
    controllers: tuple[str, ...] | None = None
    """The cgroup controllers: what it can limit of a container; Docker does not say."""
    storage: Storage = Storage()
    """Where it keeps images."""
    refusal: Refusal | None = None
    """The socket that this user may not open; ``None``: that is not why it did not answer."""


def ask_engines(environment: Mapping[str, str], *, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> tuple[EngineFacts, ...]:
    """The facts of Podman and Docker, of each that is on this host. Both are asked at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = [pool.submit(ask, environment, timeout_seconds) for ask in (_ask_podman, _ask_docker)]
        return tuple(facts for facts in (each.result() for each in asked) if facts is not None)


def _ask_podman(environment: Mapping[str, str], timeout_seconds: float) -> EngineFacts | None:
    found = search_engine("podman", environment=environment)
    if found is None:
        return None
    if isinstance(found, Refusal):
        return EngineFacts(name="podman", error=found.text, refusal=found)
    if shutil.which("podman") is None:
        return _podman_over_socket(str(found.socket), timeout_seconds)
    # A service that a variable names may have another store than ours.
    is_named = bool(environment.get("CONTAINER_HOST")) and found.socket is not None and not found.remark
    url = (f"--url=unix://{found.socket}",) if is_named else ()
    try:
        done = subprocess.run(
            ("podman", *url, "info", "--format", "json"),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            stdin=subprocess.DEVNULL,
            env=podman_environment(),
        )
    except subprocess.TimeoutExpired:
        return EngineFacts(name="podman", error=f"`podman info` did not answer within {timeout_seconds:.0f} s")
    except OSError as error:
        return EngineFacts(name="podman", error=f"`podman info` cannot be started: {error.strerror}")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return EngineFacts(name="podman", error=f"`podman info` failed: {last[:300]}")
    return podman_facts(done.stdout)


def podman_facts(answer: str) -> EngineFacts:
    """What `podman info --format json` printed, or Podman's own interface answered to `LIBPOD_INFO`."""
    try:
        told = json.loads(answer)
        host, controllers = told["host"], told["host"].get("cgroupControllers")
        return EngineFacts(
            name="podman",
            version=_text(told["version"]["Version"]),
            rootless=bool(host["security"]["rootless"]),
            runtime=_text(host["ociRuntime"]["name"]),
            cgroup_version=_text(host["cgroupVersion"]).removeprefix("v"),
            controllers=None if controllers is None else tuple(map(_text, controllers)),
            storage=podman_storage(told["store"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return EngineFacts(name="podman", error=f"`podman info` printed what is not understood ({type(error).__name__})")


def docker_facts(name: EngineName, told: Mapping[str, Any]) -> EngineFacts:
    """What an engine answered to ``GET /info`` of Docker's API."""
    version = told.get("CgroupVersion")
    return EngineFacts(
        name=name,
        version=_text(told.get("ServerVersion") or "") or None,
        rootless=any("rootless" in str(option) for option in told.get("SecurityOptions") or ()),
        runtime=_text(told.get("DefaultRuntime") or "") or None,
        cgroup_version=_text(version) if version else None,
        storage=docker_storage(told),
    )


def podman_storage(store: Mapping[str, Any]) -> Storage:
    """What the part ``store`` of `podman info`, or of ``GET /libpod/info``, says of where Podman keeps images.

    It writes the compressed layers of a base, and each layer that a build commits, to its temporary folder first: ``TMPDIR``,
    else ``image_copy_tmp_dir`` of containers.conf, else ``/var/tmp`` (podman-pull(1)).
    """
    folder, spool = store.get("graphRoot"), store.get("imageCopyTmpDir")
    return Storage(folder=_text(folder) if folder else None, spool=_text(spool) if spool else PODMAN_SPOOL)


def docker_storage(info: Mapping[str, Any]) -> Storage:
    """What ``GET /info`` of Docker's API says of where Docker keeps images. It fetches into a folder beside them.

    A daemon with the containerd store, the default of new installations from Docker 29 on, keeps the compressed layers too,
    below containerd's root and not below its own (https://docs.docker.com/engine/storage/containerd/, docker/docs#24496).
    """
    root = _text(info["DockerRootDir"]) if info.get("DockerRootDir") else None
    status = info.get("DriverStatus") or ()
    if not any(list(row) == ["driver-type", "io.containerd.snapshotter.v1"] for row in status):
        return Storage(folder=root)
    address = str((info.get("Containerd") or {}).get("Address") or "")
    # A containerd that dockerd started itself, as a rootless one does, lies below Docker's own root and has its socket in
    # Docker's own folder: `/run/docker/containerd/containerd.sock`.
    return Storage(folder=root if "/docker/containerd/" in address else CONTAINERD_ROOT, keeps_compressed=True)


def _ask_docker(environment: Mapping[str, str], timeout_seconds: float) -> EngineFacts | None:
    found = search_engine("docker", environment=environment)
    if isinstance(found, Found):
        return _over_socket("docker", str(found.socket), timeout_seconds)
    return silent_docker(environment)


def silent_docker(environment: Mapping[str, str]) -> EngineFacts | None:
    """A Docker that is installed and cannot be reached, with the reason; ``None`` where there is none."""
    named = named_socket("docker", environment)
    if named == "":
        return EngineFacts(name="docker", error="DOCKER_HOST names no Unix socket, and strixbench uses nothing else")
    found = search_engine("docker", environment=environment)
    if isinstance(found, Refusal):
        return EngineFacts(name="docker", error=found.text, refusal=found)
    path = named or "/var/run/docker.sock"
    if os.path.exists(path):
        return EngineFacts(name="docker", error=f"nothing listens on {path}")
    return EngineFacts(name="docker", error="its daemon does not run") if shutil.which("dockerd") else None


def _podman_over_socket(path: str, timeout_seconds: float) -> EngineFacts:
    """What Podman says where its program is not installed. Docker's interface tells the version, which Podman's own interface
    wants in its addresses; that one tells the rest."""
    facts = _over_socket("podman", path, timeout_seconds)
    if facts.error is not None or facts.version is None:
        return facts
    try:
        status, said = _get(path, LIBPOD_INFO.format(version=facts.version), timeout_seconds)
    except (OSError, http.client.HTTPException) as error:
        return EngineFacts(name="podman", error=f"no answer on {path}: {error}")
    return podman_facts(said.decode(errors="replace")) if status == 200 else facts


def _over_socket(name: EngineName, path: str, timeout_seconds: float) -> EngineFacts:
    try:
        status, said = _get(path, "/info", timeout_seconds)
        told = json.loads(said)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return EngineFacts(name=name, error=f"no answer on {path}: {error}")
    if status != 200 or not isinstance(told, dict):
        return EngineFacts(name=name, error=f"answered {status} on {path}")
    return docker_facts(name, told)


def _get(path: str, address: str, timeout_seconds: float) -> tuple[int, bytes]:
    """The status of an answer on a Unix socket, and the answer. Raises `OSError` and `http.client.HTTPException`."""
    with contextlib.closing(http.client.HTTPConnection("engine")) as connection:
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout_seconds)
        connection.sock.connect(path)
        connection.request("GET", address)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_ANSWER_BYTES)


def _text(value: Any) -> str:
    return str(value)[:300]
