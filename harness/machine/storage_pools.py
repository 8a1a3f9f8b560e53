"""The pool that a folder takes its room from, where several file systems share one.

Each subvolume of btrfs and each data set of ZFS has its own ``st_dev``, and all of one pool share its free room. Fedora installs
``/`` and ``/home`` as two subvolumes of one btrfs.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath


def pool_of(folder: str, mounts: str) -> str | None:
    """The pool, such as ``btrfs /dev/nvme0n1p3`` or ``zfs rpool``; ``None`` on other file systems.

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
    r"""A field of mountinfo as text: the kernel writes white space and ``\`` as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
