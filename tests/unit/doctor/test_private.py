"""What is taken out of a text for a public place, and what stays."""

from __future__ import annotations

import pytest

from harness.doctor.private import Private

PRIVATE = Private(names=("jdoe", "devbox.example.org", "fedora", "x"), paths=("/mnt/My Disk/results",))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("open /home/jdoe/.config/x: denied", "open [path]: denied"),
        ("~/results and ~jdoe/x", "[path] and [path]"),
        ("in /mnt/My Disk/results/launches", "in [path]"),
        ("/run/user/1000/podman/podman.sock", "[path]"),
        ("user jdoe, JDOE_2 on devbox", "user [removed], [removed]_2 on [removed]"),
        ("devbox.example.org:22", "[removed]:22"),
        ("root=UUID=5EC3E700-aaaa-4bbb-8ccc-0123456789ab", "root=UUID=[removed]"),
        ("id 0123456789abcdef0123456789abcdef", "id [removed]"),
        ("unique_id 12345678901234567890 0x0123456789abcdef", "unique_id [removed] [removed]"),
        ("52:54:00:12:34:56 and 52-54-00-ab-cd-ef", "[removed] and [removed]"),
        ("tcp 192.168.7.23:2375", "tcp [removed]:2375"),
        ("ip=192.168.7.23. Then", "ip=[removed]. Then"),
        ("fe80::fc:ff:fe00:1, 2001:db8:0:0:1:0:0:1 and ::1", "[removed], [removed] and [removed]"),
        ("mail a.b@example.org", "mail [removed]"),
        ("hf_abcdefghijkl ghp_0123456789", "[removed] [removed]"),
        ("tcp://10.0.0.1:2375/x postgresql://me:pw@db/x", "[removed] [removed]"),
        ("two\nlines\t\x1b[31m `x`", "two lines [31m 'x'"),
    ],
)
def test_what_is_private_is_removed(text: str, left: str) -> None:
    assert PRIVATE.without(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "Fedora Linux 43 (Server Edition)",
        "permission denied on /var/run/docker.sock",
        "/dev/kfd, /dev/dri/renderD128 and /sys/kernel/debug/dri/0000:c1:00.0/amdgpu_firmware_info",
        "0x1002:0x1586 at 0000:c6:00.0",
        "6.17.7-ba22.fc43.x86_64 #1 SMP PREEMPT_DYNAMIC Mon Jan 12 10:00:00 UTC 2026",
        "2.11.0.3+rocm10.1.0 and 1:20260519-1",
        "mes=0x00000080 rlc=0x11530506 srcversion 0A1B2C",
        "gttsize 137438953472 ttm.pages_limit=33554432",
        "std::bad_alloc",
        "https://github.com/ROCm/legacy-rocm-build/issues/5724",
        "quiet init=[removed] amd_iommu=on n/a 1/2",
    ],
)
def test_what_matters_is_kept(text: str) -> None:
    assert PRIVATE.without(text) == text


def test_a_name_that_is_a_word_of_the_hardware_stays() -> None:
    private = Private(names=("max", "ryzen-box"), familiar=("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S",))
    assert private.without("AMD RYZEN AI MAX+ 395 on ryzen-box") == "AMD RYZEN AI MAX+ 395 on [removed]"
