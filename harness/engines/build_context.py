"""What an engine is sent for a build."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from typing import Any

from harness.engines.base import Recipe


@contextlib.contextmanager
def build_context(recipe: Recipe) -> Iterator[Any]:
    """The build context as a tar on disk: wheels are too large for memory. Times and owners are fixed, so that
    equal files are equal to the engine's layer cache."""
    with tempfile.TemporaryFile() as stream:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            text = recipe.containerfile.encode()
            member = tarfile.TarInfo("Containerfile")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
            folder = tarfile.TarInfo("wheels")  # also where it is empty: COPY needs it
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
            for name, path in recipe.files.items():
                member = tarfile.TarInfo(name)
                member.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(member, content)
        stream.seek(0)
        yield stream
