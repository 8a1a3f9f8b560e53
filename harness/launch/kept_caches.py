"""The kernel caches that stay between launches, which `strixbench caches` shows: one for each image, GPU and driver."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from harness import places
from harness.errors import HostError
from harness.launch.cache_folder import Size, how_to_remove, measure, remove_folder
from harness.machine.files import read_file
from harness.records.host import HostRecord
from harness.records.plan import EngineRecord, Plan
from harness.secrets import clean_text
from harness.tools import write_whole

ABOUT = "about.json"
FILES = "files"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One kept cache."""

    key: str
    image: str
    engine: str
    gpus: tuple[str, ...]
    driver: str
    folder: str
    size: Size


class About(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """``about.json`` beside a kept cache's files, where no container can write."""

    image: str
    image_id: str = ""
    engine: str = ""
    gpus: tuple[str, ...] = ()
    driver: str = ""
    files: int = 0
    """How many there were when the last launch ended"""
    seen: tuple[str, ...] = ()
    """The work, see `harness.launch.kernel_cache.work_of`, of each launch that came through its first pass with it"""


def kept() -> tuple[Kept, ...]:
    """All kept caches, by name."""
    found = []
    for folder in sorted(kept_folder().glob("*")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        about = read_about(folder.name) or About(image=folder.name.rpartition("-")[0])
        size = measure(folder / FILES) if (folder / FILES).is_dir() else Size(0, 0)
        found.append(
            Kept(
                key=folder.name,
                image=about.image,
                engine=about.engine,
                gpus=about.gpus,
                driver=about.driver,
                folder=str(folder),
                size=size,
            )
        )
    return tuple(found)


def clear(caches: Collection[Kept]) -> None:
    """Remove caches. Raises `HostError` where one cannot be removed."""
    for cache in caches:
        if not remove_folder(kept_folder() / cache.key):
            raise HostError(f"{cache.folder} cannot be removed: {how_to_remove(Path(cache.folder))}")


def kept_folder() -> Path:
    """Where kept caches lie, one folder each. All of it can be removed whenever no launch runs."""
    return places.cache() / "kernels"


def files_of(key: str) -> Path:
    """The folder of a kept cache that is mounted."""
    return kept_folder() / key / FILES


def key_of(
    image: str,
    image_id: str,
    *,
    engine: EngineRecord,
    gpus: Collection[str],
    driver: str,
    variables: Mapping[str, str],
    knobs: Collection[str],
) -> str:
    """The name of a kept cache, made of all that its kernels depend on: the image by its id, the GPUs, the driver, and what a
    variant sets, such as another GFX target. The engine is in it, too, since each writes as another user."""
    told = [image_id, engine.name, engine.rootless, sorted(gpus), driver, sorted(variables.items()), sorted(knobs)]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', image)[-60:].strip('.-') or 'image'}-{digest[:12]}"


def driver_of(host: HostRecord, root: Path = Path("/")) -> str:
    """What compiled kernels depend on below the image: the kernel, and the version of a GPU's module if it has its own, as one
    built by DKMS does."""
    found = {name: read_file(root / "sys/module" / name / "version").text or "" for name in ("amdgpu", "nvidia")}
    cleaned = {name: clean_text(text).strip()[:100] for name, text in found.items()}
    return ", ".join((host.kernel, *(f"{name} {text}" for name, text in cleaned.items() if text)))


def about_of(plan: Plan) -> About:
    """What is written about a cache that a launch begins."""
    engine = f"{plan.engine.name} rootless" if plan.engine.rootless else plan.engine.name
    return About(
        image=plan.image.name,
        image_id=plan.image.id or "",
        engine=engine,
        gpus=plan.host.gpus,
        driver=driver_of(plan.host),
    )


def read_about(key: str) -> About | None:
    """What is written about a kept cache; ``None``: nothing that can be read."""
    try:
        return msgspec.json.decode((kept_folder() / key / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.DecodeError):
        return None


def write_about(key: str, about: About) -> None:
    """Write it whole or not at all."""
    write_whole(kept_folder() / key / ABOUT, msgspec.json.encode(about))
