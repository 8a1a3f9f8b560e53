"""One build through an engine's API: what it is asked for, and what it prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import IO, Any

from harness.engines.base import RECIPE_LABEL, Recipe
from harness.engines.build_context import build_context
from harness.engines.discovery import EngineName
from harness.engines.silence import CONNECTION_ERRORS, SILENCE_VARIABLE, is_silence, limit_text
from harness.errors import EngineError
from harness.text import Say

_AGAIN = "Run the same command again: steps that were finished are kept"


class _BrokenConnection(Exception):  # noqa: N818 - never leaves this module
    """The connection to the engine failed, not the code that reads from it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def build_image(
    api: Any, recipe: Recipe, stream: IO[str], *, engine: EngineName, silence_seconds: float, say: Say
) -> str | None:
    """Build an image whose base is here, and write what the engine prints; returns why the build failed, ``None``: it did not.

    ``api`` is the SDK's. Raises `EngineError` where the connection to the engine fails.
    """
    failure: str | None = None
    last = "its start"
    with build_context(recipe) as context:
        try:
            for line in _lines(api, recipe, context, silence_seconds):
                if not isinstance(line, dict):
                    continue
                text = str(line.get("stream") or line.get("status") or line.get("error") or "")
                stream.write(text if text.endswith("\n") else f"{text}\n")
                stream.flush()
                if text.strip():
                    last = text.strip().splitlines()[-1]
                    say(last)
                failure = failure or line.get("error")
        except _BrokenConnection as error:
            at = f"at `{last[:200]}`"
            if is_silence(error.cause):
                why = (
                    f"the build of {recipe.tag} printed nothing for {limit_text(silence_seconds)} and was given up, {at}. "
                    f"If a slow connection needs longer for a wheel, set {SILENCE_VARIABLE} to more seconds. {_AGAIN}"
                )
            else:
                why = f"{engine} stopped answering during the build of {recipe.tag}, {at}: {error.cause}. {_AGAIN}"
            stream.write(f"{why}\n")
            raise EngineError(why) from error.cause
    return failure


def _lines(api: Any, recipe: Recipe, context: IO[bytes], silence_seconds: float) -> Iterator[Any]:
    """What a build prints, decoded. A build that is refused ends with a line that has an error. Raises `_BrokenConnection`."""
    from docker import errors

    try:
        yield from api.build(
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
            timeout=math.ceil(silence_seconds),
        )
    except errors.APIError as error:
        yield {"error": str(error.explanation)}
    except (errors.DockerException, errors.StreamParseError, *CONNECTION_ERRORS) as error:
        raise _BrokenConnection(error) from error
