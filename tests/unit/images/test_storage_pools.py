from __future__ import annotations

import pytest

from harness.images.disk_space import pool_of

FEDORA = """\
22 1 0:34 /root / rw,relatime shared:1 - btrfs /dev/nvme0n1p3 rw,seclabel,compress=zstd:1,subvolid=257,subvol=/root
31 22 0:34 /home /home rw,relatime shared:2 - btrfs /dev/nvme0n1p3 rw,seclabel,compress=zstd:1,subvolid=256,subvol=/home
33 22 259:2 / /boot rw,relatime shared:3 - ext4 /dev/nvme0n1p2 rw,seclabel
36 22 0:45 / /tmp rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,seclabel
40 22 8:1 / /mnt/a\\040disk rw,relatime - btrfs /dev/sda1 rw
"""
"""The form of a Fedora installation; the last line is made up."""

PROXMOX = """\
500 400 0:60 / / rw,relatime - zfs rpool/data/subvol-100-disk-0 rw,xattr,posixacl
501 500 0:61 / /srv/images rw,relatime - zfs rpool/data/subvol-100-disk-1 rw,xattr,posixacl
502 500 0:62 / /srv/tank rw,relatime - zfs tank rw,xattr,noacl
"""


@pytest.mark.parametrize(
    ("mounts", "folder", "pool"),
    [
        (FEDORA, "/home/alice/.local/share/containers/storage", "btrfs /dev/nvme0n1p3"),
        (FEDORA, "/var/tmp", "btrfs /dev/nvme0n1p3"),
        (FEDORA, "/", "btrfs /dev/nvme0n1p3"),
        (FEDORA, "/homes", "btrfs /dev/nvme0n1p3"),
        (FEDORA, "/boot/x", None),
        (FEDORA, "/tmp", None),
        (FEDORA, "/mnt/a disk/store", "btrfs /dev/sda1"),
        (PROXMOX, "/var/tmp", "zfs rpool"),
        (PROXMOX, "/srv/images/storage", "zfs rpool"),
        (PROXMOX, "/srv/tank", "zfs tank"),
        ("", "/var/tmp", None),
        ("22 1 0:34\nno mounts at all - \n", "/var/tmp", None),
    ],
)
def test_folders_of_one_pool_have_its_name(mounts: str, folder: str, pool: str | None) -> None:
    assert pool_of(folder, mounts) == pool


def test_a_mount_over_another_counts() -> None:
    covered = FEDORA + "50 22 259:7 / / rw - ext4 /dev/sdb1 rw\n"
    assert pool_of("/var/tmp", covered) is None
