"""Hashes of files' content, each read once a command as long as its file does not change."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


def content_hash(path: Path, *, digits: int = 64) -> str | None:
    """A file's SHA-256, or with 40 digits Git's blob id; ``None`` where there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return _hash_of_version(path.resolve(), digits, status.st_mtime_ns, status.st_size)


@cache
def _hash_of_version(path: Path, digits: int, modified_ns: int, size: int) -> str:
    """The hash of one version of a file: reading the weights takes a tenth of a second."""
    with path.open("rb") as stream:
        if digits == 64:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        begun = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        return hashlib.file_digest(stream, lambda: begun).hexdigest()
