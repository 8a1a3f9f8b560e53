"""What engines are asked for. That they do it is tested with real ones, in `tests/engines/test_devices.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.engines.base import Mount, Run
from harness.engines.devices import request_devices
from harness.engines.local import Local
from harness.engines.options import container_command, docker_keywords, libpod_specification, needs_libpod
from harness.engines.relaxations import COMPAT
from harness.records.plan import EngineRecord
from harness.tools import OWNER_LABEL

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

CHANGES: dict[str, Any] = {
    "name": "strixbench-2",
    "image": "sha256:2",
    "argv": ("python3", "-m", "another"),
    "environment": {"HOME": "/tmp", "MIOPEN_FIND_MODE": "2"},
    "mounts": RUN.mounts[:1],
    "working_directory": "/elsewhere",
    "user": "1000:1000",
    "network": "host",
    "devices": ("/dev/kfd",),
    "gpus": "device=0",
    "groups": ("44",),
    "security_options": ("no-new-privileges", "label=disable"),
    "ipc": "host",
    "memory_bytes": 1 << 30,
    "processes_limit": 100,
    "shm_bytes": None,
    "scratch_bytes": 1 << 20,
    "labels": {OWNER_LABEL: "1:2:3"},
}
"""A change of each field of a container's run."""

OF_A_PROCESS = ("name", "argv", "environment", "working_directory", "memory_bytes", "labels")
"""What a process of this host can be told."""


def a_run(**changes: Any) -> Run:
    return msgspec.structs.replace(RUN, **changes)


@pytest.mark.parametrize("option", request_devices("cpu", EngineRecord(name="podman"), flags=tuple(COMPAT)).security_options)
def test_podmans_own_interface_has_a_word_for_every_security_option(option: str) -> None:
    assert libpod_specification(a_run(security_options=(option,))) != libpod_specification(a_run(security_options=()))


@pytest.mark.parametrize("name", [name for name in Run.__struct_fields__ if name != "exchange"])
def test_every_field_of_a_run_is_in_every_form(name: str) -> None:
    """A container sees the exchange folder as one of the mounts."""
    changed = a_run(**{name: CHANGES[name]})
    for form in (lambda run: container_command("podman", run), docker_keywords, libpod_specification):
        assert form(changed) != form(RUN)
    assert (Local().command(changed) != Local().command(RUN)) is (name in OF_A_PROCESS)


def test_the_words_to_paste_are_those_of_the_engine_s_command_line() -> None:
    run = a_run(groups=("keep-groups",), devices=("/dev/kfd", "amd.com/gpu=all"), ipc="host", shm_bytes=None, gpus="device=0")
    line = container_command("podman", run)
    assert line[:4] == ("podman", "run", "--rm", "--name=strixbench-1")
    for word in ("--group-add=keep-groups", "--device=/dev/kfd", "--device=amd.com/gpu=all", "--ipc=host", "--gpus=device=0"):
        assert word in line
    assert not any(word.startswith("--shm-size") for word in line)
    assert line[line.index("sha256:1") :][-4:] == RUN.argv


def test_a_source_with_a_comma_is_one_field_of_its_mount() -> None:
    line = container_command("docker", a_run(mounts=(Mount('/a,b"c', "/models"),)))
    assert '--mount=type=bind,"source=/a,b""c",target=/models,readonly' in line


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
    specification = libpod_specification(a_run(groups=("keep-groups",)))
    assert specification["annotations"] == {"run.oci.keep_original_groups": "1"}
    assert "groups" not in specification
    assert "annotations" not in libpod_specification(RUN)


def test_the_isolation_is_that_of_every_launch() -> None:
    specification = libpod_specification(RUN)
    assert specification["read_only_filesystem"] is True
    assert specification["read_write_tmpfs"] is True
    assert specification["base_hosts_file"] == "none"
    assert specification["cap_drop"] == ["ALL"]
    assert specification["no_new_privileges"] is True
    assert specification["netns"] == {"nsmode": "none"}
    assert specification["httpproxy"] is False
    assert "seccomp_profile_path" not in specification
    writable = {mount["destination"] for mount in specification["mounts"] if "rw" in mount["options"]}
    assert writable == {"/exchange", "/tmp", "/run", "/var/tmp"}
    asked = docker_keywords(RUN)
    assert asked["use_config_proxy"] is False
    assert (asked["read_only"], asked["cap_drop"], asked["network_mode"]) == (True, ["ALL"], "none")
    assert [mount["Target"] for mount in asked["mounts"] if not mount["ReadOnly"]] == ["/exchange"]


def test_relaxations_and_limits_are_asked_for() -> None:
    options = ("no-new-privileges", "label=disable", "seccomp=unconfined")
    run = a_run(security_options=options, ipc="host", shm_bytes=None, memory_bytes=1 << 30, devices=("/a:/dev/kfd", "x/y=z"))
    specification = libpod_specification(run)
    assert specification["seccomp_profile_path"] == "unconfined"
    assert specification["selinux_opts"] == ["disable"]
    assert specification["ipcns"] == {"nsmode": "host"}
    assert "shm_size" not in specification
    assert specification["resource_limits"]["memory"] == {"limit": 1 << 30, "swap": 1 << 30}
    assert specification["resource_limits"]["pids"] == {"limit": run.processes_limit}
    assert specification["devices"] == [{"path": "/a:/dev/kfd:rw"}, {"path": "x/y=z"}]
    host = docker_keywords(run)
    assert host["security_opt"] == list(options)
    assert host["devices"] == ["/a:/dev/kfd:rw"]
    assert host["device_requests"] == [{"driver": "cdi", "device_ids": ["x/y=z"]}]
    assert (host["ipc_mode"], host["mem_limit"], host["memswap_limit"]) == ("host", 1 << 30, 1 << 30)


@pytest.mark.parametrize(
    ("gpus", "asked", "name"),
    [("all", {"count": -1}, "nvidia.com/gpu=all"), ("device=1", {"device_ids": ["1"]}, "nvidia.com/gpu=1")],
)
def test_nvidia_s_gpus_are_a_request_to_docker_and_cdi_devices_of_podman(gpus: str, asked: dict[str, Any], name: str) -> None:
    (request,) = docker_keywords(a_run(gpus=gpus))["device_requests"]
    assert request == {"driver": "", "capabilities": [["gpu"]], **asked}
    assert libpod_specification(a_run(gpus=gpus))["devices"] == [{"path": name}]
    assert needs_libpod(a_run(gpus=gpus))
