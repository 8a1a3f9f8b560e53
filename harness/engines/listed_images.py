"""What engines have of ours: a list of theirs -> `StoredImage`."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.engines.base import IMAGE_LABEL, OVERLAY_LABEL, PORTABLE_LABEL, RECIPE_LABEL, STAGE_LABEL, StoredImage

NAMES = "localhost/strixbench/"
"""The beginning of every name that we give."""

STAGES: dict[str, Any] = {"label": STAGE_LABEL, "dangling": True}
"""The filters under which an engine lists what nothing stands on of our stages."""


def stored_images(listed: Iterable[Mapping[str, Any]]) -> tuple[StoredImage, ...]:
    """Ours of what ``GET /images/json`` lists, by the names of our giving, in the order of these.

    An image that somebody built upon ours has our labels too, and an engine lists it: it is left out, as is a name that
    somebody else gave to one of ours.
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
    """Ids of the stages of our Containerfiles that have no name, of what is listed under `STAGES`.

    By the label that those files give a stage: no final image has it, so none that somebody built upon ours can (seen with
    Podman 4.3.1 and Docker 20.10: both leave a stage behind as an image, and only Podman gives it the labels of the build).
    """
    return {str(image["Id"]) for image in listed if set(image.get("RepoTags") or ()) <= {"<none>:<none>"}}


def folder_bytes(folder: Path) -> int:
    """What the plain files below a folder take up; what cannot be read counts as nothing."""
    return sum(
        512 * (Path(parent) / name).lstat().st_blocks
        for parent, _, names in os.walk(folder, onerror=None)
        for name in names
        if os.path.lexists(Path(parent) / name)
    )


def utc_text(seconds: float) -> str:
    """A time of day since 1970 as ISO 8601."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
