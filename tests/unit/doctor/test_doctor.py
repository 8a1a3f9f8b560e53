"""`doctor` on whole made-up hosts, and what it prints."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import pytest

from harness.doctor import CHECKS, examine
from harness.doctor.facts import Disk, HostFacts
from harness.doctor.finding import STATUSES
from harness.machine.files import ABSENT, Reading, read_file, within
from harness.machine.installed_packages import dpkg_versions, pacman_versions
from reports.terminal.findings import print_findings
from tests.unit.doctored import CLOSED, changed, of, statuses, the
from tests.unit.fixture_hosts import (
    FEDORA,
    NVIDIA,
    STRANGER,
    UBUNTU,
    a_tree,
    facts_of,
)


def test_a_strix_halo_on_fedora_with_bad_firmware_gets_its_lines(fedora: HostFacts) -> None:
    installed, loaded = the(fedora, "installed firmware"), the(fedora, "loaded firmware")
    assert installed.status == "problem"
    assert "amd-gpu-firmware 20251125-1.fc43 is installed: it carries MES 0x83" in installed.found
    assert "installed is not loaded" in installed.why
    assert "dracut --force" in installed.fix
    assert loaded.status == "unknown"
    assert loaded.fix == "sudo sh -c 'grep -w MES /sys/kernel/debug/dri/*/amdgpu_firmware_info'"
    selinux = the(fedora, "selinux")
    assert (selinux.status, selinux.fix) == ("warning", "sudo setsebool -P container_use_devices=on")
    assert the(fedora, "gpu").found.startswith("0000:c6:00.0: Strix Halo (gfx1151), 0x1002:0x1586, driver amdgpu")
    assert "names gfx1151" in the(fedora, "gpu").found
    assert statuses(fedora, "kernel") == ["ok", "ok"]
    assert the(fedora, "older ROCm").status == "note"
    assert the(fedora, "amdgpu").found == "amdgpu is the kernel's own"
    assert [finding.check for finding in examine(fedora) if finding.status == "problem"] == ["installed firmware"]


def test_ubuntus_oem_kernel_is_known_to_have_the_backport(ubuntu: HostFacts) -> None:
    save_area, memory = of(ubuntu, "kernel")
    assert (save_area.status, memory.status) == ("ok", "unknown")
    assert save_area.found.startswith("6.14.0-1018-oem: Ubuntu's OEM kernel 1018 or later")
    assert the(ubuntu, "iommu").status == "note"
    assert "DMA isolation and the NPU" in the(ubuntu, "iommu").why
    installed = the(ubuntu, "installed firmware")
    assert (installed.status, installed.found) == ("note", "linux-firmware 20240318.git3b128b60-0ubuntu2.19 is installed")
    assert the(ubuntu, "selinux").found == "SELinux is not in use"
    assert not [finding for finding in examine(ubuntu) if finding.status == "problem"]


def test_an_nvidia_box_without_a_cdi_specification_gets_the_command(nvidia: HostFacts) -> None:
    assert the(nvidia, "nvidia driver").found == "NVIDIA driver 550.54.14"
    assert the(nvidia, "nvidia node").status == "ok"
    cdi = the(nvidia, "nvidia cdi")
    assert (cdi.status, cdi.fix) == ("problem", "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml")
    with_it = changed(nvidia, cdi=("nvidia.yaml",))
    assert the(with_it, "nvidia cdi").status == "ok"
    assert not of(nvidia, "kfd")
    assert not of(nvidia, "groups")


def test_a_box_without_a_gpu_has_notes_and_no_problem(plain: HostFacts) -> None:
    assert the(plain, "gpu").status == "note"
    assert the(plain, "kernel").found == "6.18.44-fc-v657"
    assert {finding.status for finding in examine(plain)} <= {"ok", "note"}
    subjects = {finding.subject for finding in examine(plain)}
    assert subjects == {"engines", "rootless", "GPU", "kernel and firmware", "isolation", "disk", "models"}


def test_files_that_cannot_be_read_are_unknown_and_no_error(tmp_path: Path) -> None:
    root = a_tree(tmp_path / "host", FEDORA)
    # Neither a pipe that nobody writes to, nor a link to itself, nor a folder is a file with text; root is stopped by
    # them as anybody is.
    gpu = root / "sys/bus/pci/devices/0000:c6:00.0"
    for path in (root / "etc/subuid", gpu / "power_dpm_force_performance_level", root / "proc/cmdline"):
        path.unlink()
        os.mkfifo(path)
    for path in (root / "etc/subgid", root / "sys/fs/selinux/enforce"):
        path.unlink()
        path.symlink_to(path)
    (root / "proc/sys/kernel/osrelease").unlink()
    (root / "proc/sys/kernel/osrelease").mkdir()
    facts = facts_of(root)
    for check in ("subuid", "subgid", "selinux", "iommu", "performance level", "kernel"):
        assert statuses(facts, check) == ["unknown"], check
    assert "not a plain file" in the(facts, "subuid").found


@pytest.mark.parametrize("text", ["", "\0", "\u00b2 \u0663\n", "9" * 5000, "a:b:c:d\n=\n:\n", "\n\n", "-1 kB", "MemTotal: x\n"])
def test_files_with_nonsense_in_them_are_no_error(tmp_path: Path, text: str) -> None:
    kept = ("vendor", "class", "device")
    files = {name: content if name.endswith(kept) else text for name, content in {**FEDORA, **UBUNTU, **NVIDIA}.items()}
    facts = facts_of(a_tree(tmp_path / "host", files))
    assert the(facts, "kernel").status == "unknown"
    print_findings(examine(facts))


def test_an_empty_tree_is_described_without_an_error(tmp_path: Path) -> None:
    facts = facts_of(a_tree(tmp_path, {}), engines=())
    assert the(facts, "engine").status == "problem"
    assert {finding.status for finding in examine(facts)} <= set(STATUSES)


def test_a_call_that_takes_too_long_is_abandoned() -> None:
    never = threading.Event()
    try:
        assert within(0.01, never.wait) is None
    finally:
        never.set()
    assert within(5, lambda: 7) == 7
    with pytest.raises(OSError, match="gone"):
        within(5, lambda: (_ for _ in ()).throw(OSError("gone")))


def test_a_file_is_read_up_to_a_limit_and_as_text(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none") == ABSENT
    (tmp_path / "large").write_bytes(b"\xff" * 1_000_000)
    text = read_file(tmp_path / "large").text
    assert text is not None
    assert set(text) == {"\N{REPLACEMENT CHARACTER}"}
    assert len(text) < 100_000
    assert read_file(tmp_path / "large" / "below") == ABSENT


def test_packages_are_read_from_dpkg_and_pacman() -> None:
    status = (
        "Package: linux-firmware\nStatus: deinstall ok config-files\nVersion: 20240101\n\n"
        "Package: firmware-amd-graphics\nStatus: install ok installed\nPriority: optional\nVersion: 20230210-5\n\n"
    )
    assert dpkg_versions(status) == {"firmware-amd-graphics": "20230210-5"}
    assert pacman_versions(
        ["linux-firmware-amdgpu-20251125-2", "linux-firmware-20251125-2", "bash-5.3-1", "ALPM_DB_VERSION"]
    ) == {
        "linux-firmware-amdgpu": "20251125-2",
        "linux-firmware": "20251125-2",
    }


def test_signs_that_command_a_terminal_are_shown_and_not_sent(fedora: HostFacts, capsys: pytest.CaptureFixture[str]) -> None:
    print_findings(examine(changed(fedora, tuned=Reading("\x1b[2Jpower\u202esave\rx\n"))))
    printed = capsys.readouterr().out
    assert r"tuned profile \x1b[2Jpower\u202esave\rx" in printed
    assert not {"\x1b", "\r", "\u202e"} & set(printed)


def test_findings_are_printed_by_subject_and_counted(fedora: HostFacts, capsys: pytest.CaptureFixture[str]) -> None:
    print_findings(examine(fedora))
    printed = capsys.readouterr().out
    assert printed.startswith("engines\n  ok       podman 5.6.2, rootless, crun, cgroups v2\n")
    assert "\n  problem  amd-gpu-firmware 20251125-1.fc43 is installed" in printed
    assert "\n           fix: sudo setsebool -P container_use_devices=on\n" in printed
    assert printed.endswith("\n1 problem, 1 warning, 1 unknown, 6 notes\n")
    assert printed.count("\nkernel and firmware\n") == 1


def test_a_home_folder_is_shortened(plain: HostFacts) -> None:
    disk = Disk(what="cache", path=os.path.expanduser("~/.cache/strixbench"), free_bytes=100 * 10**9)
    assert the(changed(plain, disks=(disk,)), "cache").found == "cache: 100.0 GB free in ~/.cache/strixbench"
    beside = Disk(what="cache", path=os.path.expanduser("~") + "-of-another/cache", free_bytes=100 * 10**9)
    assert "~" not in the(changed(plain, disks=(beside,)), "cache").found


def test_what_is_bad_says_why_and_what_to_type(fedora: HostFacts, ubuntu: HostFacts, nvidia: HostFacts) -> None:
    worse = changed(fedora, kfd=CLOSED, user=STRANGER, tun=None, runtime_directory=None, has_newuidmap=False, listed_in=())
    found = [finding for facts in (worse, ubuntu, nvidia) for finding in examine(facts)]
    bad = [finding for finding in found if finding.status in ("problem", "warning")]
    assert len(bad) > 8
    assert all(finding.why and finding.fix for finding in bad), [finding for finding in bad if not finding.fix]


def test_every_subject_is_in_one_piece(fedora: HostFacts) -> None:
    subjects = [finding.subject for finding in examine(fedora)]
    assert len(CHECKS) >= 20
    assert [subject for subject, _ in itertools.groupby(subjects)] == list(dict.fromkeys(subjects))
