"""A Podman service that somebody else started, as `systemd --user` does for podman.socket, and a run that keeps its caller's groups.

Whether the groups arrive is crun's affair, which this asks nothing of: it is who starts the container that counts.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.catalog.load import load_catalog
from harness.engines.about import ask_engines
from harness.engines.base import KEEP_GROUPS, BuiltImage, Mount, Run
from harness.engines.container import ContainerEngine
from harness.engines.container_runs import create_container, labelled_containers
from harness.engines.discovery import Found
from harness.engines.podman_service import PodmanService
from harness.launch.guest_view import container_user
from harness.tools import OWNER_LABEL, owner
from tests.commands import REPOSITORY, STRIXBENCH, Workplace, wait_until
from tests.engines.slow_registry import SlowRegistry
from tests.engines.test_container import DEAD_OWNER
from tests.test_podman_service import servers

pytestmark = pytest.mark.parametrize("engine_name", ["podman"], indirect=True)


@pytest.fixture
def theirs(engine_name: str) -> Iterator[PodmanService]:
    """Somebody else's service, though of this user."""
    service = PodmanService()
    yield service
    service.stop()


@pytest.fixture
def connected(theirs: PodmanService) -> Iterator[ContainerEngine]:
    """A connection to it."""
    opened = ContainerEngine(Found("podman", theirs.socket))
    yield opened
    opened.close()


@pytest.fixture
def image(engine: ContainerEngine, request: pytest.FixtureRequest) -> BuiltImage:
    """Any image with a shell: the base of `cpu` where the engine has it."""
    base = load_catalog().images["cpu"].base
    found: BuiltImage | None = engine.find_reference(base) if base else None
    return found or request.getfixturevalue("cpu_image")


def a_run(engine: ContainerEngine, image: BuiltImage, folder: Path, *, groups: tuple[str, ...], owned_by: str = "") -> Run:
    exchange = folder / "exchange"
    exchange.mkdir(exist_ok=True)
    exchange.chmod(0o777)
    return Run(
        name=f"strixbench-test-{time.monotonic_ns()}",
        image=image.id,
        argv=("true",),
        environment={},
        mounts=(Mount(str(exchange), "/exchange", writable=True),),
        working_directory="/",
        exchange=exchange,
        user=container_user(engine.record),
        groups=groups,
        security_options=("no-new-privileges",),
        labels={OWNER_LABEL: owned_by or owner()},
    )


def test_a_run_that_keeps_groups_is_started_by_a_service_of_ours(
    connected: ContainerEngine, image: BuiltImage, tmp_path: Path
) -> None:
    plain = connected.run(a_run(connected, image, tmp_path, groups=()), timeout_seconds=60)
    assert (plain.code, connected.connection.service) == (0, None)
    dead = create_container(connected.connection, a_run(connected, image, tmp_path, groups=(), owned_by=DEAD_OWNER))
    kept = connected.run(a_run(connected, image, tmp_path, groups=(KEEP_GROUPS,)), timeout_seconds=60)
    assert (kept.code, kept.remark) == (0, "")
    assert connected.connection.service is not None
    # The store is the same: what the other service made is seen, and swept.
    assert connected.find_reference(image.id) is not None
    assert connected.sweep() == 1
    assert dead not in {container["Id"] for container in labelled_containers(connected.connection)}


def test_without_podman_s_program_it_is_started_all_the_same_and_why_it_may_fail_is_on_record(
    connected: ContainerEngine, theirs: PodmanService, image: BuiltImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kept = connected.run(a_run(connected, image, tmp_path, groups=(KEEP_GROUPS,)), timeout_seconds=60)
    assert (kept.code, connected.connection.service) == (0, None)
    assert f"the Podman service on {theirs.socket} keeps the groups that it was started with" in kept.remark
    assert "`podman system service` cannot be started: No such file or directory" in kept.remark
    assert connected.sweep() == 0


@pytest.mark.parametrize("named", ["unix:///tmp/none.sock", "tcp://127.0.0.1:1", "ssh://nobody@127.0.0.1/none", "garbage"])
def test_a_service_of_ours_comes_up_whatever_other_podman_the_caller_s_variables_name(
    engine_name: str, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", named)
    monkeypatch.setenv("CONTAINER_CONNECTION", "none")
    monkeypatch.setenv("CONTAINER_SSHKEY", "/none")
    PodmanService().stop()
    facts = next(facts for facts in ask_engines(os.environ) if facts.name == engine_name)
    assert (facts.error, facts.version is None, facts.controllers is None) == (None, False, False)


def test_the_podman_that_a_variable_names_is_the_one_that_is_described(
    theirs: PodmanService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{theirs.socket}")
    # Without effect on the service that runs: whoever answered otherwise asked a Podman of this environment.
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    (tmp_path / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n'
    )
    facts = next(facts for facts in ask_engines(os.environ) if facts.name == "podman")
    assert facts.error is None
    assert facts.storage.folder != f"{tmp_path}/graph"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_harness_that_is_ended_in_a_fetch_leaves_no_service_and_no_folder(
    engine_name: str, workplace: Workplace, tmp_path: Path, number: signal.Signals, jobs: int
) -> None:
    images = ("cpu", "rocm72")[:jobs]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with SlowRegistry((4_000_000,), seed=int.from_bytes(os.urandom(6))) as registry:
        registry.silent_after[registry.layers[0]] = 100_000
        insecure, overlay = tmp_path / "registries.conf", tmp_path / "overlay.toml"
        insecure.write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        base = json.dumps(f"{registry.host}/slow/base:1@{registry.digest}")
        overlay.write_text("".join(f"[images.{image}]\nbase = {base}\n" for image in images))
        variables = {
            "CONTAINERS_REGISTRIES_CONF": str(insecure),
            "STRIXBENCH_CATALOG": str(overlay),
            "TMPDIR": str(temporary),
        }
        process = subprocess.Popen(
            (*STRIXBENCH, "build", *images, "--engine", engine_name, f"--jobs={jobs}"),
            cwd=REPOSITORY,
            env={**workplace.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: registry.sent[registry.layers[0]] or process.poll() is not None, what="the fetch")
        process.send_signal(number)
        assert process.wait(timeout=60) == (130 if number == signal.SIGINT else -number)
        if number == signal.SIGKILL:
            wait_until(lambda: not servers(temporary), what="the service's end", seconds=30)
        assert servers(temporary) == []
        assert list(temporary.glob("strixbench-*")) == []
