"""Image -> built image; skipped when exactly that recipe is already built."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from harness import places
from harness.catalog import Image
from harness.engines.base import BuiltImage, Engine, Recipe, Say
from harness.errors import CatalogError

NEEDED = ("family", "torch", "torchaudio", "lock")


def recipe_of(image: Image) -> Recipe:
    """What the image is made of, hashed. Raises `CatalogError` where a field or a file is missing."""
    lacking = [name for name in (*NEEDED, *_needed_by_container(image)) if getattr(image, name) is None]
    if lacking:
        raise CatalogError(f"catalog row images.{image.name} lacks {', '.join(lacking)}: it cannot be built")
    local = image.engine == "local"
    containerfile = "" if local else _text(places.CONTAINERS / str(image.containerfile), image)
    files = {"lock.txt": places.CONTAINERS / "locks" / str(image.lock), "finish.py": places.CONTAINERS / "finish.py"}
    wheels = _wheels(image)
    arguments = {
        "FAMILY": str(image.family),
        "TORCH": str(image.torch),
        "TORCHAUDIO": str(image.torchaudio),
        "TORCH_INDEX": image.torch_index or "",
    }
    # A folder of this host decides where wheels come from, not what is installed: only the names are hashed.
    digest = hashlib.sha256()
    for part in (containerfile, *(_text(path, image) for path in files.values()), *wheels):
        digest.update(part.encode() + b"\0")
    arguments_of_engine = {"WHEELS": image.wheels or ""} if local else {"BASE": str(image.base)}
    for name, value in sorted((arguments | ({} if local else arguments_of_engine)).items()):
        digest.update(f"{name}={value}\0".encode())
    if not local:
        files |= {f"wheels/{path.name}": path for path in wheels.values()}
    return Recipe(
        image=_tag_name(image.name),
        hash=digest.hexdigest(),
        containerfile=containerfile,
        arguments=arguments | arguments_of_engine,
        files=files,
        network=image.build_network,
    )


def build_log(recipe: Recipe) -> Path:
    """Where a build's whole output goes."""
    return places.results() / "builds" / f"{recipe.image}-{recipe.hash[:12]}.log"


def ensure_built(image: Image, engine: Engine, *, say: Say) -> BuiltImage:
    """The built image, built now where it was not. Raises `BuildFailed` with the log's end."""
    found = engine.find_built(recipe_of(image))
    return found if found is not None else rebuild(image, engine, say=say)


def rebuild(image: Image, engine: Engine, *, say: Say) -> BuiltImage:
    """The image, built now whether it was or not: for one that was damaged. Raises `BuildFailed` with the log's end."""
    recipe = recipe_of(image)
    return engine.build(recipe, log=build_log(recipe), say=say)


def _needed_by_container(image: Image) -> tuple[str, ...]:
    return () if image.engine == "local" else ("containerfile", "base")


def _tag_name(name: str) -> str:
    """The image's name as a repository name may be written: lower case, no odd characters."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "image"


def _wheels(image: Image) -> dict[str, Path]:
    """The wheels of the image's folder, by name; raises `CatalogError` where there is no such folder."""
    if image.wheels is None:
        return {}
    folder = Path(image.wheels)
    if not folder.is_dir():
        raise CatalogError(f"catalog row images.{image.name}: wheels = {image.wheels!r} is not a folder")
    return {path.name: path for path in sorted(folder.glob("*.whl"))}


def _text(path: Path, image: Image) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"catalog row images.{image.name}: cannot read {path}: {error.strerror}") from error
