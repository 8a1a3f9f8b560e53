"""docs/first-run.md, claim by claim: what doctor says and what an engine is asked for on hosts of posted facts."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from harness.doctor.finding import Finding
from harness.engines.base import KEEP_GROUPS
from harness.engines.options import libpod_specification, needs_libpod
from tests.first_run import WALKS, Walk, a_host, findings_on, launch_line, launch_on, obstacles_on
from tests.generated import FIRST_RUN, with_first_runs
from tests.unit.samples import is_root

BY_KEY = {walk.key: walk for walk in WALKS}


def problems(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.found for finding in findings if finding.status == "problem"]


def devices_of(root: Path, walk: Walk) -> list[str]:
    """The nodes that the launch is handed, by the names that they have in the container."""
    return [node.rpartition(":")[2] for node in launch_on(walk, root).run.devices]


def test_the_page_says_what_strixbench_says() -> None:
    text = FIRST_RUN.read_text(encoding="utf-8")
    assert with_first_runs(text) == text, "run `python -m tests.generated`"


@pytest.mark.parametrize("key", ["fedora", "ubuntu", "arch"])
def test_a_box_that_is_set_up_has_no_problem_and_launches(tmp_path: Path, key: str) -> None:
    walk = BY_KEY[key]
    root = a_host(walk, tmp_path)
    assert problems(findings_on(walk, root)) == []
    assert obstacles_on(walk, root) == ()
    assert devices_of(root, walk) == ["/dev/kfd", "/dev/dri/renderD128"]
    run = launch_on(walk, root).run
    assert (run.network, run.ipc, run.gpus) == ("none", None, None)


def test_fedora_asks_for_no_group_and_switches_the_label_off_for_the_launch(tmp_path: Path) -> None:
    walk = BY_KEY["fedora"]
    prepared = launch_on(walk, a_host(walk, tmp_path))
    assert prepared.run.groups == ()
    assert prepared.run.security_options == ("no-new-privileges", "label=disable")
    assert prepared.run.user == "0:0", "rootless: the container's root is the caller"
    assert [text.partition(":")[0] for text in prepared.plan.relaxations] == ["label=disable"]
    assert not needs_libpod(prepared.run)


def test_fedora_nodes_of_a_group_are_reached_by_keep_groups_in_the_engine_s_own_words(tmp_path: Path) -> None:
    walk = msgspec.structs.replace(BY_KEY["fedora"], node_mode=0o660)
    run = launch_on(walk, a_host(walk, tmp_path)).run
    assert run.groups == (KEEP_GROUPS,)
    asked = libpod_specification(run)
    assert asked["annotations"] == {"run.oci.keep_original_groups": "1"}
    assert asked["selinux_opts"] == ["disable"]
    assert [device["path"].split(":")[1] for device in asked["devices"]] == ["/dev/kfd", "/dev/dri/renderD128"]


def test_ubuntu_hands_docker_the_number_of_the_nodes_group(tmp_path: Path) -> None:
    walk = BY_KEY["ubuntu"]
    root = a_host(walk, tmp_path)
    assert launch_on(walk, root).run.groups == (str(os.stat(root / "dev/kfd").st_gid),)
    assert "--group-add=992" in launch_line(walk, root)


def test_ubuntu_without_the_group_is_told_of_the_socket_and_of_nothing_that_the_group_settles(tmp_path: Path) -> None:
    walk = BY_KEY["ubuntu-no-group"]
    root = a_host(walk, tmp_path)
    findings = findings_on(walk, root)
    assert problems(findings) == ["docker: permission denied on /var/run/docker.sock"]
    (socket,) = (finding for finding in findings if finding.status == "problem")
    assert socket.fix.startswith("sudo usermod -aG docker $USER")
    said = launch_line(walk, root)
    assert "permission denied on /var/run/docker.sock: it belongs to the group docker" in said
    assert "neither Podman nor Docker" not in said


def test_arch_as_root_drops_its_rights_in_the_container_and_asks_for_no_group(tmp_path: Path) -> None:
    walk = BY_KEY["arch"]
    run = launch_on(walk, a_host(walk, tmp_path)).run
    assert run.groups == ()
    assert run.security_options == ("no-new-privileges",)
    assert run.user == ("1000:1000" if is_root() else f"{os.getuid()}:{os.getgid()}")


def test_an_unprivileged_lxc_is_sent_to_its_host_for_all_that_is_the_host_s(tmp_path: Path) -> None:
    walk = BY_KEY["lxc"]
    root = a_host(walk, tmp_path)
    (obstacle,) = obstacles_on(walk, root)
    assert "`dev0: /dev/kfd,gid=993` and `dev1: /dev/dri/renderD128,gid=993`" in obstacle
    fixes = [finding.fix for finding in findings_on(walk, root) if finding.fix]
    assert fixes
    assert all("on the Proxmox host" in fix for fix in fixes)
    assert not any("linux-oem" in fix for fix in fixes)


def test_an_lxc_whose_nodes_are_mapped_asks_for_their_group(tmp_path: Path) -> None:
    mapped = {**BY_KEY["lxc"].files, "proc/sys/kernel/overflowgid": "65534\n"}
    walk = msgspec.structs.replace(BY_KEY["lxc"], files=mapped, node_group=993)
    root = a_host(walk, tmp_path)
    (root / "proc/sys/kernel/overflowgid").write_text(f"{os.stat(root / 'dev/kfd').st_gid + 1}\n")
    assert obstacles_on(walk, root) == ()
    assert launch_on(walk, root).run.groups == (str(os.stat(root / "dev/kfd").st_gid),)
