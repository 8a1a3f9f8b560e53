"""Docker and Podman as an engine: their images and containers, asked for on one connection."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import docker.errors
from docker.utils import version_gte

from harness.engines.about import LIBPOD_INFO, docker_storage, podman_storage
from harness.engines.base import (
    IMAGE_LABEL,
    OVERLAY_LABEL,
    PORTABLE_LABEL,
    RECIPE_LABEL,
    STAGE_LABEL,
    BuiltImage,
    GiveUp,
    Recipe,
    Run,
    Storage,
    StoredImage,
    never,
)
from harness.engines.connection import CALL_TIMEOUT_SECONDS, Connection, patiently
from harness.engines.container_build import build_image
from harness.engines.container_runs import labelled_containers, remove_container, run_container, with_remark
from harness.engines.discovery import EngineName, Found
from harness.engines.fetch_base import fetch_base, fetch_locks, is_fetched
from harness.engines.kernel_journal import read_kernel_journal
from harness.engines.options import container_command
from harness.errors import BuildFailed, EngineError
from harness.machine.kernel_log import KernelLog
from harness.records.outcome import ExitRecord
from harness.records.plan import EngineRecord
from harness.text import Say
from harness.tools import OWNER_LABEL, owner_is_gone, tail_of

NAMES = "localhost/strixbench/"
"""How every name that we give begins."""


class ContainerEngine:
    """See `harness.engines.base.Engine`."""

    def __init__(self, found: Found, *, connect: Callable[[Found], Connection] = Connection) -> None:
        """Connect. Raises `EngineError`, and `UsageError` where the limit of a build's silence is not a number of seconds."""
        self.connection = connect(found)

    @property
    def record(self) -> EngineRecord:
        return self.connection.record

    @property
    def kernel_log(self) -> KernelLog:
        return KernelLog(read_kernel_journal)

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        with self.connection.explained("looking for an image"):
            images = self._listed({"label": f"{RECIPE_LABEL}={recipe.hash}"})
            # By the label, which no tag that somebody moved can feign; Podman lists a build's untagged stages too.
            tagged = [image for image in images if recipe.tag in (image.get("RepoTags") or ())]
            return _built(self.connection.api.inspect_image(tagged[0]["Id"])) if tagged else None

    def find_reference(self, reference: str) -> BuiltImage | None:
        with self.connection.explained(f"looking for {reference}"):
            try:
                return _built(self.connection.api.inspect_image(reference))
            except docker.errors.NotFound:
                return None
            except docker.errors.APIError as error:
                # Podman answers 500 to a short name that several registries might have, Docker 400 to what is no name.
                if error.status_code in (400, 500):
                    return None
                raise

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            try:
                if is_fetched(recipe.base):
                    with fetch_locks[self.connection.name, recipe.base]:
                        if self.find_reference(recipe.base) is None:
                            fetch_base(self.connection, recipe, log, stream, say=say, announce=announce or say)
                failure = build_image(self.connection, recipe, stream, say=say)
            except EngineError as error:
                stream.write(f"{error}\n")
                raise
        if failure is None and (built := self.find_built(recipe)) is not None:
            return built
        raise BuildFailed(failure or "the engine reported success and has no such image", tail_of(log))

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        removed = []
        with self.connection.explained("removing old images"):
            # An image that somebody built upon ours has our label, and somebody may have given one of ours another name: only
            # names that we gave are removed.
            for image in stored_images(self._listed({"label": RECIPE_LABEL})):
                if image.recipe not in keep and image.name in names:
                    self.connection.api.remove_image(image.tag)
                    removed.append(image.tag)
        return tuple(removed)

    def remove_stages(self) -> int:
        tried: set[str] = set()
        with self.connection.explained("removing the stages of builds"):
            # A stage that is removed takes those below it along, as far as nothing else stands on them.
            while left := self.stages() - tried:
                tried |= left
                for stage in left:
                    # It may be gone along with another, or in use by a build that is at work, which then keeps it.
                    with contextlib.suppress(docker.errors.APIError):
                        self.connection.api.remove_image(stage)
            return len(tried - self.stages())

    def stages(self) -> set[str]:
        """Ids of the stages of ours that have no name and that nothing stands on."""
        return stages_in(self._listed({"label": STAGE_LABEL, "dangling": True}))

    def list_built(self) -> tuple[StoredImage, ...]:
        with self.connection.explained("listing images"):
            return stored_images(self._listed({"label": RECIPE_LABEL}))

    def storage(self) -> Storage:
        with self.connection.explained("telling where it keeps images"):
            api = self.connection.api
            if self.connection.name == "docker":
                return docker_storage(api.info())
            address = LIBPOD_INFO.format(version=self.record.version)
            answer = api.get(api.base_url + address, timeout=CALL_TIMEOUT_SECONDS)
            answer.raise_for_status()
            return podman_storage(answer.json().get("store") or {})

    def command(self, run: Run) -> tuple[str, ...]:
        return container_command(self.connection.name, run)

    def run(self, run: Run, *, timeout_seconds: float, give_up: GiveUp = never) -> ExitRecord:
        remark = self.connection.serve_with_our_groups(run)
        return with_remark(run_container(self.connection, run, timeout_seconds=timeout_seconds, give_up=give_up), remark)

    def memory_stats(self, name: str) -> Mapping[str, int]:
        with self.connection.explained("telling a container's memory"):
            api = self.connection.stats_api
            # Where the API can leave out processor time, which takes two looks a second apart.
            at_once = {"one_shot": True} if version_gte(api.api_version, "1.41") else {}
            return stats_memory(api.stats(name, stream=False, **at_once), self.connection.name)

    def sweep(self) -> int:
        swept, refusal = 0, None
        with self.connection.explained("looking for leftovers"):
            for container in labelled_containers(self.connection):
                if owner_is_gone(container["Labels"].get(OWNER_LABEL, "")):
                    try:
                        remove_container(self.connection, container["Id"])
                    except EngineError as error:  # such as a process that the kernel holds after a GPU hang
                        refusal = error
                    else:
                        swept += 1
        if refusal is not None:
            raise refusal
        return swept

    def close(self) -> None:
        self.connection.close()

    def _listed(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return patiently(lambda: self.connection.api.images(filters=filters))


def _built(image: dict[str, Any]) -> BuiltImage:
    """An image that the engine told of."""
    labels = (image.get("Config") or {}).get("Labels") or {}
    return BuiltImage(
        id=str(image["Id"]), digests=tuple(image.get("RepoDigests") or ()), portable_of=labels.get(PORTABLE_LABEL)
    )


def stored_images(listed: Iterable[Mapping[str, Any]]) -> tuple[StoredImage, ...]:
    """Our images among those that ``GET /images/json`` lists, one for each name that we gave, sorted by name.

    Left out are images that somebody built upon ours, which have our labels too, and names that somebody else gave to ours.
    """
    found = []
    for image in listed:
        labels = image.get("Labels") or {}
        recipe = str(labels.get(RECIPE_LABEL, ""))
        for tag in image.get("RepoTags") or ():
            name, _, short = str(tag).removeprefix(NAMES).rpartition(":")
            if recipe and str(tag).startswith(NAMES) and short == recipe[:12]:
                created = datetime.datetime.fromtimestamp(float(image.get("Created") or 0), datetime.UTC)
                found.append(
                    StoredImage(
                        id=str(image["Id"]),
                        image=str(labels.get(IMAGE_LABEL, name)),
                        name=name,
                        recipe=recipe,
                        tag=str(tag),
                        size_bytes=int(image.get("Size") or 0),
                        created=created.isoformat(timespec="seconds"),
                        portable_of=labels.get(PORTABLE_LABEL),
                        is_of_overlay=OVERLAY_LABEL in labels,
                    )
                )
    return tuple(sorted(found, key=lambda image: image.tag))


def stages_in(listed: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of images without a name, among listed ones with the label of our Containerfiles' stages.

    No final image has that label, so no image that somebody built upon ours has it either (seen with Podman 4.3.1 and Docker
    20.10: both keep a stage as an image, and only Podman gives it the labels of the build).
    """
    return {str(image["Id"]) for image in listed if set(image.get("RepoTags") or ()) <= {"<none>:<none>"}}


def stats_memory(found: Any, engine: EngineName) -> dict[str, int]:
    """The memory in an answer to `stats`; empty where it has none, as for a container that does not run.

    Docker's command line prints the usage less the page cache that is not in use: ``inactive_file`` with cgroup v2,
    ``total_inactive_file`` with v1 (https://docs.docker.com/reference/cli/docker/container/stats/). Podman's prints the usage.
    """
    memory = found.get("memory_stats") if isinstance(found, dict) else None
    usage = memory.get("usage") if isinstance(memory, dict) else None
    if type(usage) is not int or usage <= 0:
        return {}
    told = {"stats_usage_bytes": usage}
    parts = memory.get("stats") if isinstance(memory, dict) else None
    if engine == "docker" and isinstance(parts, dict):
        cache = parts.get("total_inactive_file", parts.get("inactive_file", 0))
        told["stats_shown_bytes"] = usage - cache if type(cache) is int and 0 <= cache <= usage else usage
    return told
