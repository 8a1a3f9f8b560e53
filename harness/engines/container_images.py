"""The images of Docker and Podman: built, found, listed and removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import docker.errors

from harness.engines.base import PORTABLE_LABEL, RECIPE_LABEL, BuiltImage, Recipe, Storage, StoredImage
from harness.engines.build_stream import build_image
from harness.engines.connection import CALL_TIMEOUT_SECONDS, Connection, patiently
from harness.engines.fetch_base import Fetch, fetch_locks, is_fetched
from harness.engines.listed_images import STAGES, stages_in, stored_images
from harness.engines.storage import LIBPOD_INFO, docker_storage, podman_storage
from harness.errors import BuildFailed
from harness.text import Say
from harness.tools import tail_of


class ContainerImages:
    """The images of one engine. Its public methods are those of `harness.engines.base.Engine`."""

    def __init__(self, connection: Connection, *, silence_seconds: float) -> None:
        """A fetch or a build that is silent for longer than ``silence_seconds`` is given up."""
        self._connection = connection
        self.silence_seconds = silence_seconds

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        with self._connection.explained("looking for an image"):
            images = self._listed({"label": f"{RECIPE_LABEL}={recipe.hash}"})
            # By the label, which no tag that somebody moved can feign; Podman lists a build's untagged stages too.
            tagged = [image for image in images if recipe.tag in (image.get("RepoTags") or ())]
            return _built(self._connection.api.inspect_image(tagged[0]["Id"])) if tagged else None

    def find_reference(self, reference: str) -> BuiltImage | None:
        with self._connection.explained(f"looking for {reference}"):
            try:
                return _built(self._connection.api.inspect_image(reference))
            except docker.errors.NotFound:
                return None
            except docker.errors.APIError as error:
                # Podman answers 500 to a short name that several registries might have, Docker 400 to what is no name.
                if error.status_code in (400, 500):
                    return None
                raise

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        engine, silence = self._connection.name, self.silence_seconds
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            if is_fetched(recipe.base):
                fetch = Fetch(recipe, engine=engine, silence_seconds=silence, say=say, announce=announce or say)
                with fetch_locks[engine, recipe.base]:
                    if self.find_reference(recipe.base) is None:
                        fetch.run(self._connection.api, log, stream)
            failure = build_image(self._connection.api, recipe, stream, engine=engine, silence_seconds=silence, say=say)
        if failure is None and (built := self.find_built(recipe)) is not None:
            return built
        raise BuildFailed(failure or "the engine reported success and has no such image", tail_of(log))

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        removed = []
        with self._connection.explained("removing old images"):
            for image in self._listed({"label": RECIPE_LABEL}):
                recipe = image["Labels"][RECIPE_LABEL]
                # An image that somebody built upon ours has our label, and somebody may have given one of ours another name:
                # only names that we gave are removed.
                ours = {f"localhost/strixbench/{name}:{recipe[:12]}" for name in names}
                for tag in image.get("RepoTags") or ():
                    if recipe not in keep and tag in ours:
                        self._connection.api.remove_image(tag)
                        removed.append(str(tag))
        return tuple(removed)

    def remove_stages(self) -> int:
        tried: set[str] = set()
        with self._connection.explained("removing the stages of builds"):
            # A stage that is removed takes those below it along, as far as nothing else stands on them.
            while left := self.stages() - tried:
                tried |= left
                for stage in left:
                    # It may be gone along with another, or in use by a build that is at work, which then keeps it.
                    with contextlib.suppress(docker.errors.APIError):
                        self._connection.api.remove_image(stage)
            return len(tried - self.stages())

    def stages(self) -> set[str]:
        """Ids of the stages of ours that have no name."""
        return stages_in(self._listed(STAGES))

    def list_built(self) -> tuple[StoredImage, ...]:
        with self._connection.explained("listing images"):
            return stored_images(self._listed({"label": RECIPE_LABEL}))

    def storage(self) -> Storage:
        with self._connection.explained("telling where it keeps images"):
            api = self._connection.api
            if self._connection.name == "docker":
                return docker_storage(api.info())
            address = LIBPOD_INFO.format(version=self._connection.record.version)
            answer = api.get(api.base_url + address, timeout=CALL_TIMEOUT_SECONDS)
            answer.raise_for_status()
            return podman_storage(answer.json().get("store") or {})

    def _listed(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return patiently(lambda: self._connection.api.images(filters=filters))


def _built(image: dict[str, Any]) -> BuiltImage:
    """An image that the engine told of."""
    labels = (image.get("Config") or {}).get("Labels") or {}
    return BuiltImage(
        id=str(image["Id"]), digests=tuple(image.get("RepoDigests") or ()), portable_of=labels.get(PORTABLE_LABEL)
    )
