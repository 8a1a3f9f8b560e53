"""A Podman service that somebody else started, as `systemd --user` does for podman.socket, and a run that keeps its caller's groups.

Whether the groups arrive is crun's affair, which this asks nothing of: it is who starts the container that counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.catalog import load_catalog
from harness.engines.base import KEEP_GROUPS, OWNER_LABEL, BuiltImage, Mount, Run, owner
from harness.engines.container import ContainerEngine
from harness.engines.find import Found
from harness.engines.podman_service import PodmanService
from harness.inside import container_user
from tests.engines.test_container import DEAD_OWNER

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
    assert (plain.code, connected._service) == (0, None)
    dead = connected._create(a_run(connected, image, tmp_path, groups=(), owned_by=DEAD_OWNER))
    kept = connected.run(a_run(connected, image, tmp_path, groups=(KEEP_GROUPS,)), timeout_seconds=60)
    assert (kept.code, kept.remark) == (0, "")
    assert connected._service is not None
    # The store is the same: what the other service made is seen, and swept.
    assert connected.find_reference(image.id) is not None
    assert connected.sweep() == 1
    assert dead not in {container["Id"] for container in connected._labelled_containers()}


def test_without_podman_s_program_it_is_started_all_the_same_and_why_it_may_fail_is_on_record(
    connected: ContainerEngine, theirs: PodmanService, image: BuiltImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    kept = connected.run(a_run(connected, image, tmp_path, groups=(KEEP_GROUPS,)), timeout_seconds=60)
    assert (kept.code, connected._service) == (0, None)
    assert f"the Podman service on {theirs.socket} keeps the groups that it was started with" in kept.remark
    assert "`podman system service` cannot be started: No such file or directory" in kept.remark
    assert connected.sweep() == 0
