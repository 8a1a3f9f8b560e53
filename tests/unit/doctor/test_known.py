"""Kernels and firmware by version: names of kernels as distributions write them."""

from __future__ import annotations

import pytest

from harness.doctor.known import Kernel, judge_kernel, judge_mes, judge_package, known_hosts, parse_kernel


@pytest.mark.parametrize(
    ("release", "signature", "kernel"),
    [
        ("6.18.5-200.fc43.x86_64", None, Kernel((6, 18, 5))),
        ("7.1.3-100.fc43", None, Kernel((7, 1, 3))),
        ("6.14.0-1018-oem", None, Kernel((6, 14, 0), 1018, "oem", guessed=True)),
        ("6.14.0-1018-oem", "Ubuntu 6.14.0-1018.18-oem 6.14.11\n", Kernel((6, 14, 11), 1018, "oem")),
        ("6.17.0-14-generic", None, Kernel((6, 17, 0), 14, "generic", guessed=True)),
        ("6.17.0-20-generic", "Ubuntu 6.17.0-20.20-generic 6.17.13", Kernel((6, 17, 13), 20, "generic")),
        ("6.18.44-fc-v657", None, Kernel((6, 18, 44))),
        ("6.1.0-37-amd64", None, Kernel((6, 1, 0))),
        ("6.12.48+deb13-amd64", None, Kernel((6, 12, 48))),
        ("6.17.13-2-pve", None, Kernel((6, 17, 13))),
        ("7.0.14-8-pve", None, Kernel((7, 0, 14))),
        ("6.17.9-2-cachyos", None, Kernel((6, 17, 9))),
        ("6.17.8-1-default", None, Kernel((6, 17, 8))),
        ("6.17.0-1-default", None, Kernel((6, 17, 0))),
        ("6.18.3-x64v3-xanmod1", None, Kernel((6, 18, 3))),
        ("6.17.12-2-liquorix-amd64", None, Kernel((6, 17, 12))),
        ("6.17.9-zen1-1-zen", None, Kernel((6, 17, 9))),
        ("6.17.9-76061709-generic", None, Kernel((6, 17, 9))),
        ("6.17.8-061708-generic", None, Kernel((6, 17, 8))),
        ("7.0.0-070000-generic", None, Kernel((7, 0, 0))),
        ("7.0.0-30-generic", "Ubuntu 7.0.0-30.30-generic 7.0.6\n", Kernel((7, 0, 6), 30, "generic")),
        ("6.17.0-1012-nvidia-64k", None, Kernel((6, 17, 0), 1012, "nvidia-64k", guessed=True)),
        ("6.18.0-rc6", None, Kernel((6, 18, -1))),
        ("6.18-rc6+", None, Kernel((6, 18, -1))),
        ("6.17.8-200.nobara.fc43.x86_64", None, Kernel((6, 17, 8))),
        ("6.16.9-arch1-1", None, Kernel((6, 16, 9))),
    ],
)
def test_a_kernels_name_is_read(release: str, signature: str | None, kernel: Kernel) -> None:
    assert parse_kernel(release, signature) == kernel


@pytest.mark.parametrize("release", ["", "linux", "\x1b[31m", "99999.1"])
def test_what_is_no_version_is_none(release: str) -> None:
    assert parse_kernel(release) is None


@pytest.mark.parametrize(
    ("release", "signature", "row"),
    [
        ("6.18.4-100.fc43", None, "cwsr-6.18.4"),
        ("6.18.3-100.fc43", None, "cwsr-old"),
        ("6.18.10-100.fc43", None, "cwsr-6.18.4"),
        ("6.18.0-rc6", None, "cwsr-old"),
        ("6.19.0-1.fc44", None, "cwsr-6.18.4"),
        ("7.0.0-1.fc44", None, "cwsr-6.18.4"),
        ("6.17.9-300.fc43", None, "cwsr-6.17.9"),
        ("6.17.13-2-pve", None, "cwsr-6.17.9"),
        ("6.17.9-2-cachyos", None, "cwsr-6.17.9"),
        ("6.17.8-1-default", None, "cwsr-old"),
        ("6.17.2-1-pve", None, "cwsr-old"),
        ("6.17.0-1012-oem", "Ubuntu 6.17.0-1012.12-oem 6.17.9\n", "cwsr-6.17.9"),
        ("6.17.8-300.fc43", None, "cwsr-old"),
        ("6.17.0-14-generic", "Ubuntu 6.17.0-14.14-generic 6.17.9", "cwsr-generic-6.17"),
        ("6.17.0-20-generic", None, "cwsr-6.17-guessed"),
        ("6.17.0-20-generic", "Ubuntu 6.17.0-20.20-generic 6.17.13", "cwsr-6.17.9"),
        ("6.14.0-1018-oem", None, "cwsr-oem-6.14"),
        ("6.14.0-1017-oem", None, "cwsr-oem-6.14-old"),
        ("6.14.0-37-generic", None, "cwsr-old"),
        ("5.15.0-91-generic", None, "cwsr-old"),
    ],
)
def test_the_save_area_is_judged_by_version(release: str, signature: str | None, row: str) -> None:
    kernel = parse_kernel(release, signature)
    assert kernel is not None
    found = judge_kernel(kernel, "save area")
    assert found is not None
    assert found.id == row


@pytest.mark.parametrize(
    ("release", "row"),
    [
        ("6.16.9-200.fc42", "memory-6.16.9"),
        ("6.16.8-200.fc42", "memory-old"),
        ("6.17.0-14-generic", "memory-6.16.9"),
        ("6.14.0-1018-oem", "memory-oem"),
    ],
)
def test_visible_memory_is_judged_by_version(release: str, row: str) -> None:
    kernel = parse_kernel(release)
    assert kernel is not None
    found = judge_kernel(kernel, "memory")
    assert found is not None
    assert found.id == row


def test_every_row_of_the_table_can_speak() -> None:
    """A row that an earlier one of its topic hides is an error of the table."""
    releases = [
        *("6.18.4", "6.18.3", "6.17.9", "6.16.9", "6.16.8", "6.14.0-1018-oem", "6.14.0-1017-oem", "6.17.0-14-generic"),
        "6.17.0-20-generic",
    ]
    kernels = [kernel for kernel in map(parse_kernel, releases) if kernel is not None]
    speaking = {row.id for kernel in kernels for topic in ("save area", "memory") if (row := judge_kernel(kernel, topic))}
    assert speaking == {row.id for row in known_hosts().kernel}


def test_every_row_has_a_source_and_what_is_bad_a_way_out() -> None:
    table = known_hosts()
    assert all(row.source.startswith("https://") for row in (*table.kernel, *table.firmware, *table.package))
    assert all(row.why and (row.fix or row.wants_newer) for row in table.kernel if row.status in ("warning", "problem"))


@pytest.mark.parametrize(("mes", "status"), [(0x83, "problem"), (0x80, "ok"), (0x86, "ok"), (0x88, "note")])
def test_loaded_firmware_is_judged(mes: int, status: str) -> None:
    row = judge_mes(mes)
    assert row is not None
    assert row.status == status


@pytest.mark.parametrize(
    ("version", "status"),
    [
        ("20251125-1.fc43", "problem"),
        ("20251111-1.fc43", "ok"),
        ("20260110-1.fc43", "ok"),
        ("1:20260519-1", "ok"),
        ("20260110.git1-1", "ok"),
    ],
)
def test_installed_firmware_is_judged_by_its_date(version: str, status: str) -> None:
    row = judge_package(version)
    assert row is not None
    assert row.status == status


def test_ubuntu_s_dates_are_judged_by_rows_of_their_own() -> None:
    with_the_cure = judge_package("20260319.git217ca6e4-0ubuntu1", "ubuntu")
    assert with_the_cure is not None
    assert "MES 0x86" in with_the_cure.says
    assert judge_package("20251125.git1234567-0ubuntu1", "ubuntu") is None
    assert judge_package("20260410-1", "debian") is None
    upstream = judge_package("20260410-1.fc44")
    assert upstream is not None
    assert "MES 0x86" in upstream.says


@pytest.mark.parametrize("version", ["20251201-1.fc43", "20240909-1", "unknown", "", "202511250-1"])
def test_nothing_is_known_about_other_firmware(version: str) -> None:
    assert judge_package(version) is None
    assert judge_mes(0x7E) is None
