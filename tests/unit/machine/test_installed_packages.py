from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import HostError
from harness.machine.installed_packages import dpkg_versions, installed_versions


class Rpm:
    """An rpm that prints a text, or does not answer."""

    def __init__(self, *lines: str, error: str = "") -> None:
        self.answer = "\n".join(lines)
        self.error = error
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, query: tuple[str, ...]) -> str:
        self.asked.append(query)
        if self.error:
            raise HostError(self.error)
        return self.answer


def a_fedora(root: Path) -> Path:
    (root / "usr/lib/sysimage/rpm").mkdir(parents=True)
    return root


def test_rpm_is_asked_about_the_database_that_is_here(tmp_path: Path) -> None:
    rpm = Rpm("amd-gpu-firmware 20260110-1.fc43", "package pve-firmware is not installed", "linux-firmware 20260110~rc1-1.fc43")
    assert installed_versions(a_fedora(tmp_path), ask=rpm) == {
        "amd-gpu-firmware": "20260110-1.fc43",
        "linux-firmware": "20260110~rc1-1.fc43",
    }
    ((program, *words),) = rpm.asked
    assert program == "rpm"
    assert {"linux-firmware", str(tmp_path / "usr/lib/sysimage/rpm")} < set(words)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "error: cannot open Packages database in /var/lib/rpm",
        "bash 5.3.0-2.fc43",
        "linux-firmware",
        "linux-firmware 1 2",
        "linux-firmware \x1b[2J",
        f"linux-firmware {'1' * 300}",
    ],
)
def test_what_rpm_should_not_say_is_no_package(tmp_path: Path, line: str) -> None:
    assert installed_versions(a_fedora(tmp_path), ask=Rpm(line)) == {}


def test_an_rpm_that_is_missing_or_hangs_leaves_the_packages_unknown(tmp_path: Path) -> None:
    assert installed_versions(a_fedora(tmp_path)) is None, "a unit test finds no program"
    assert installed_versions(tmp_path, ask=Rpm(error="`rpm` did not end within 3 s and was killed")) is None


def test_a_machine_without_a_package_database_is_not_asked(tmp_path: Path) -> None:
    rpm = Rpm("linux-firmware 1-1")
    assert installed_versions(tmp_path, ask=rpm) is None
    assert rpm.asked == []


def test_dpkg_and_pacman_are_read_from_their_files(tmp_path: Path) -> None:
    rpm = Rpm(error="nobody asks rpm where another package manager is")
    (tmp_path / "arch/var/lib/pacman/local/linux-firmware-20260110-2").mkdir(parents=True)
    assert installed_versions(tmp_path / "arch", ask=rpm) == {"linux-firmware": "20260110-2"}
    (tmp_path / "debian/var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "debian/var/lib/dpkg/status").write_text("Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n")
    assert installed_versions(a_fedora(tmp_path / "debian"), ("bash",), ask=rpm) == {"bash": "5.2"}


def test_a_package_at_the_end_of_dpkgs_file_is_found() -> None:
    assert dpkg_versions("Package: linux-firmware\nStatus: install ok installed\nVersion: 2024") == {"linux-firmware": "2024"}
    assert dpkg_versions("Package: linux-firmware-extra\nStatus: install ok installed\nVersion: 2024\n") == {}


def test_a_dpkg_that_knows_none_of_the_packages_does_not_hide_rpm(tmp_path: Path) -> None:
    (a_fedora(tmp_path) / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text("Package: hello\nStatus: install ok installed\nVersion: 2.10\n\n")
    names = ("container-selinux",)
    assert installed_versions(tmp_path, names, ask=Rpm("container-selinux 2.240.0-1.fc43")) == {
        "container-selinux": "2.240.0-1.fc43"
    }
