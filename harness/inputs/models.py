"""Model files: what a pipeline needs, fetched, verified by hash, and shown with their licences.

The embedded profile comes out of pinned packages (`harness.inputs.embedded`), the gated ones from the Hugging Face hub
(`harness.inputs.hub`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from harness import places
from harness.errors import ModelsError, UsageError
from harness.inputs import hub_cache
from harness.inputs.embedded import EMBEDDED, embedded_folder, fetch_embedded, unverified
from harness.inputs.hashes import content_hash
from harness.text import Say

# What a gated pipeline needs in the Hugging Face cache. pyannote.audio 4 reads the embedding of 3.1 from there too.
GATED: dict[str, tuple[str, ...]] = {
    "3.1": (
        "pyannote/speaker-diarization-3.1",
        "pyannote/segmentation-3.0",
        "pyannote/wespeaker-voxceleb-resnet34-LM",
    ),
    "community-1": ("pyannote/speaker-diarization-community-1",),
}


class Models(msgspec.Struct, frozen=True):
    """What a launch mounts read-only, and the variables with which the libraries find it."""

    folder: Path | None
    """``None``: the pipeline needs no files, and nothing is mounted."""
    environment: tuple[str, ...]
    """Names of the variables that point to the folder inside the image."""
    revisions: tuple[str, ...] = ()
    """``repository@commit`` of each repository in the cache; empty for the embedded profile, and where nobody looked."""


class FetchedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a profile, verified."""

    name: str
    sha256: str
    licence: str
    is_new: bool
    repository: str | None = None
    """On the hub; ``None``: the file came out of a package."""
    revision: str | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A profile whose files are all here."""

    folder: Path
    files: tuple[FetchedFile, ...]


def models_for(pipeline: str) -> Models:
    """The models of a pipeline, verified. Raises `ModelsError`, which says what is missing and how to get it."""
    found = locate_models(pipeline)
    if pipeline == "embedded" and (wrong := unverified(embedded_folder())):
        raise ModelsError(f"model files are missing or altered ({', '.join(wrong)}): run `strixbench models fetch embedded`")
    if pipeline in ("embedded", "synthetic"):
        return found
    if pipeline not in GATED:
        raise UsageError(
            f"no models are known for the pipeline {pipeline!r}: there are embedded, synthetic, {', '.join(GATED)}"
        )
    hub = places.hub_cache()
    pins = _pins_of(pipeline)
    commits = {pin.repository: hub_cache.main_commit(hub, pin.repository) for pin in pins}
    lacking = [pin for pin in pins if not _is_there(hub, pin, commits[pin.repository])]
    if lacking:
        pages = ", ".join(pin.page for pin in lacking if pin.gated)
        accept = f"accept the conditions at {pages}, then " if pages else ""
        raise ModelsError(
            f"the {pipeline} pipeline needs {', '.join(pin.repository for pin in lacking)} in {hub}: {accept}"
            f"run `strixbench models fetch {pipeline}`"
        )
    altered = [
        f"{pin.repository} {name}" for pin in pins for name in hub_cache.wrong_files(hub, pin, commit=commits[pin.repository])
    ]
    if altered:
        raise ModelsError(
            f"model files were altered or are not the pinned ones ({', '.join(altered)}): run `strixbench models fetch {pipeline}`"
        )
    return msgspec.structs.replace(found, revisions=tuple(f"{name}@{commit}" for name, commit in commits.items()))


def locate_models(pipeline: str) -> Models:
    """Where the models of a pipeline lie or would lie; no file is looked at."""
    if pipeline == "embedded":
        return Models(folder=embedded_folder(), environment=())
    if pipeline == "synthetic":  # the guest makes its weights
        return Models(folder=None, environment=())
    # pyannote.audio 3 has a cache variable of its own (pyannote/audio/core/model.py, CACHE_DIR).
    return Models(folder=places.hub_cache(), environment=("HF_HUB_CACHE", "PYANNOTE_CACHE"))


def fetch(profile: str, *, say: Say, show: Callable[[str], None]) -> Fetched:
    """Fetch the missing files of a profile and verify all of them; ``show`` is often told how far a download is.

    Raises `UsageError` for an unknown profile, and `ModelsError`.
    """
    if profile == "embedded":
        new = {file.name for file in fetch_embedded(say=say)}
        files = tuple(FetchedFile(name=f.name, sha256=f.sha256, licence=f.licence, is_new=f.name in new) for f in EMBEDDED)
        return Fetched(folder=embedded_folder(), files=files)
    if profile not in GATED:
        raise UsageError(f"no model profile {profile!r}: there are embedded, {', '.join(GATED)}")
    from harness.inputs import hub

    cache_folder, pins = places.hub_cache(), _pins_of(profile)
    fetched = hub.fetch_pins(pins, cache_folder, say=say, show=show)
    return Fetched(
        folder=cache_folder,
        files=tuple(
            FetchedFile(
                name=name,
                sha256=content_hash(hub_cache.snapshot_file(cache_folder, pin, name)) or "",
                licence=f"{pin.repository}: {pin.licence} ({pin.page})",
                is_new=(pin.repository, name) in fetched,
                repository=pin.repository,
                revision=pin.revision,
            )
            for pin in pins
            for name in pin.files
        ),
    )


def _pins_of(profile: str) -> list[hub_cache.Pin]:
    """The pins of a gated profile. Raises `ModelsError` where a file of pins lacks one."""
    known = hub_cache.pins()
    lacking = [name for name in GATED[profile] if name not in known]
    if lacking:
        raise ModelsError(f"the model pins of {hub_cache.PINS_VARIABLE} lack {', '.join(lacking)}")
    return [known[name] for name in GATED[profile]]


def _is_there(hub: Path, pin: hub_cache.Pin, commit: str | None) -> bool:
    """Whether there is a snapshot of the commit with all of a pin's files."""
    return commit is not None and all(hub_cache.snapshot_file(hub, pin, name, commit=commit).is_file() for name in pin.files)
