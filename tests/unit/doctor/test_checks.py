"""Each check of `doctor`, the good and the bad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness import places
from harness.doctor import examine
from harness.doctor.facts import Card, Disk, HostFacts, ImageFacts, User
from harness.engines.about import EngineFacts
from harness.engines.discovery import Refusal
from harness.machine.files import ABSENT, Reading
from harness.records.host import ComputeNodeRecord
from tests.unit.doctored import CLOSED, changed, of, statuses, the
from tests.unit.fixture_hosts import (
    ALICE,
    DOCKER,
    FEDORA,
    NO_GPU,
    ROOTLESS_PODMAN,
    STRANGER,
    a_tree,
    facts_of,
)


def test_a_user_without_subordinate_ids_gets_the_command(tmp_path: Path) -> None:
    facts = facts_of(a_tree(tmp_path / "host", FEDORA), user=STRANGER)
    for check in ("subuid", "subgid"):
        found = the(facts, check)
        assert found.status == "problem"
        # Behind alice's range: the same ids for two users would open one's containers to the other.
        assert found.fix == f"sudo usermod --add-{check}s 165536-231071 $USER && podman system migrate"
    nobody = changed(facts, subuid=Reading(""))
    assert "--add-subuids 100000-165535 " in the(nobody, "subuid").fix
    assert statuses(changed(facts, engines=(DOCKER,)), "subuid") == ["note"]
    assert statuses(changed(facts, user=ALICE), "subuid") == ["ok"]
    assert statuses(changed(facts, user=User(0, "root", (0,))), "subuid") == []


@pytest.mark.parametrize("text", ["bob:100000:0\n", "bob:100000\n", "bobby:100000:65536\n", "# bob:100000:65536\n", ""])
def test_a_line_that_gives_no_ids_does_not_count(plain: HostFacts, text: str) -> None:
    assert statuses(changed(plain, user=STRANGER, subuid=Reading(text)), "subuid") == ["problem"]


def test_ids_may_be_given_to_a_users_number(plain: HostFacts) -> None:
    assert statuses(changed(plain, user=STRANGER, subuid=Reading("1001:100000:65536\n")), "subuid") == ["ok"]


@pytest.mark.parametrize(
    ("distribution", "command"),
    [
        (("fedora",), "sudo dnf install -y podman"),
        (("ubuntu", "debian"), "sudo apt update && sudo apt install -y podman"),
        (("debian",), "sudo apt update && sudo apt install -y podman"),
        (("nobara", "fedora"), "sudo dnf install -y podman"),
        (("opensuse-tumbleweed", "opensuse", "suse"), "sudo zypper install -y podman"),
        (("plan9",), "# install podman with your distribution's package manager"),
    ],
)
def test_a_host_without_an_engine_is_told_how_to_get_one(plain: HostFacts, distribution: tuple[str, ...], command: str) -> None:
    found = the(changed(plain, engines=(), distribution=distribution), "engine")
    assert (found.status, found.fix) == ("problem", command)


def test_an_engine_that_does_not_answer_is_a_problem_unless_another_does(plain: HostFacts) -> None:
    refusal = Refusal("docker", "/var/run/docker.sock", owner="root", group="docker")
    dead = EngineFacts(name="docker", error="permission denied on /var/run/docker.sock", refusal=refusal)
    alone = the(changed(plain, engines=(dead,)), "engine")
    assert alone.status == "problem"
    assert alone.fix.startswith("sudo usermod -aG docker $USER")
    assert statuses(changed(plain, engines=(ROOTLESS_PODMAN, dead)), "engine") == ["ok", "note"]
    stopped = EngineFacts(name="docker", error="its daemon does not run")
    assert the(changed(plain, engines=(stopped,)), "engine").fix == "sudo systemctl start docker"


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        (
            {"group": "docker", "is_member": True},
            "# log in again: you were added to the group docker after this login",
        ),
        ({"group": None, "owner": "root"}, "ls -l /run/podman/podman.sock  # only its owner may open it"),
        ({"group": None, "named_by": "CONTAINER_HOST"}, "unset CONTAINER_HOST"),
    ],
)
def test_a_socket_that_refuses_comes_with_what_opens_it(plain: HostFacts, changes: dict[str, Any], fix: str) -> None:
    refusal = msgspec.structs.replace(Refusal("podman", "/run/podman/podman.sock"), **changes)
    refused = EngineFacts(name="podman", error="permission denied on /run/podman/podman.sock", refusal=refusal)
    found = the(changed(plain, engines=(refused,)), "engine")
    assert (found.status, found.fix) == ("problem", fix)


def test_rootless_podman_on_runc_cannot_hand_on_groups(fedora: HostFacts) -> None:
    runc = msgspec.structs.replace(ROOTLESS_PODMAN, runtime="runc")
    assert statuses(fedora, "runtime") == []
    assert 'runtime = "crun"' in the(changed(fedora, engines=(runc,)), "runtime").fix
    assert the(changed(fedora, engines=(runc,), has_crun=False), "runtime").fix.startswith("sudo dnf install -y crun && ")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, ["ok"]),
        ({"cgroup_version": "1"}, ["warning"]),
        ({"controllers": ("cpu", "pids")}, ["warning"]),
        ({"rootless": False, "cgroup_version": "1"}, []),
    ],
)
def test_memory_limits_need_a_delegated_controller(plain: HostFacts, fields: dict[str, object], status: list[str]) -> None:
    engine = msgspec.structs.replace(ROOTLESS_PODMAN, **fields)
    assert statuses(changed(plain, engines=(engine,)), "memory limits") == status


def test_what_a_login_gives_is_looked_for(plain: HostFacts) -> None:
    assert statuses(plain, "session") == ["ok"]
    assert "loginctl enable-linger" in the(changed(plain, runtime_directory=None), "runtime directory").fix
    assert the(changed(plain, tun=None), "tun").fix == "sudo modprobe tun"
    assert the(changed(plain, has_newuidmap=False), "newuidmap").fix.endswith("install -y uidmap")
    assert not of(plain, "newuidmap")


def test_a_node_that_this_user_may_not_open_is_a_problem_with_its_group(fedora: HostFacts) -> None:
    found = the(changed(fedora, kfd=CLOSED), "kfd")
    assert found.found == "/dev/kfd: group render (105), mode 0660, not open to this user"
    assert (found.status, found.fix) == ("problem", "sudo usermod -aG render $USER  # then log in again")
    assert the(fedora, "kfd").status == "ok"
    odd = msgspec.structs.replace(CLOSED, group=4242)
    assert the(changed(fedora, kfd=odd), "kfd").fix == "ls -l /dev/kfd"


def test_a_closed_node_is_no_problem_where_the_engine_runs_as_root(fedora: HostFacts) -> None:
    shut = changed(fedora, kfd=CLOSED, user=STRANGER, listed_in=(), engines=(DOCKER,))
    assert (statuses(shut, "kfd"), statuses(shut, "groups")) == (["note"], ["note"])
    both = changed(shut, engines=(ROOTLESS_PODMAN, DOCKER))  # `auto` takes Podman
    assert (statuses(both, "kfd"), statuses(both, "groups")) == (["problem"], ["problem"])


def test_missing_nodes_are_problems_that_name_the_driver(fedora: HostFacts) -> None:
    assert "which makes it, is loaded" in the(changed(fedora, kfd=None), "kfd").why
    unloaded = changed(fedora, kfd=None, render_nodes=(), amdgpu_is_loaded=False)
    assert the(unloaded, "kfd").fix == "sudo modprobe amdgpu"
    assert statuses(unloaded, "render node") == ["problem"]
    assert statuses(fedora, "render node") == ["ok"]


def test_a_gpu_without_a_driver_is_a_problem(fedora: HostFacts) -> None:
    bare = msgspec.structs.replace(fedora.pci[0], driver=None)
    assert (the(changed(fedora, pci=(bare,)), "gpu").status, the(changed(fedora, pci=(bare,)), "gpu").fix) == (
        "problem",
        "sudo modprobe amdgpu",
    )


def test_every_gpu_has_its_line(fedora: HostFacts) -> None:
    other = msgspec.structs.replace(fedora.pci[0], address="0000:03:00.0", device="0x744c")
    assert [finding.found.split(",")[0] for finding in of(changed(fedora, pci=(other, *fedora.pci)), "gpu")] == [
        "0000:03:00.0: AMD",
        "0000:c6:00.0: Strix Halo (gfx1151)",
    ]


def test_groups_that_a_user_lacks_are_named(fedora: HostFacts) -> None:
    assert the(fedora, "groups").status == "ok"
    outside = changed(fedora, user=STRANGER, listed_in=())
    assert the(outside, "groups").status == "note"  # the nodes are open all the same
    shut = changed(outside, kfd=CLOSED)
    found = the(shut, "groups")
    assert (found.status, found.fix) == ("problem", "sudo usermod -aG render,video $USER  # then log in again")
    given = the(changed(shut, listed_in=("render", "video")), "groups")
    assert "though the user is" in given.found
    assert given.fix.startswith("exec newgrp render")
    assert statuses(changed(fedora, user=User(0, "root", (0,))), "groups") == []


def test_an_nvidia_driver_that_is_not_loaded_is_a_problem(nvidia: HostFacts) -> None:
    without = changed(nvidia, nvidia=None, nvidia_driver=ABSENT)
    assert statuses(without, "nvidia driver") == ["problem"]
    assert statuses(without, "nvidia node") == ["problem"]
    assert statuses(changed(nvidia, nvidia_driver=Reading(refused="I/O error")), "nvidia driver") == ["unknown"]


def test_amds_cdi_specification_is_optional(fedora: HostFacts) -> None:
    assert not of(fedora, "amd cdi")
    assert the(changed(fedora, cdi=("amd.json",)), "amd cdi").found == "CDI specification amd.json"


def test_an_old_kernel_is_a_warning_with_the_distributions_command(fedora: HostFacts, ubuntu: HostFacts) -> None:
    old = changed(fedora, kernel="6.17.8-300.fc43.x86_64")
    assert statuses(old, "kernel") == ["warning", "ok"]
    assert of(old, "kernel")[0].fix.startswith("sudo dnf upgrade -y --refresh kernel")
    assert not of(old, "older ROCm")
    hwe = changed(ubuntu, kernel="6.17.0-14-generic", ubuntu_signature=Reading("Ubuntu 6.17.0-14.14-generic 6.17.9"))
    assert "linux-oem-24.04d" in of(hwe, "kernel")[0].fix


def test_what_the_driver_tells_outranks_the_kernels_version(fedora: HostFacts) -> None:
    patched = changed(fedora, kernel="6.12.60-1.lts", kfd_nodes=(ComputeNodeRecord(target="gfx1151", cwsr_bytes=19185664),))
    assert of(patched, "kernel")[0].status == "ok"
    assert "tells the size of its save area" in of(patched, "kernel")[0].found
    assert the(patched, "older ROCm").status == "note"


def test_a_kernel_without_a_version_is_unknown(fedora: HostFacts) -> None:
    assert statuses(changed(fedora, kernel="mine"), "kernel") == ["unknown"]


def with_mes(facts: HostFacts, text: str) -> HostFacts:
    return changed(facts, cards=(Card(address="0000:c6:00.0", device="0x1586", mes=Reading(text)),))


def test_loaded_firmware_counts_before_installed(fedora: HostFacts) -> None:
    bad = the(with_mes(fedora, "0x00000083\n"), "loaded firmware")
    assert (bad.status, bad.found) == ("problem", "MES 0x83 is loaded: known to hang gfx1151 with every ROCm")
    good = with_mes(fedora, "0x00000080\n")
    assert the(good, "loaded firmware").status == "ok"
    assert the(good, "installed firmware").status == "warning"
    assert "next initramfs" in the(good, "installed firmware").why
    assert the(with_mes(fedora, "0x00000090\n"), "loaded firmware").status == "note"
    assert the(with_mes(fedora, "0x00000000\n"), "loaded firmware").status == "unknown"


def test_the_debug_table_is_read_where_the_driver_has_no_file(fedora: HostFacts) -> None:
    table = "MES_KIQ feature version: 6, firmware version: 0x0000006f\nMES feature version: 1, firmware version: 0x00000083\n"
    assert the(changed(fedora, debug_firmware=Reading(table)), "loaded firmware").status == "problem"
    refused = the(changed(fedora, debug_firmware=Reading(refused="Permission denied")), "loaded firmware")
    assert (refused.status, "Permission denied" in refused.found) == ("unknown", True)


@pytest.mark.parametrize(
    ("packages", "status"),
    [
        ({"amd-gpu-firmware": "20260110-1.fc43"}, "ok"),
        ({"amd-gpu-firmware": "20251111-1.fc43"}, "ok"),
        ({"amd-gpu-firmware": "20251201-1.fc43"}, "note"),
        ({"linux-firmware-amdgpu": "20251125-2"}, "problem"),
        ({}, "unknown"),
        ({"linux-firmware": "20260110-1", "amdgpu-dkms-firmware": "30.10-1"}, "warning"),
    ],
)
def test_installed_firmware_has_a_verdict(fedora: HostFacts, packages: dict[str, str], status: str) -> None:
    assert statuses(changed(fedora, packages=packages), "installed firmware") == [status]


def test_a_module_from_outside_the_kernel_and_deprecated_parameters_are_named(fedora: HostFacts) -> None:
    assert the(changed(fedora, amdgpu_version=Reading("6.16.6\n")), "amdgpu").status == "warning"
    gtt = changed(fedora, command_line=Reading("ro amdgpu.gttsize=131072 quiet\n"))
    assert the(gtt, "gttsize").fix == "sudo grubby --update-kernel=ALL --remove-args=amdgpu.gttsize=131072"
    hostile = changed(fedora, command_line=Reading("ro amdgpu.gttsize=1;reboot\n"))
    assert the(hostile, "gttsize").fix.endswith("--remove-args=amdgpu.gttsize")
    assert not of(fedora, "gttsize")
    off = changed(fedora, cwsr_enable=Reading("0\n"))
    assert the(off, "cwsr_enable").status == "note"
    assert not of(fedora, "cwsr_enable")


def test_a_small_gtt_is_noted_with_the_parameter_that_is_not_deprecated(fedora: HostFacts) -> None:
    assert the(fedora, "gtt").status == "ok"
    small = Card(address="0000:c6:00.0", device="0x1586", vram_bytes=1 << 29, gtt_bytes=8 << 30)
    found = the(changed(fedora, cards=(small,)), "gtt")
    assert (found.status, found.found) == ("note", "0000:c6:00.0: VRAM 0.5 GiB, GTT 8.0 GiB of 125.0 GiB of memory")
    assert found.fix == "sudo grubby --update-kernel=ALL --args=ttm.pages_limit=24576000"
    assert "gttsize" not in found.fix
    unread = Card(address="0000:c6:00.0", device="0x1586")
    assert statuses(changed(fedora, cards=(unread,)), "gtt") == ["unknown"]


@pytest.mark.parametrize(
    ("enforce", "wide", "narrow", "status"),
    [
        ("1", "0 0", "0 0", "warning"),
        ("1", "1 1", "0 0", "ok"),
        ("1", "0 0", "1 1", "note"),
        ("1", None, "0 0", "warning"),
        ("1", None, None, "unknown"),
        ("0", "0 0", "0 0", "ok"),
    ],
)
def test_selinux_is_judged_by_mode_and_booleans(
    fedora: HostFacts, enforce: str, wide: str | None, narrow: str | None, status: str
) -> None:
    booleans = {"container_use_devices": Reading(wide), "container_use_dri_devices": Reading(narrow)}
    facts = changed(fedora, selinux_enforce=Reading(enforce), selinux_booleans=booleans)
    assert statuses(facts, "selinux") == [status]


@pytest.mark.parametrize(
    ("line", "types", "units", "status"),
    [
        ("ro quiet", ("DMA-FQ",), ("ivhd0",), "note"),
        ("ro iommu=pt", ("identity",), ("ivhd0",), "ok"),
        ("ro amd_iommu=off", (), (), "note"),
        ("ro", (), (), "note"),
        ("ro", (), ("ivhd0",), "ok"),
    ],
)
def test_the_iommu_is_described_and_never_advised_against(
    fedora: HostFacts, line: str, types: tuple[str, ...], units: tuple[str, ...], status: str
) -> None:
    found = the(changed(fedora, command_line=Reading(line), iommu_types=types, iommu_units=units), "iommu")
    assert (found.status, found.fix) == (status, "")


def test_an_iommu_argument_that_means_nothing_is_a_warning(fedora: HostFacts) -> None:
    found = the(changed(fedora, command_line=Reading("ro amd_iommu=pt")), "iommu argument")
    assert (found.status, found.fix) == ("warning", "sudo grubby --update-kernel=ALL --remove-args=amd_iommu=pt")
    assert not of(fedora, "iommu argument")


def test_profiles_that_hold_clocks_down_are_warnings(fedora: HostFacts) -> None:
    assert the(fedora, "tuned").status == "ok"
    assert the(fedora, "performance level").status == "ok"
    low = Card(address="0000:c6:00.0", device="0x1586", performance_level=Reading("low\n"))
    slow = changed(fedora, tuned=Reading("powersave\n"), platform_profile=Reading("quiet\n"), cards=(low,))
    for check in ("tuned", "platform profile", "performance level"):
        assert statuses(slow, check) == ["warning"]
        assert the(slow, check).fix
    assert statuses(changed(fedora, platform_profile=Reading("performance\n")), "platform profile") == ["ok"]


@pytest.mark.parametrize(
    ("what", "free_gib", "status"),
    [
        ("cache", 1, "warning"),
        ("cache", 0, "problem"),
        ("results", 1, "ok"),
        ("results", 0, "problem"),
    ],
)
def test_room_on_a_disk_is_held_against_what_is_kept_there(fedora: HostFacts, what: str, free_gib: int, status: str) -> None:
    disk = Disk(what=what, path="/somewhere", free_bytes=free_gib << 30)
    found = the(changed(fedora, disks=(disk,)), what)
    assert found.status == status
    assert bool(found.fix) == (status != "ok")


@pytest.mark.parametrize("what", ["results", "cache"])
def test_a_folder_that_cannot_be_written_is_a_problem(plain: HostFacts, what: str) -> None:
    disk = Disk(what=what, path="/somewhere", free_bytes=100 << 30, writable=False)
    found = the(changed(plain, disks=(disk,)), what)
    assert (found.status, found.fix) == ("problem", f"export STRIXBENCH_{what.upper()}=~/strixbench-{what}")


def test_a_disk_that_does_not_answer_is_unknown(plain: HostFacts) -> None:
    assert statuses(changed(plain, disks=(Disk(what="cache", path="/nfs", free_bytes=None),)), "cache") == ["unknown"]


def test_doctor_knows_whether_there_is_a_token_and_not_which(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", NO_GPU)
    facts = facts_of(root, environment={"HF_TOKEN": "hf_never_shown"})
    assert facts.token == "variable"
    assert the(facts, "token").found == "a Hugging Face token is configured in a variable"
    file = places.hub_cache().parent / "token"
    file.parent.mkdir(parents=True)
    file.write_text("hf_never_shown")
    facts = facts_of(root)
    assert facts.token == "file"
    assert b"hf_never_shown" not in msgspec.json.encode((facts, examine(facts)))
    file.write_text("")
    assert facts_of(root).token is None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("hf_never_shown")
    assert facts_of(root, environment={"HF_TOKEN_PATH": str(elsewhere)}).token == "file"


def test_gated_repositories_that_are_not_in_the_cache_are_named(plain: HostFacts) -> None:
    found = the(plain, "community-1")
    assert (found.status, found.fix) == ("note", "strixbench models fetch community-1")
    cached = changed(plain, cached=("pyannote/speaker-diarization-community-1",))
    assert the(cached, "community-1").status == "ok"
    assert "pyannote/segmentation-3.0" in the(cached, "3.1").found


def test_a_repository_counts_as_cached_once_it_has_a_snapshot(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", NO_GPU)
    folder = places.hub_cache() / "models--a--gated"
    folder.mkdir(parents=True)
    assert facts_of(root).cached == ()
    (folder / "snapshots" / "0123abc").mkdir(parents=True)
    assert facts_of(root).cached == ("a/gated",)


def test_embedded_models_that_are_not_fetched_are_noted(plain: HostFacts) -> None:
    assert the(plain, "embedded").fix == "strixbench models fetch embedded"
    assert the(changed(plain, embedded_missing=()), "embedded").status == "ok"


def test_images_are_grouped_by_what_they_lack(plain: HostFacts) -> None:
    lack = ("no /dev/kfd",)
    images = (
        ImageFacts(name="cpu", family="cpu"),
        ImageFacts(name="rocm62", family="rocm", obstacles=lack),
        ImageFacts(name="rocm72", family="rocm", obstacles=lack, todo=("TODO digest: base is not pinned by digest",)),
    )
    facts = changed(plain, images=images)
    assert [finding.found for finding in of(facts, "here")] == [
        "cpu: can run here",
        "rocm62, rocm72: cannot run here: no /dev/kfd",
    ]
    assert [finding.found for finding in of(facts, "catalog")] == ["rocm72: TODO digest: base is not pinned by digest"]


def test_no_image_but_a_local_one_runs_where_no_engine_answers(plain: HostFacts) -> None:
    images = (ImageFacts(name="local-cpu", family="cpu", needs_engine=False), ImageFacts(name="cpu", family="cpu"))
    silent = changed(plain, images=images, engines=(EngineFacts(name="podman", error="`podman info` failed"),))
    assert [finding.found for finding in of(silent, "here")] == [
        "local-cpu: can run here",
        "cpu: cannot run here: no engine answers",
    ]
    assert [finding.found for finding in of(changed(plain, images=images), "here")] == ["local-cpu, cpu: can run here"]
