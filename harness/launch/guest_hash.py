"""The hash of our own guest, which runs inside every image: a change of it is never to be taken for one of the machine."""

from __future__ import annotations

import hashlib
from functools import cache

from harness import places


@cache
def guest_sha256() -> str:
    """The hash over the guest's sources, each with its path, in the order of their paths."""
    digest = hashlib.sha256()
    for path in sorted(places.GUEST.rglob("*.py")):
        name, text = path.relative_to(places.GUEST).as_posix().encode(), path.read_bytes()
        digest.update(b"%d %s %d " % (len(name), name, len(text)) + text)
    return digest.hexdigest()
