"""`doctor` on facts that owners posted: containers of Proxmox, other distributions' kernels, memory, parameters, firmware."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from harness.doctor import examine
from harness.doctor.facts import DeviceNode, HostFacts, User
from harness.doctor.finding import Finding
from harness.engines.about import EngineFacts
from harness.machine.files import Reading
from tests.unit.doctored import changed, of, statuses, the
from tests.unit.fixture_hosts import DOCKER, FEDORA, ROOTLESS_PODMAN, UBUNTU, a_tree, facts_of
from tests.unit.real_hosts import (
    BIG_CARVE_OUT,
    FRAMEWORK,
    GTT_ABOVE_MEMORY,
    LXC,
    TWO_GIB_CARVE_OUT,
    UNPRIVILEGED_LXC,
)

ROOT = User(0, "root", (0,))
OF_THE_HOST = ("kernel", "loaded firmware", "gttsize", "amdgpu", "parameter", "iommu argument", "tun", "memory limits")


def host(root: Path, files: Mapping[str, str], *, engines: tuple[EngineFacts, ...] = (ROOTLESS_PODMAN,)) -> HostFacts:
    return facts_of(a_tree(root, files), engines=engines, user=ROOT)


def unprivileged(root: Path) -> HostFacts:
    """Docker in it. The files' own group stands for the number of groups that are not mapped."""
    a_tree(root, UNPRIVILEGED_LXC)
    for name in ("dev/kfd", "dev/dri/renderD128"):
        (root / name).chmod(0o660)
    (root / "proc/sys/kernel/overflowgid").write_text(f"{os.stat(root / 'dev/kfd').st_gid}\n")
    return facts_of(root, engines=(DOCKER,), user=ROOT)


def test_a_container_is_said_to_be_one(tmp_path: Path) -> None:
    inside = the(host(tmp_path / "lxc", LXC), "container")
    assert (inside.status, inside.found) == ("note", "this is a container (LXC) on Proxmox VE")
    assert "belong to the Proxmox host: fix them there" in inside.why
    assert "unprivileged" in the(unprivileged(tmp_path / "unprivileged"), "container").found
    assert not of(host(tmp_path / "machine", FEDORA), "container")


def of_a_broken_host(facts: HostFacts) -> HostFacts:
    """The same with all that a host can have wrong outside of its containers."""
    return changed(
        facts,
        kernel=facts.kernel or "6.17.2-1-pve",
        command_line=Reading("ro amdgpu.gttsize=131072 ttm.page_limit=1 amd_iommu=pt\n"),
        amdgpu_version=Reading("6.16.6\n"),
        tun=None,
        user=User(1000, "alice", (1000,)),
        engines=(msgspec.structs.replace(ROOTLESS_PODMAN, cgroup_version="1"),),
        cards=tuple(msgspec.structs.replace(card, mes=Reading("0x00000083\n")) for card in facts.cards),
    )


@pytest.mark.parametrize("kernel", ["6.17.2-1-pve", "6.17.0-14-generic", "6.14.0-1014-oem", "6.17.8-300.fc43.x86_64"])
def test_what_is_the_host_s_to_do_is_never_a_command_for_the_container(tmp_path: Path, kernel: str) -> None:
    facts = of_a_broken_host(host(tmp_path, {**LXC, "proc/sys/kernel/osrelease": f"{kernel}\n"}))
    fixes = {finding.check: finding.fix for finding in examine(facts) if finding.check in OF_THE_HOST and finding.fix}
    assert set(fixes) == set(OF_THE_HOST)
    where = "the Proxmox host" if kernel.endswith("pve") else "the host"
    assert [fix for fix in fixes.values() if not fix.startswith(f"# on {where}, not in this container: ")] == []
    assert "linux-oem" not in "".join(fixes.values())
    assert "sudo" not in "".join(fixes.values())


def test_proxmox_is_told_its_own_commands_outside_and_inside(tmp_path: Path) -> None:
    inside = of_a_broken_host(host(tmp_path / "lxc", LXC))
    outside = of_a_broken_host(host(tmp_path / "host", {**LXC, "run/systemd/container": "", "etc/os-release": "ID=debian\n"}))
    for facts in (inside, outside):
        assert "apt install -y proxmox-kernel-7.0" in of(facts, "kernel")[0].fix
        assert "pve-firmware" in the(facts, "loaded firmware").fix
        assert "/etc/kernel/cmdline && proxmox-boot-tool refresh" in the(facts, "gttsize").fix
    assert not the(outside, "gttsize").fix.startswith("#")


def test_firmware_installed_in_a_container_is_never_loaded(tmp_path: Path) -> None:
    files = {**LXC, "var/lib/dpkg/status": UBUNTU["var/lib/dpkg/status"]}
    installed = the(host(tmp_path, files), "installed firmware")
    assert (installed.status, "20240318" in installed.found) == ("note", False)


def test_a_container_s_limit_is_not_taken_for_the_machine_s_memory(tmp_path: Path) -> None:
    files = {**LXC, "proc/meminfo": "MemTotal:       33554432 kB\n"}
    assert the(host(tmp_path, files), "gtt").status == "ok"


def test_docker_in_lxc_is_told_of_an_lxc_that_is_too_old(tmp_path: Path) -> None:
    found = the(unprivileged(tmp_path / "docker"), "docker in lxc")
    assert (found.status, "lxc-pve" in found.fix) == ("note", True)
    assert not of(host(tmp_path / "podman", LXC), "docker in lxc")


def test_nodes_of_a_group_that_is_not_mapped_are_problems_with_the_container_s_lines(tmp_path: Path) -> None:
    facts = unprivileged(tmp_path)
    for found in (the(facts, "kfd"), the(facts, "render node")):
        assert found.status == "problem"
        assert "a group of the Proxmox host that this container does not map" in found.found
        assert "`dev0: /dev/kfd,gid=993` and `dev1: /dev/dri/renderD128,gid=993`" in found.fix
        assert "passes it on all the same" not in found.why
    plain = changed(facts, enclosure=msgspec.structs.replace(facts.enclosure, is_on_proxmox=False))
    assert "lxc.idmap = g 993" in the(plain, "kfd").fix
    as_user = changed(facts, user=User(1000, "alice", (1000,)), group_ids={"render": 993, "video": 44})
    assert not of(as_user, "groups"), "no group in there would help"


def test_nodes_that_everyone_may_open_need_no_group(tmp_path: Path) -> None:
    facts = unprivileged(tmp_path)
    wide = [msgspec.structs.replace(node, mode=0o666) for node in (facts.kfd, *facts.render_nodes) if node]
    assert statuses(changed(facts, kfd=wide[0], render_nodes=tuple(wide[1:])), "kfd") == ["ok"]


def refusing(facts: HostFacts, error: str) -> Finding:
    node = DeviceNode(path="/dev/kfd", openable=False, group=993, mode=0o666, refused=error, major=511)
    return the(changed(facts, kfd=node), "kfd")


def test_a_compute_node_that_refuses_is_told_by_what_it_says(tmp_path: Path) -> None:
    lxc = host(tmp_path / "lxc", LXC)
    machine = host(tmp_path / "machine", FEDORA)
    no_gpu = refusing(machine, "EINVAL")
    assert (no_gpu.status, no_gpu.fix) == ("problem", "sudo dmesg | grep -iE 'amdgpu|kfd'  # then reboot")
    assert "groups do not matter here" in no_gpu.why
    assert refusing(lxc, "EINVAL").fix.startswith("# on the Proxmox host")
    assert "dev0: /dev/kfd" in refusing(lxc, "EPERM").fix
    other = changed(lxc, enclosure=msgspec.structs.replace(lxc.enclosure, is_on_proxmox=False))
    assert "lxc.cgroup2.devices.allow = c 511:* rwm" in refusing(other, "EPERM").fix
    assert refusing(machine, "ENOMEM").status == "problem"


def test_the_compute_node_is_opened_to_know_what_the_driver_says(tmp_path: Path) -> None:
    root = a_tree(tmp_path, {name: text for name, text in FEDORA.items() if name != "dev/kfd"})
    (root / "dev/kfd").mkdir()  # it can be accessed and not opened: a stand-in for a driver that refuses
    assert facts_of(root).kfd == DeviceNode(
        path="/dev/kfd",
        openable=False,
        group=os.stat(root / "dev/kfd").st_gid,
        mode=os.stat(root / "dev/kfd").st_mode & 0o7777,
        refused="EISDIR",
        major=0,
    )


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n', "linux-oem-24.04d"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="25.10"\n', "do-release-upgrade"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="26.04"\n', "# nothing to install: boot 26.04's own kernel"),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_ID="30.04"\n', "# install kernel 6.18.4 or later"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22.1"\n', "# install kernel 6.18.4 or later"),
        ('ID=debian\nVERSION_ID="13"\n', "trixie-backports"),
        ('ID=debian\nVERSION_ID="12"\n', "upgrade to Debian 13"),
        ("ID=debian\n", "apt full-upgrade"),
        ("ID=arch\n", "pacman -Syu"),
        ("ID=cachyos\nID_LIKE=arch\n", "pacman -Syu"),
        ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nVERSION_ID="20260101"\n', "zypper dup"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="16.0"\n', "Leap's own kernel is older"),
        ("ID=fedora\nVERSION_ID=43\n", "dnf upgrade"),
        ("ID=plan9\n", "# install kernel 6.18.4 or later"),
    ],
)
def test_a_newer_kernel_comes_the_way_of_this_release(tmp_path: Path, release: str, command: str) -> None:
    files = {**FEDORA, "etc/os-release": release, "proc/sys/kernel/osrelease": "6.17.8-1-default\n"}
    found = of(host(tmp_path, files), "kernel")[0]
    assert (found.status, command in found.fix) == ("warning", True), found.fix


@pytest.mark.parametrize("kernel", ["6.17.13-2-pve", "6.17.9-2-cachyos"])
def test_another_distribution_s_kernel_is_not_taken_for_ubuntu_s(tmp_path: Path, kernel: str) -> None:
    found = of(host(tmp_path, {**UBUNTU, "proc/version_signature": "", "proc/sys/kernel/osrelease": f"{kernel}\n"}), "kernel")
    assert [finding.status for finding in found] == ["ok", "ok"]
    assert "version_signature" not in "".join(finding.fix for finding in found)


def test_the_loaded_firmware_of_a_real_box_is_known(tmp_path: Path) -> None:
    loaded = the(host(tmp_path, FRAMEWORK), "loaded firmware")
    assert (loaded.status, loaded.found.partition(":")[0]) == ("ok", "MES 0x86 is loaded")
    assert "one box still froze" in loaded.found


def installed(root: Path, package: str, version: str) -> Finding:
    status = f"Package: {package}\nStatus: install ok installed\nVersion: {version}\n\n"
    return the(host(root, {**FRAMEWORK, "var/lib/dpkg/status": status}), "installed firmware")


def test_ubuntu_s_split_package_is_known_by_its_name_and_its_date(tmp_path: Path) -> None:
    cured = installed(tmp_path / "cured", "linux-firmware-amd-graphics", "20260319.git217ca6e4-0ubuntu1")
    assert (cured.status, "linux-firmware-amd-graphics 20260319" in cured.found) == ("ok", True)
    older = installed(tmp_path / "older", "linux-firmware-amd-graphics", "20240318.git3b128b60-0ubuntu2.19")
    assert older.status == "note"


@pytest.mark.parametrize(("files", "status"), [(TWO_GIB_CARVE_OUT, "ok"), (BIG_CARVE_OUT, "ok"), (GTT_ABOVE_MEMORY, "warning")])
def test_a_gpu_s_memory_is_held_against_the_machine_s(tmp_path: Path, files: Mapping[str, str], status: str) -> None:
    assert the(host(tmp_path, files), "gtt").status == status


def test_more_gtt_than_memory_gets_a_limit_in_place_of_what_set_it(tmp_path: Path) -> None:
    found = the(host(tmp_path, {**GTT_ABOVE_MEMORY, "etc/os-release": "ID=fedora\n"}), "gtt")
    pages = 130988113 * 1024 * 3 // 4 // 4096
    assert "GTT 128.0 GiB of 124.9 GiB" in found.found
    assert f"--remove-args=amdgpu.gttsize=131072 --args=ttm.pages_limit={pages}" in found.fix


def test_a_limit_that_is_too_high_is_replaced_where_it_stands(tmp_path: Path) -> None:
    words = {"proc/cmdline": "ro amdgpu.gttsize=131072 ttm.pages_limit=33554432 quiet\n", "etc/os-release": "ID=fedora\n"}
    assert "--remove-args=ttm.pages_limit=33554432 --args=" in the(host(tmp_path, {**GTT_ABOVE_MEMORY, **words}), "gtt").fix


def test_a_compute_node_without_a_gpu_asks_for_no_group(tmp_path: Path) -> None:
    facts = changed(host(tmp_path, FEDORA), user=User(1001, "bob", (1001,)), listed_in=())
    node = DeviceNode(path="/dev/kfd", openable=False, group=105, mode=0o666, refused="EINVAL")
    assert statuses(changed(facts, kfd=node), "groups") == ["note"]


SHOWN = {
    f"sys/module/{module}/parameters/{name}": "0\n"
    for module, names in {
        "amdgpu": ("cwsr_enable", "gttsize", "gartsize", "vm_size", "ppfeaturemask"),
        "ttm": ("pages_limit", "page_pool_size"),
    }.items()
    for name in names
}


def parameters(root: Path, words: str, *, shown: bool = True) -> list[Finding]:
    files = {**FEDORA, **(SHOWN if shown else {}), "proc/cmdline": f"ro {words} quiet\n"}
    files = files if shown else {name: text for name, text in files.items() if not name.startswith("sys/module")}
    return of(host(root, files), "parameter")


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize(
    ("word", "right"),
    [
        ("amdgpu.gtt_size=65536", "ttm.pages_limit=16777216"),
        ("amdgpu.gtt-size=65536", "ttm.pages_limit=16777216"),
        ("amdgpu.gtt_size=131072", f"ttm.pages_limit={131072000 * 1024 * 3 // 4 // 4096}"),  # no more than is sensible
        ("ttm.page_limit=25165824", "ttm.pages_limit=25165824"),
        ("amdgpu.cwsr_enabled=0", "amdgpu.cwsr_enable=0"),
    ],
)
def test_a_misspelt_parameter_is_told_with_the_right_one(tmp_path: Path, word: str, right: str, shown: bool) -> None:
    (found,) = parameters(tmp_path, word, shown=shown)
    assert found.status == "warning"
    assert found.fix == f"sudo grubby --update-kernel=ALL --remove-args={word} --args={right}"


def test_a_parameter_that_nothing_is_like_is_told_where_the_module_shows_its_own(tmp_path: Path) -> None:
    (found,) = parameters(tmp_path / "shown", "amdgpu.fastmode=1")
    assert found.fix == "sudo grubby --update-kernel=ALL --remove-args=amdgpu.fastmode=1"
    assert parameters(tmp_path / "not-shown", "amdgpu.fastmode=1", shown=False) == []


@pytest.mark.parametrize("words", ["amdgpu.gttsize=1", "amdgpu.gartsize=512", "ttm.pages-limit=4", "i915.force_probe=*", "ttm"])
def test_a_parameter_that_exists_or_is_of_another_module_is_not_told(tmp_path: Path, words: str) -> None:
    assert parameters(tmp_path, words) == []


def test_a_parameter_of_amd_s_own_driver_sets_nothing_without_it(tmp_path: Path) -> None:
    (found,) = parameters(tmp_path / "without", "amdttm.pages_limit=25165824")
    assert "there is no module amdttm here" in found.found
    assert found.fix.endswith("--args=ttm.pages_limit=25165824")
    files = {**FEDORA, **SHOWN, "sys/module/amdttm/parameters/pages_limit": "1\n", "proc/cmdline": "amdttm.pages_limit=1\n"}
    assert of(host(tmp_path / "with", files), "parameter") == []


def test_a_hostile_word_gets_into_no_command(tmp_path: Path) -> None:
    (found,) = parameters(tmp_path, "ttm.page_limit=1;reboot")
    assert found.fix == "sudo grubby --update-kernel=ALL --remove-args=ttm.page_limit"
