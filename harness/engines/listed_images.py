"""Our images among those that an engine lists."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.engines.base import IMAGE_LABEL, OVERLAY_LABEL, PORTABLE_LABEL, RECIPE_LABEL, STAGE_LABEL, StoredImage

NAMES = "localhost/strixbench/"
"""How every name that we give begins."""

STAGES: dict[str, Any] = {"label": STAGE_LABEL, "dangling": True}
"""The filters with which an engine lists the stages of our builds that nothing stands on."""


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
                found.append(
                    StoredImage(
                        id=str(image["Id"]),
                        image=str(labels.get(IMAGE_LABEL, name)),
                        name=name,
                        recipe=recipe,
                        tag=str(tag),
                        size_bytes=int(image.get("Size") or 0),
                        created=utc_text(float(image.get("Created") or 0)),
                        portable_of=labels.get(PORTABLE_LABEL),
                        is_of_overlay=OVERLAY_LABEL in labels,
                    )
                )
    return tuple(sorted(found, key=lambda image: image.tag))


def stages_in(listed: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ids of unnamed stages of our Containerfiles, among the images that are listed under `STAGES`.

    Those files give a stage a label that no final image has, so no image that somebody built upon ours has it either (seen with
    Podman 4.3.1 and Docker 20.10: both keep a stage as an image, and only Podman gives it the labels of the build).
    """
    return {str(image["Id"]) for image in listed if set(image.get("RepoTags") or ()) <= {"<none>:<none>"}}


def folder_bytes(folder: Path) -> int:
    """The disk space that the plain files below a folder take up; a file that cannot be read counts as nothing."""
    return sum(
        512 * (Path(parent) / name).lstat().st_blocks
        for parent, _, names in os.walk(folder, onerror=None)
        for name in names
        if os.path.lexists(Path(parent) / name)
    )


def utc_text(seconds: float) -> str:
    """Seconds since 1970 as a UTC time in ISO 8601."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
