"""A build by Docker or Podman: what the engine is sent for it, and what it prints."""

from __future__ import annotations

import contextlib
import io
import math
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO

import docker.errors

from harness.engines.base import RECIPE_LABEL, Recipe
from harness.engines.connection import REFUSALS, SILENCE_VARIABLE, Connection, is_silence, limit_text
from harness.errors import EngineError
from harness.text import Say


def build_image(connection: Connection, recipe: Recipe, stream: IO[str], *, say: Say) -> str | None:
    """Build an image whose base is here, and write what the engine prints; returns why the build failed, ``None``: it did not.

    Raises `EngineError` where the connection fails or is silent for longer than its ``silence_seconds``.
    """
    failure: str | None = None
    with _build_context(recipe) as context:
        for text, error in _printed(connection, recipe, context):
            stream.write(text if text.endswith("\n") else f"{text}\n")
            stream.flush()
            if text.strip():
                say(_last_line(text))
            failure = failure or error
    return failure


@contextlib.contextmanager
def _build_context(recipe: Recipe) -> Iterator[IO[bytes]]:
    """The build context as a tar on disk: wheels are too large for memory."""
    # Times and owners are fixed, so that equal files are equal to the engine's layer cache.
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


def _printed(connection: Connection, recipe: Recipe, context: IO[bytes]) -> Iterator[tuple[str, str | None]]:
    """Each text that a build prints, and the error that it tells; a build that is refused ends with one."""
    last = "its start"
    try:
        for line in connection.api.build(
            fileobj=context,
            custom_context=True,
            dockerfile="Containerfile",
            tag=recipe.tag,
            buildargs=dict(recipe.arguments),
            labels={RECIPE_LABEL: recipe.hash, **recipe.labels},
            network_mode=None if recipe.network == "default" else recipe.network,
            rm=True,
            forcerm=True,
            decode=True,
            timeout=math.ceil(connection.silence_seconds),
        ):
            if isinstance(line, dict):
                text = str(line.get("stream") or line.get("status") or line.get("error") or "")
                last = _last_line(text) or last
                yield text, line.get("error")
    except docker.errors.APIError as error:
        yield str(error.explanation), str(error.explanation)
    except REFUSALS as error:
        at, again = f"at `{last[:200]}`", "Run the same command again: steps that were finished are kept"
        if is_silence(error):
            raise EngineError(
                f"the build of {recipe.tag} printed nothing for {limit_text(connection.silence_seconds)} and was given up, {at}. "
                f"If a slow connection needs longer for a wheel, set {SILENCE_VARIABLE} to more seconds. {again}"
            ) from error
        raise EngineError(
            f"{connection.name} stopped answering during the build of {recipe.tag}, {at}: {error}. {again}"
        ) from error


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
