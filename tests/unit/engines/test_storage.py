"""What engines say of where they keep images, in the forms of real ones."""

from __future__ import annotations

from typing import Any

import pytest

from harness.engines.about import docker_storage, podman_storage
from harness.engines.base import Storage

OVERLAY2 = {
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlay2",
    "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"], ["userxattr", "false"]],
}
"""Docker 20.10 on Debian 12."""

CONTAINERD_STORE = {
    "DockerRootDir": "/var/lib/docker",
    "Driver": "overlayfs",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "Containerd": {"Address": "/run/containerd/containerd.sock", "Namespaces": {"Containers": "moby"}},
}
"""A new installation of Docker 29: https://docs.docker.com/engine/storage/containerd/, buildpacks/imgutil#231."""


def test_docker_s_overlay2_lies_below_its_own_root_and_keeps_nothing_compressed() -> None:
    assert docker_storage(OVERLAY2) == Storage(folder="/var/lib/docker")


def test_a_containerd_store_lies_below_containerd_s_root_and_keeps_layers_twice() -> None:
    assert docker_storage(CONTAINERD_STORE) == Storage(folder="/var/lib/containerd", keeps_compressed=True)


@pytest.mark.parametrize(
    "address", ["/run/docker/containerd/containerd.sock", "/run/user/1000/docker/containerd/containerd.sock"]
)
def test_a_containerd_that_docker_started_lies_below_docker_s_root(address: str) -> None:
    told: dict[str, Any] = {**CONTAINERD_STORE, "DockerRootDir": "/data", "Containerd": {"Address": address}}
    assert docker_storage(told) == Storage(folder="/data", keeps_compressed=True)


def test_podman_names_its_store_and_its_temporary_folder() -> None:
    store = {"graphRoot": "/var/lib/containers/storage", "imageCopyTmpDir": "/home/big/tmp"}
    assert podman_storage(store) == Storage(folder="/var/lib/containers/storage", spool="/home/big/tmp")


def test_a_podman_that_names_no_temporary_folder_has_the_default_one() -> None:
    assert podman_storage({"graphRoot": "/somewhere"}).spool == "/var/tmp"


def test_an_engine_that_says_nothing_has_no_folder() -> None:
    assert docker_storage({}) == Storage()
    assert docker_storage({"DriverStatus": None}) == Storage()
    assert podman_storage({}).folder is None
