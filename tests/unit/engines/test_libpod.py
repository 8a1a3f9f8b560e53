"""What Podman is asked for; that it does so is tested with the real one, in `tests/engines/test_devices.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.engines.base import Mount, Run
from harness.engines.libpod import container_specification, needs_libpod
from harness.engines.options import container_command

RUN = Run(
    name="strixbench-1",
    image="sha256:1",
    argv=("python3", "-m", "benchmarks", "/exchange"),
    environment={"HOME": "/tmp"},
    mounts=(Mount("/here", "/exchange", writable=True), Mount("/models", "/models")),
    working_directory="/strixbench",
    exchange=Path("/here"),
    user="0:0",
    security_options=("no-new-privileges",),
    labels={"a": "b"},
)


def a_run(**changes: Any) -> Run:
    return msgspec.structs.replace(RUN, **changes)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"devices": ("/dev/kfd", "/a:/dev/kfd"), "groups": ("44",)}, False),
        ({"devices": ("amd.com/gpu=all",)}, True),
        ({"groups": ("keep-groups",)}, True),
    ],
)
def test_podman_s_own_interface_is_used_where_docker_s_cannot_say_it(changes: dict[str, Any], needed: bool) -> None:
    assert needs_libpod(a_run(**changes)) is needed


def test_kept_groups_are_the_annotation_that_crun_reads_and_no_group() -> None:
    specification = container_specification(a_run(groups=("keep-groups",)))
    assert specification["annotations"] == {"run.oci.keep_original_groups": "1"}
    assert specification["groups"] == []
    assert "annotations" not in container_specification(RUN)


def test_the_isolation_is_that_of_every_launch() -> None:
    specification = container_specification(RUN)
    assert specification["read_only_filesystem"] is True
    assert specification["read_write_tmpfs"] is True
    assert specification["base_hosts_file"] == "none"
    assert specification["cap_drop"] == ["ALL"]
    assert specification["no_new_privileges"] is True
    assert specification["netns"] == {"nsmode": "none"}
    assert specification["httpproxy"] is False
    assert "seccomp_profile_path" not in specification
    assert [mount["destination"] for mount in specification["mounts"] if "rw" in mount["options"]] == [
        "/exchange",
        "/tmp",
        "/run",
        "/var/tmp",
    ]


def test_relaxations_and_limits_are_asked_for() -> None:
    options = ("no-new-privileges", "label=disable", "seccomp=unconfined")
    run = a_run(security_options=options, ipc="host", shm_bytes=None, memory_bytes=1 << 30, devices=("/a:/dev/kfd", "x/y=z"))
    specification = container_specification(run)
    assert specification["seccomp_profile_path"] == "unconfined"
    assert specification["selinux_opts"] == ["disable"]
    assert specification["ipcns"] == {"nsmode": "host"}
    assert "shm_size" not in specification
    assert specification["resource_limits"]["memory"] == {"limit": 1 << 30, "swap": 1 << 30}
    assert specification["devices"] == [{"path": "/a:/dev/kfd:rw"}, {"path": "x/y=z"}]


def test_the_line_to_paste_says_the_same_in_podman_s_words() -> None:
    run = a_run(groups=("keep-groups",), devices=("/dev/kfd", "amd.com/gpu=all"), ipc="host", shm_bytes=None, gpus="device=0")
    line = container_command("podman", run)
    for word in ("--group-add=keep-groups", "--device=/dev/kfd", "--device=amd.com/gpu=all", "--ipc=host", "--gpus=device=0"):
        assert word in line
    assert not any(word.startswith("--shm-size") for word in line)
