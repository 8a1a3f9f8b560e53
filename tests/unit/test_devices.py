"""Device nodes are plain files of a made-up tree here: nothing opens them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.devices import request_devices
from harness.records import EngineRecord

PODMAN = EngineRecord(name="podman")
ROOTLESS_PODMAN = EngineRecord(name="podman", rootless=True)
DOCKER = EngineRecord(name="docker")
ROOTLESS_DOCKER = EngineRecord(name="docker", rootless=True)


def with_nodes(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def an_amd_host(root: Path) -> Path:
    return with_nodes(root, "dev/kfd", "dev/dri/renderD128", "dev/dri/card0")


@pytest.mark.parametrize("family", ["cpu", None])
def test_an_image_without_a_gpu_gets_no_device_and_no_relaxation(tmp_path: Path, family: None) -> None:
    request = request_devices(family, PODMAN, root=an_amd_host(tmp_path))
    assert (request.device, request.nodes, request.groups, request.relaxations, request.missing) == ("cpu", (), (), (), ())
    assert request.security_options == ("no-new-privileges",)


@pytest.mark.parametrize("family", ["rocm", "therock"])
def test_an_amd_image_gets_the_compute_node_and_the_render_nodes_alone(tmp_path: Path, family: str) -> None:
    root = with_nodes(an_amd_host(tmp_path), "dev/dri/renderD129")
    request = request_devices(family, PODMAN, root=root)  # type: ignore[arg-type]
    assert request.device == "cuda"
    assert [Path(node).name for node in request.nodes] == ["kfd", "renderD128", "renderD129"]
    assert request.missing == ()


def test_the_groups_are_the_numbers_of_those_that_own_the_nodes(tmp_path: Path) -> None:
    request = request_devices("rocm", DOCKER, root=an_amd_host(tmp_path))
    assert request.groups == (str(os.stat(tmp_path / "dev/kfd").st_gid),)


@pytest.mark.parametrize("engine", [ROOTLESS_PODMAN, ROOTLESS_DOCKER], ids=lambda engine: engine.name)
def test_a_rootless_engine_is_asked_for_no_group_of_the_host(tmp_path: Path, engine: EngineRecord) -> None:
    request = request_devices("rocm", engine, root=an_amd_host(tmp_path))
    assert request.groups == ()
    assert len(request.nodes) == 2


def test_a_host_without_the_driver_is_told_so(tmp_path: Path) -> None:
    (sentence,) = request_devices("rocm", PODMAN, root=tmp_path).missing
    assert "/dev/kfd" in sentence
    assert "amdgpu driver" in sentence


def test_a_host_without_a_render_node_is_told_so(tmp_path: Path) -> None:
    (sentence,) = request_devices("rocm", PODMAN, root=with_nodes(tmp_path, "dev/kfd")).missing
    assert "/dev/dri/renderD*" in sentence


def test_nothing_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    request = request_devices("rocm", PODMAN, root=tmp_path)
    assert (request.nodes, request.groups) == ((), ())


@pytest.mark.parametrize("place", ["etc/cdi/nvidia.yaml", "var/run/cdi/nvidia.json"])
def test_an_nvidia_image_gets_its_gpu_by_cdi(tmp_path: Path, place: str) -> None:
    request = request_devices("cuda", PODMAN, root=with_nodes(tmp_path, place))
    assert (request.device, request.nodes, request.missing) == ("cuda", ("nvidia.com/gpu=all",), ())


def test_an_nvidia_host_without_a_specification_is_told_how_to_make_one(tmp_path: Path) -> None:
    (sentence,) = request_devices("cuda", PODMAN, root=tmp_path).missing
    assert "nvidia-ctk cdi generate" in sentence


@pytest.mark.parametrize("family", ["rocm", "therock", "cuda"])
def test_every_relaxation_of_a_family_has_its_reason_and_source(tmp_path: Path, family: str) -> None:
    request = request_devices(family, PODMAN, root=an_amd_host(tmp_path))  # type: ignore[arg-type]
    explained = {relaxation.what for relaxation in request.relaxations if relaxation.reason and relaxation.source}
    assert set(request.security_options) - {"no-new-privileges"} <= explained
    assert "no-new-privileges" in request.security_options
