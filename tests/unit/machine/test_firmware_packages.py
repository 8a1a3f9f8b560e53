"""Package databases, built here after their formats: none is a copy of a machine's."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import pytest

from harness.machine.firmware_packages import dpkg_versions, header_texts, packages_in_files


def a_header(name: str, version: str, release: str) -> bytes:
    """An rpm header with a number between its texts, as real ones have hundreds of other entries."""
    data = b"".join(text.encode() + b"\0" for text in (name, version, release)) + b"\0" * 7
    ends = [0, len(name) + 1, len(name) + len(version) + 2]
    entries = [(63, 7, len(data) - 4, 16), (1000, 6, ends[0], 1), (1001, 6, ends[1], 1), (1002, 6, ends[2], 1), (1003, 4, 0, 1)]
    return struct.pack(">II", len(entries), len(data)) + b"".join(struct.pack(">IIII", *entry) for entry in entries) + data


def an_rpm_database(root: Path, headers: dict[str, bytes]) -> None:
    folder = root / "usr/lib/sysimage/rpm"
    folder.mkdir(parents=True)
    connection = sqlite3.connect(folder / "rpmdb.sqlite")
    connection.execute("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.execute("CREATE TABLE 'Name' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
    for number, (name, header) in enumerate(headers.items(), 1):
        connection.execute("INSERT INTO Packages VALUES (?, ?)", (number, header))
        connection.execute("INSERT INTO Name VALUES (?, ?, 0)", (name, number))
    connection.commit()
    connection.close()


def test_fedoras_firmware_is_found_in_the_database_without_rpm(tmp_path: Path) -> None:
    headers = {name: a_header(name, "20260110", "1.fc43") for name in ("bash", "amd-gpu-firmware", "linux-firmware")}
    an_rpm_database(tmp_path, headers)
    assert packages_in_files(tmp_path) == {"amd-gpu-firmware": "20260110-1.fc43", "linux-firmware": "20260110-1.fc43"}


@pytest.mark.parametrize("header", [b"", b"\0" * 7, b"\xff" * 64, a_header("linux-firmware", "1", "1")[:-9]])
def test_a_header_that_is_damaged_tells_nothing(tmp_path: Path, header: bytes) -> None:
    assert header_texts(header) == {}
    an_rpm_database(tmp_path, {"linux-firmware": header})
    assert packages_in_files(tmp_path) == {}


def test_a_database_that_is_none_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "var/lib/rpm").mkdir(parents=True)
    (tmp_path / "var/lib/rpm/rpmdb.sqlite").write_text("garbage " * 1000)
    assert packages_in_files(tmp_path) is None
    assert packages_in_files(tmp_path / "nowhere") is None


def test_a_package_at_the_end_of_dpkgs_file_is_found() -> None:
    assert dpkg_versions("Package: linux-firmware\nStatus: install ok installed\nVersion: 2024") == {"linux-firmware": "2024"}
    assert dpkg_versions("Package: linux-firmware-extra\nStatus: install ok installed\nVersion: 2024\n") == {}
