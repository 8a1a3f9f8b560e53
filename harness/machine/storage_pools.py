"""The pool that a folder takes its room from, on the file systems that share one room among several.

Each subvolume of btrfs and each data set of ZFS has a ``st_dev`` of its own, and all of one pool have the same free room. Fedora
installs ``/`` and ``/home`` as two subvolumes of one btrfs.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def pool_of(folder: str, mounts: str) -> str | None:
    """Such as ``btrfs /dev/nvme0n1p3`` or ``zfs rpool``; ``None`` on other file systems.

    ``folder`` is absolute and free of links. ``mounts`` is the text of /proc/self/mountinfo (proc_pid_mountinfo(5)).
    """
    wanted = PurePosixPath(folder)
    depth, found = -1, None
    for line in mounts.splitlines():
        mount, separator, source = line.partition(" - ")
        words, kinds = mount.split(), source.split()
        if not separator or len(words) < 5 or len(kinds) < 2:
            continue
        point = PurePosixPath(_unescaped(words[4]))
        if wanted.is_relative_to(point) and len(point.parts) >= depth:  # a later mount covers an earlier one
            depth, found = len(point.parts), (kinds[0], _unescaped(kinds[1]))
    if found is None or found[0] not in ("btrfs", "zfs"):
        return None
    kind, name = found
    return f"{kind} {name.partition('/')[0] if kind == 'zfs' else name}"


def _unescaped(text: str) -> str:
    r"""The kernel writes white space and ``\`` as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
