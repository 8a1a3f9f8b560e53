"""Docker and Podman through the docker SDK, on their API socket.

One class: Podman serves Docker's API, and where the two differ a comment says so. Slow to import, for the SDK is;
`harness.engines.find` and `harness.engines.command` are not.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.types
import msgspec
import requests
from docker.utils import version_gte

from harness.engines.base import (
    GIVE_UP_SECONDS,
    LOG,
    PORTABLE_LABEL,
    RECIPE_LABEL,
    BuiltImage,
    GiveUp,
    Recipe,
    Run,
    Storage,
    StoredImage,
    never,
    still_held_text,
)
from harness.engines.build_stream import build_image
from harness.engines.command import container_command, tmpfs_options, wrapped_argv
from harness.engines.find import EngineName, Found
from harness.engines.images import STAGES, stages_in, stored_images
from harness.engines.kernel_journal import read_kernel_journal
from harness.engines.libpod import CREATE, INFO, cdi_names, container_specification, needs_libpod, node_paths
from harness.engines.podman_service import PodmanService, foreign_groups_text, has_foreign_groups
from harness.engines.pull import Pull, is_fetched, one_at_a_time
from harness.engines.stats import stats_memory
from harness.engines.storage import docker_storage, podman_storage
from harness.engines.wire import WIRE_ERRORS, silence_limit
from harness.errors import BuildFailed, EngineError
from harness.machine.kernel_log import KernelLog
from harness.records.outcome import TIME_IS_UP, Ending, ExitRecord
from harness.records.plan import EngineRecord
from harness.telemetry.start import sampling
from harness.text import Say
from harness.tools import OWNER_LABEL, owner_is_gone, tail_of

CALL_TIMEOUT_SECONDS = 60
"""For any call but a build and a wait."""

STATS_TIMEOUT_SECONDS = 5
"""For a container's memory: it is asked twice a second, and Docker takes one."""

MOST_LAST_WORDS_BYTES = 8_000

_REFUSALS = (docker.errors.DockerException, docker.errors.StreamParseError, *WIRE_ERRORS)


class ContainerEngine:
    """See `harness.engines.base.Engine`."""

    def __init__(self, found: Found) -> None:
        """Connect, starting Podman's service where none listens. Raises `EngineError`, and `UsageError` where the limit of
        a build's silence is none."""
        self._name: EngineName = found.name
        self._silence = silence_limit(os.environ)
        self._service: PodmanService | None = None
        self._connection: docker.DockerClient | None = None
        self._stats_connection: docker.DockerClient | None = None
        self._url = ""
        self._no_service: dict[str, str] = {}
        """Why a socket's runs cannot be started by a service of ours, by the socket's path"""
        try:
            socket = self._connect(found.socket)
            with self._explained("introducing itself"):
                version = self._client.version()
                # Only Docker says so here; a Podman service that we reach as a user is that user's.
                info = self._client.info()
                options = info.get("SecurityOptions") or []
                is_users = found.name == "podman" and os.stat(socket).st_uid != 0
        except BaseException:  # a Ctrl-C leaves no service either
            self.close()
            raise
        rootless = any("rootless" in str(option) for option in options) or is_users
        drivers = ("cdi",) * bool(info.get("CDISpecDirs")) + ("nvidia",) * ("nvidia" in (info.get("Runtimes") or {}))
        self._record = EngineRecord(
            name=found.name,
            version=str(version.get("Version")),
            rootless=rootless,
            runtime=info.get("DefaultRuntime"),
            device_drivers=drivers if found.name == "docker" else None,  # Podman does not say
        )

    @property
    def record(self) -> EngineRecord:
        return self._record

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        with self._explained("looking for an image"):
            label = f"{RECIPE_LABEL}={recipe.hash}"
            images = _patiently(lambda: self._client.api.images(filters={"label": label}))
            # By the label, which no tag that somebody moved can feign; Podman lists a build's untagged stages too.
            tagged = [image for image in images if recipe.tag in (image.get("RepoTags") or ())]
            return _built(self._inspect_image(tagged[0]["Id"])) if tagged else None

    def find_reference(self, reference: str) -> BuiltImage | None:
        with self._explained(f"looking for {reference}"):
            try:
                return _built(self._inspect_image(reference))
            except docker.errors.NotFound:
                return None
            except docker.errors.APIError as error:
                # Podman answers 500 to a short name that several registries might have, Docker 400 to what is no name.
                if error.status_code in (400, 500):
                    return None
                raise

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            if is_fetched(recipe.base):
                pull = Pull(recipe, engine=self._name, silence_seconds=self._silence, say=say, announce=announce or say)
                with one_at_a_time[self._name, recipe.base]:
                    if self.find_reference(recipe.base) is None:
                        pull.run(self._client.api, log, stream)
            failure = build_image(self._client.api, recipe, stream, engine=self._name, silence_seconds=self._silence, say=say)
        if failure is None and (built := self.find_built(recipe)) is not None:
            return built
        raise BuildFailed(failure or "the engine reported success and has no such image", tail_of(log))

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        removed = []
        with self._explained("removing old images"):
            for image in _patiently(lambda: self._client.api.images(filters={"label": RECIPE_LABEL})):
                recipe = image["Labels"][RECIPE_LABEL]
                # An image that somebody built upon ours has our label, and one of ours may have a name that somebody gave
                # it: only names of our own giving are taken away.
                ours = {f"localhost/strixbench/{name}:{recipe[:12]}" for name in names}
                for tag in image.get("RepoTags") or ():
                    if recipe not in keep and tag in ours:
                        self._client.api.remove_image(tag)
                        removed.append(str(tag))
        return tuple(removed)

    def remove_stages(self) -> int:
        tried: set[str] = set()
        with self._explained("removing the stages of builds"):
            # One that is removed takes those below it along, as far as nothing else stands on them.
            while left := self._stages() - tried:
                tried |= left
                for stage in left:
                    # Gone along with another, or in use by a build that is at work: that one's to keep.
                    with contextlib.suppress(docker.errors.APIError):
                        self._client.api.remove_image(stage)
            return len(tried - self._stages())

    def _stages(self) -> set[str]:
        """Ids of the stages of ours that have no name."""
        return stages_in(_patiently(lambda: self._client.api.images(filters=STAGES)))

    def list_built(self) -> tuple[StoredImage, ...]:
        with self._explained("listing images"):
            return stored_images(_patiently(lambda: self._client.api.images(filters={"label": RECIPE_LABEL})))

    def storage(self) -> Storage:
        with self._explained("telling where it keeps images"):
            api = self._client.api
            if self._name == "docker":
                return docker_storage(api.info())
            answer = api.get(api.base_url + INFO.format(version=self._record.version), timeout=CALL_TIMEOUT_SECONDS)
            answer.raise_for_status()
            return podman_storage(answer.json().get("store") or {})

    def command(self, run: Run) -> tuple[str, ...]:
        return container_command(self._name, run)

    @property
    def kernel_log(self) -> KernelLog:
        return KernelLog(read_kernel_journal)

    def run(self, run: Run, *, timeout_seconds: float, give_up: GiveUp = never) -> ExitRecord:
        remark = self._with_our_groups(run)
        ended = self._run(run, timeout_seconds, give_up)
        return _with_remark(ended, remark)

    def _run(self, run: Run, timeout_seconds: float, give_up: GiveUp) -> ExitRecord:
        # Podman would make a missing folder, as root, where Docker refuses.
        absent = [mount.source for mount in run.mounts if not os.path.exists(mount.source)]
        if absent:
            return ExitRecord(started=False, message=f"{', '.join(absent)} is not there to be mounted")
        try:
            container = self._create(run)
        except docker.errors.APIError as error:
            return ExitRecord(started=False, message=f"{self._name} refused to create the container: {error.explanation}")
        except _REFUSALS as error:
            raise EngineError(f"{self._name} stopped answering: {error}") from error
        except KeyboardInterrupt:
            self._remove_soon(run.name)
            raise
        left = ""
        try:
            ended = self._run_to_its_end(container, run, timeout_seconds, give_up=give_up)
        except docker.errors.APIError as error:
            ended = ExitRecord(started=False, message=f"{self._name} could not run it: {error.explanation}")
        except _REFUSALS as error:
            raise EngineError(f"{self._name} stopped answering: {error}") from error
        finally:
            try:
                self._remove(container)
            except EngineError as error:  # what became of the launch is worth more; the next start sweeps
                left = str(error)
        return _with_remark(ended, left)

    def memory_stats(self, name: str) -> Mapping[str, int]:
        with self._explained("telling a container's memory"):
            if self._stats_connection is None:
                # Of its own: the other one may be at work in another thread.
                self._stats_connection = docker.DockerClient(base_url=self._url, timeout=STATS_TIMEOUT_SECONDS)
            api = self._stats_connection.api
            # Where it can be said that processor time is not asked for, which takes two looks a second apart.
            at_once = {"one_shot": True} if version_gte(api.api_version, "1.41") else {}
            found: Any = api.stats(name, stream=False, **at_once)
        return stats_memory(found, self._name)

    def watch(
        self, run: Run, *, into: Path, gpu: str | None, is_nvidia: bool, quiet_seconds: float, is_thorough: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        return sampling(
            run.exchange, into=into, gpu=gpu, is_nvidia=is_nvidia, quiet_seconds=quiet_seconds, is_thorough=is_thorough
        )

    def sweep(self) -> int:
        swept, refusal = 0, None
        with self._explained("looking for leftovers"):
            for container in self._labelled_containers():
                if owner_is_gone(container["Labels"].get(OWNER_LABEL, "")):
                    try:
                        self._remove(container["Id"])
                    except EngineError as error:  # as of a process that the kernel holds after a GPU hang
                        refusal = error
                    else:
                        swept += 1
        if refusal is not None:
            raise refusal
        return swept

    def close(self) -> None:
        self._disconnect()
        if self._stats_connection is not None:
            self._stats_connection.close()
            self._stats_connection = None

    def _disconnect(self) -> None:
        """Close the connection, and end the service that is ours."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._service is not None:
            self._service.stop()
            self._service = None

    @property
    def _client(self) -> docker.DockerClient:
        """The connection; a new one where our Podman service ended, having had nothing to do for a while."""
        if self._service is not None and self._service.has_ended:
            self.close()
            self._connect(None)
        if self._connection is None:
            raise EngineError(f"the connection to {self._name} was closed")
        return self._connection

    def _connect(self, socket: str | None) -> str:
        """Connect to a socket, or to a service of our own; returns the socket. Raises `EngineError`."""
        path = socket or self._serve()
        try:
            self._url = f"unix://{path}"
            self._connection = docker.DockerClient(base_url=self._url, timeout=CALL_TIMEOUT_SECONDS)
        except _REFUSALS as error:
            self._disconnect()
            raise EngineError(f"{self._name} does not answer on {path}: {error}") from error
        return path

    def _serve(self) -> str:
        """A Podman service of our own; returns its socket."""
        self._service = PodmanService()
        return self._service.socket

    def _with_our_groups(self, run: Run) -> str:
        """Have a run that keeps its caller's groups started by a service of ours, which has them; why that cannot be, else
        empty. It is the same user's store: what was built and what is to be swept are there, too."""
        socket = self._url.removeprefix("unix://")
        with self._explained("looking whose its socket is"):
            if self._service is not None or not has_foreign_groups(run, socket):
                return ""
        # One that could not start a minute ago takes a minute to fail again, before each launch.
        if socket not in self._no_service:
            theirs, self._connection = self._connection, None
            try:
                self._connect(None)
                self._inspect_image(run.image)
            except (EngineError, *_REFUSALS) as error:
                self._disconnect()
                self._url, self._connection = f"unix://{socket}", theirs
                self._no_service[socket] = str(error)
            else:
                # The one for a container's memory stays: another thread may be using it, and theirs sees the same containers.
                if theirs is not None:
                    theirs.close()
                return ""
        return foreign_groups_text(socket, self._no_service[socket])

    def _inspect_image(self, reference: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.api.inspect_image(reference)  # type: ignore[no-untyped-call]  # stub lacks it
        return found

    def _create(self, run: Run) -> str:
        """Create the container; returns its id."""
        if self._name == "podman" and needs_libpod(run):
            return self._create_by_libpod(run)
        argv = wrapped_argv(run)
        requests_ = [docker.types.DeviceRequest(driver="cdi", device_ids=[name]) for name in cdi_names(run)]
        if run.gpus is not None:
            which = {"count": -1} if run.gpus == "all" else {"device_ids": [run.gpus.removeprefix("device=")]}
            requests_.append(docker.types.DeviceRequest(driver="", capabilities=[["gpu"]], **which))
        api = self._client.api
        host_config = api.create_host_config(
            mounts=[docker.types.Mount(m.target, m.source, type="bind", read_only=not m.writable) for m in run.mounts],
            network_mode=run.network,
            read_only=True,
            tmpfs={"/tmp": tmpfs_options(run)},  # noqa: S108 - inside the container
            cap_drop=["ALL"],
            security_opt=list(run.security_options),
            devices=[f"{source}:{target}:rw" for source, target in node_paths(run)],
            device_requests=requests_ or None,
            group_add=list(run.groups),
            ipc_mode=run.ipc,
            mem_limit=run.memory_bytes,
            memswap_limit=run.memory_bytes,
            pids_limit=run.processes_limit,
            shm_size=run.shm_bytes,
        )
        created = api.create_container(
            run.image,
            command=list(argv[1:]),
            entrypoint=[argv[0]],
            environment=dict(run.environment),
            user=run.user,
            working_dir=run.working_directory,
            labels=dict(run.labels),
            name=run.name,
            host_config=host_config,
            use_config_proxy=False,  # the caller's proxies, with their passwords, are nothing for an image
        )
        return str(created["Id"])

    def _create_by_libpod(self, run: Run) -> str:
        """Create the container through Podman's own interface; returns its id. See `harness.engines.libpod`."""
        api = self._client.api
        address = api.base_url + CREATE.format(version=self._record.version)
        answer = api.post(address, json=container_specification(run), timeout=CALL_TIMEOUT_SECONDS)
        try:
            answer.raise_for_status()
        except requests.exceptions.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)  # raises the SDK's own error
        return str(answer.json()["Id"])

    def _run_to_its_end(self, container: str, run: Run, timeout_seconds: float, *, give_up: GiveUp) -> ExitRecord:
        """Start a created container and see it end."""
        api = self._client.api
        if run.memory_bytes and not api.inspect_container(container)["HostConfig"].get("Memory"):
            # Rootless Podman with cgroups v1 drops the limit without a word.
            return ExitRecord(started=False, message=f"{self._name} cannot limit memory here; run without --memory")
        # Attached, since Podman's wait looks only four times a second (WaitContainerDocker in
        # pkg/api/handlers/utils/containers.go): the attached stream ends when the container does.
        with _attached(api, container) as stream:
            try:
                api.start(container)
            except docker.errors.APIError as error:
                return ExitRecord(started=False, message=f"{self._name} could not start it: {error.explanation}")
            begun = time.monotonic()
            said, ended_because = _read_to_end(stream, timeout_seconds, give_up)
            run_seconds = time.monotonic() - begun
        state, remark = (self._ended_state(container), "") if ended_because is None else self._killed_state(container)
        _keep_first_words(run.exchange / LOG, said)
        return ExitRecord(
            started=True,
            code=128 + signal.SIGKILL if ended_because is not None else int(state["ExitCode"]),
            timed_out=ended_because in TIME_IS_UP,
            ended_because=ended_because,
            out_of_memory=bool(state.get("OOMKilled")),
            run_seconds=run_seconds,
            remark=remark,
        )

    def _killed_state(self, container: str) -> tuple[dict[str, Any], str]:
        """Kill a container; returns its state, and what is to be said where it does not end."""
        # It may end between the question and the shot. Podman answers when it has ended (KillContainer in
        # pkg/api/handlers/compat/containers.go), so not in time where the kernel holds its process.
        with contextlib.suppress(*_REFUSALS):
            self._client.api.kill(container, signal="SIGKILL")
        try:
            return self._ended_state(container), ""
        except (EngineError, *_REFUSALS) as error:
            return {}, still_held_text("the container", str(error))

    def _ended_state(self, container: str) -> dict[str, Any]:
        """The state of a container whose output has ended, or that was killed; the engine may need a moment to notice."""
        deadline = time.monotonic() + CALL_TIMEOUT_SECONDS
        while True:
            state: dict[str, Any] = self._client.api.inspect_container(container)["State"]
            if not state["Running"] and state["Status"] not in ("running", "stopping"):
                return state
            if time.monotonic() > deadline:
                raise EngineError(f"{self._name} did not see container {container[:12]} end within {CALL_TIMEOUT_SECONDS} s")
            time.sleep(0.01)

    def _labelled_containers(self) -> list[dict[str, Any]]:
        """All containers of strixbench, of whatever campaign."""
        return _patiently(lambda: list(self._client.api.containers(all=True, filters={"label": OWNER_LABEL})))

    def _remove_soon(self, name: str) -> None:
        """Remove a container that the engine may be about to make: we left while it was at it."""
        deadline = time.monotonic() + 2
        with contextlib.suppress(EngineError, *_REFUSALS):  # the interruption goes on; the next start sweeps
            while time.monotonic() < deadline:
                if self._client.api.containers(all=True, filters={"name": name}):
                    self._remove(name)
                    return
                time.sleep(0.05)

    def _remove(self, container: str) -> None:
        """Remove a container in whatever state; one that is gone is as it should be."""
        try:
            self._client.api.remove_container(container, force=True, v=True)
        except docker.errors.NotFound:
            pass
        except docker.errors.APIError as error:
            raise EngineError(f"{self._name} could not remove container {container[:12]}: {error.explanation}") from error
        except _REFUSALS as error:  # a full disk makes Podman fall silent; the next start sweeps
            raise EngineError(f"{self._name} did not answer while removing container {container[:12]}: {error}") from error

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """The SDK's errors as one sentence."""
        try:
            yield
        except (*_REFUSALS, OSError) as error:
            raise EngineError(f"{self._name} failed at {doing}: {error}") from error


def _with_remark(ended: ExitRecord, remark: str) -> ExitRecord:
    """The record with one remark more; an empty one is none."""
    return msgspec.structs.replace(ended, remark="; ".join(text for text in (ended.remark, remark) if text))


def _patiently(ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A list of the engine's. Podman's fails when something is removed while it looks ("does not exist in database",
    "image not known"), so it is asked again."""
    for _ in range(10):
        try:
            return ask()
        except docker.errors.APIError as error:
            if error.status_code not in (404, 500):
                raise
            time.sleep(0.1)
    return ask()


def _built(image: dict[str, Any]) -> BuiltImage:
    labels = (image.get("Config") or {}).get("Labels") or {}
    return BuiltImage(
        id=str(image["Id"]), digests=tuple(image.get("RepoDigests") or ()), portable_of=labels.get(PORTABLE_LABEL)
    )


@contextlib.contextmanager
def _attached(api: docker.APIClient, container: str) -> Iterator[Any]:
    """The socket that a container's output comes on; ended with the HTTP answer that it is part of."""
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
        if time.monotonic() - asked >= GIVE_UP_SECONDS:  # whoever prints without end is asked about no more often
            asked = time.monotonic()
            if (why := give_up()) is not None:
                return said, why
    return said, "time"


def _keep_first_words(log: Path, said: bytes) -> None:
    """What came before the shell could turn its output to the log, such as its own failure to start."""
    if said and not log.exists() and not log.is_symlink():
        log.write_bytes(said)
