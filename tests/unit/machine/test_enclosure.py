"""Where a system runs, by trees that look like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machine.enclosure import Enclosure, find_enclosure, how_to_map
from tests.unit.fixture_hosts import FEDORA, a_tree
from tests.unit.real_hosts import LXC, UNPRIVILEGED_LXC

LXCFS = "412 400 0:64 {at} rw,nosuid,nodev,relatime - fuse.lxcfs lxcfs rw,user_id=0,group_id=0,allow_other\n"
NODES = ("/dev/kfd", "/dev/dri/renderD128")


@pytest.mark.parametrize(
    ("files", "container"),
    [
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({"proc/1/environ": "TERM=linux\0container=lxc\0"}, "lxc"),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": 'engine="podman-5.6.2"\n'}, "podman"),
        ({"proc/1/cgroup": "0::/lxc.payload.101/init.scope\n"}, "lxc"),
        ({"proc/1/cgroup": "12:devices:/lxc/101/ns\n"}, "lxc"),
        ({"proc/1/cgroup": "12:devices:/docker/0123abcd\n"}, "docker"),
        ({"proc/self/mountinfo": LXCFS.format(at="/proc/meminfo /proc/meminfo")}, "lxc"),
        # A host of containers.
        ({"proc/self/mountinfo": LXCFS.format(at="/ /var/lib/lxcfs"), "proc/1/cgroup": "0::/init.scope\n"}, ""),
        ({"proc/1/environ": "HOME=/\0TERM=linux\0mycontainer=no\0"}, ""),
        ({}, ""),
    ],
)
def test_a_container_is_known_by_its_signs(tmp_path: Path, files: dict[str, str], container: str) -> None:
    assert find_enclosure(a_tree(tmp_path, files)).container == container


def test_a_machine_of_its_own_is_inside_of_nothing(tmp_path: Path) -> None:
    files = {**FEDORA, "proc/self/gid_map": "         0          0 4294967295\n"}
    assert find_enclosure(a_tree(tmp_path, files)) == Enclosure()


def test_a_container_of_proxmox_is_one_and_its_host_is_none(tmp_path: Path) -> None:
    privileged = find_enclosure(a_tree(tmp_path / "privileged", LXC))
    assert privileged == Enclosure(container="lxc", is_on_proxmox=True)
    unprivileged = find_enclosure(a_tree(tmp_path / "unprivileged", UNPRIVILEGED_LXC))
    assert unprivileged == Enclosure(container="lxc", is_on_proxmox=True, unmapped_group=65534)
    outside = find_enclosure(a_tree(tmp_path / "host", {"proc/sys/kernel/osrelease": "6.17.2-1-pve\n"}))
    assert outside == Enclosure(is_on_proxmox=True)


@pytest.mark.parametrize(("told", "number"), [("4242\n", 4242), ("", 65534), ("\u0663\n", 65534)])
def test_the_number_of_what_is_not_mapped_is_the_kernel_s(tmp_path: Path, told: str, number: int) -> None:
    files = {"proc/self/gid_map": "0 100000 65536\n", "proc/sys/kernel/overflowgid": told}
    assert find_enclosure(a_tree(tmp_path, files)).unmapped_group == number


def test_each_kind_of_container_is_told_its_own_lines() -> None:
    proxmox = how_to_map(Enclosure(container="lxc", is_on_proxmox=True), NODES, 993)
    assert "/etc/pve/lxc/ID.conf" in proxmox
    assert "`dev0: /dev/kfd,gid=993` and `dev1: /dev/dri/renderD128,gid=993`" in proxmox
    plain = how_to_map(Enclosure(container="lxc"), NODES, 993)
    assert "`lxc.mount.entry = /dev/kfd dev/kfd none bind,optional,create=file`" in plain
    assert "`lxc.idmap = g 993 HOST_NUMBER 1`" in plain
    assert "gid=NUMBER" in how_to_map(Enclosure(container="lxc", is_on_proxmox=True), NODES, None)
    assert "keep-groups" in how_to_map(Enclosure(container="podman"), NODES, 993)
