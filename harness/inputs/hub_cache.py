"""The Hugging Face cache on disk: which pinned files lie in it, whole and unaltered.

The layout is huggingface_hub's (https://huggingface.co/docs/huggingface_hub/guides/manage-cache): content under
``blobs/`` by its hash, ``snapshots/COMMIT/FILE`` as links to it, ``refs/main`` the commit that a name without a revision
means. pyannote.audio 3 and 4 both ask for names without a revision, so ``refs/main`` decides what a launch loads.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from harness.errors import ModelsError
from harness.inputs.hashes import content_hash
from harness.tools import write_whole

PINS_VARIABLE = "STRIXBENCH_PINS"

Commit = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$")]
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One repository of the hub at one commit."""

    repository: str
    revision: Commit
    gated: bool
    licence: str
    files: dict[FileName, Sha256]
    """SHA-256 by name; empty: none is known."""

    @property
    def page(self) -> str:
        """Where a person accepts the conditions: on the hub itself, even where ``HF_ENDPOINT`` names a mirror."""
        return f"https://huggingface.co/{self.repository}"


def pins() -> dict[str, Pin]:
    """All pins by repository. Raises `ModelsError` where the file of ``STRIXBENCH_PINS`` cannot be used."""
    path = Path(os.environ.get(PINS_VARIABLE) or Path(__file__).parent / "models.toml")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: msgspec.convert({"repository": name, **fields}, Pin) for name, fields in table.items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, msgspec.ValidationError) as error:
        raise ModelsError(f"the model pins in {path} cannot be used: {error}") from error


def repository_folder(hub: Path, repository: str) -> Path:
    """Where the cache keeps a repository."""
    return hub / f"models--{repository.replace('/', '--')}"


def main_commit(hub: Path, repository: str) -> str | None:
    """The commit that the repository's name alone means offline; ``None``: the cache does not say."""
    try:
        text = (repository_folder(hub, repository) / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(r"[0-9a-f]{40}", text) else None


def snapshot_file(hub: Path, pin: Pin, name: str, *, commit: str | None = None) -> Path:
    """Where a file of a commit, of the pinned one by default, lies or would lie."""
    return repository_folder(hub, pin.repository) / "snapshots" / (commit or pin.revision) / name


def wrong_files(hub: Path, pin: Pin, *, commit: str | None = None) -> list[str]:
    """Names of the pin's files that are missing, or whose content is not what its name in ``blobs/`` says.

    A file that is no link into ``blobs/`` says nothing of its content: it is taken as it is, unless it is of the pinned
    commit and its SHA-256 is pinned too.
    """
    wrong = []
    for name, sha256 in pin.files.items():
        path = snapshot_file(hub, pin, name, commit=commit)
        expected = {os.path.basename(os.readlink(path))} if path.is_symlink() else set()
        if (commit or pin.revision) == pin.revision and sha256:
            expected.add(sha256)
        if not path.is_file() or any(content_hash(path, digits=len(etag)) != etag for etag in expected if is_checkable(etag)):
            wrong.append(name)
    return wrong


def is_checkable(etag: str) -> bool:
    """Whether an ETag of the hub is a hash of the content: SHA-256 of a large file, Git's blob id of a small one."""
    return bool(re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", etag))


def point_main(hub: Path, pin: Pin) -> str | None:
    """Make the repository's name alone mean the pinned commit; returns the commit that it meant before, if it was another."""
    before = main_commit(hub, pin.repository)
    if before == pin.revision:
        return None
    write_whole(repository_folder(hub, pin.repository) / "refs" / "main", pin.revision.encode())
    return before
