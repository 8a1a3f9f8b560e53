"""Image -> built image, one or several at once; skipped when exactly that recipe is already built."""

from __future__ import annotations

import fcntl
import hashlib
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness import places
from harness.catalog.load import is_shipped
from harness.catalog.rows import Image
from harness.engines.base import IMAGE_LABEL, LOCK_LABEL, OVERLAY_LABEL, PORTABLE_LABEL, BuiltImage, Engine, Recipe
from harness.errors import BuildFailed, CatalogError, EngineError
from harness.images.build_needs import MARK, need_of
from harness.images.disk_space import Room
from harness.images.nightlies import refuse_no_day
from harness.records.plan import EngineRecord
from harness.text import Say, size_text

MOST_TEXT_BYTES = 16 << 20
"""The limit for a Containerfile, a lock or a script."""

KNOWN_WHEELS = "known-wheels.txt"
"""File name and SHA-256 of each torch wheel that a build ever installed; in the build context and in our cache."""

_OPTIONS = {
    "index": "--index-url {index}",
    "index and default": "--extra-index-url {index}",
    "links": "--find-links {index}",
}


def recipe_of(image: Image) -> Recipe:
    """The recipe of an image: what it is made of, hashed.

    Raises `CatalogError` where a field or a file is missing, `PackageIndexError` where its nightly is not chosen yet.
    """
    lacking = [name for name in _needed(image) if getattr(image, name) is None]
    if lacking:
        raise CatalogError(f"catalog row images.{image.name} lacks {', '.join(lacking)}: it cannot be built")
    refuse_no_day(image)
    local = image.engine == "local"
    containerfile = "" if local else _text(places.CONTAINERS / str(image.containerfile), image)
    wheels = _wheels_in(image.wheels, image)
    files = _files(image)
    arguments = {
        "FAMILY": "portable" if image.portable_of else str(image.family),
        "EXPECTED": image.expected or "",
        "TORCH": str(image.torch),
        "TORCH_EXTRA": image.torch_extra or "",
        "TORCHAUDIO": image.torchaudio or "",
        "TORCH_OPTIONS": torch_options(image),
    }
    # A folder of this host decides where wheels come from, not what is installed: only the names are hashed.
    digest = hashlib.sha256()
    for part in (containerfile, *(_text(path, image) for path in files.values()), *wheels):
        digest.update(part.encode() + b"\0")
    arguments_of_engine = (
        {"WHEELS": image.wheelhouse or image.wheels or ""}
        if local
        else {"BASE": str(image.base), "PACKAGES": " ".join(image.packages)}
    )
    for name, value in sorted((arguments | ({} if local else arguments_of_engine)).items()):
        digest.update(f"{name}={value}\0".encode())
    if not local:
        files |= {f"wheels/{path.name}": path for path in (wheels | _wheels_in(image.wheelhouse, image)).values()}
        if known_wheels().exists():
            files[KNOWN_WHEELS] = known_wheels()
    return Recipe(
        # In the form of a repository name: lower case, no odd characters.
        image=re.sub(r"[^a-z0-9]+", "-", image.name.lower()).strip("-") or "image",
        hash=digest.hexdigest(),
        containerfile=containerfile,
        arguments=arguments | arguments_of_engine,
        files=files,
        labels=_labels(image),
        network=image.build_network,
        base_bytes=image.base_bytes,
        largest_layer_bytes=image.largest_layer_bytes,
    )


def torch_options(image: Image) -> str:
    """pip's options for the step that installs torch; empty where, and only where, the base brings torch."""
    if image.torch_from == "base":
        return ""
    source = _OPTIONS[image.torch_from].format(index=image.torch_index) if image.torch_index else ""
    return " ".join(filter(None, ("--no-input", source, "" if image.torch_dependencies else "--no-deps")))


def known_wheels() -> Path:
    """Where the hashes of torch wheels are kept: indexes of ROCm builds publish none that could be pinned beforehand."""
    return places.cache() / KNOWN_WHEELS


def remember_wheels(log: Path) -> None:
    """Keep the hashes that a build printed, so that the next one refuses another wheel of the same name."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        found = {match[1]: match[2] for line in lines if (match := _WHEEL.match(line))}
    if not found:
        return
    known_wheels().parent.mkdir(parents=True, exist_ok=True)
    # Locked: builds may end at the same time.
    with known_wheels().open("a+", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        known = {line.split()[0] for line in stream if line.strip()}
        stream.write("".join(f"{name} {digest}\n" for name, digest in sorted(found.items()) if name not in known))


_WHEEL = re.compile(r"strixbench wheel: ([\w.+-]{1,300}) ([0-9a-f]{64})$")


def build_log(recipe: Recipe) -> Path:
    """The file that a build's whole output goes to."""
    return places.results() / "builds" / f"{recipe.image}-{recipe.hash[:12]}.log"


def ensure_built(image: Image, engine: Engine, *, say: Say, room: Room, announce: Say | None = None) -> BuiltImage:
    """The built image; it is built now where it was not. Raises what `rebuild` raises."""
    found = engine.find_built(recipe_of(image))
    return found if found is not None else rebuild(image, engine, say=say, room=room, announce=announce)


def rebuild(image: Image, engine: Engine, *, say: Say, room: Room, announce: Say | None = None) -> BuiltImage:
    """The image, built now even where it was built before, as after damage.

    ``announce`` shows lines that should stay on the screen, first what is about to be fetched; ``None``: ``say`` shows them.
    Raises `BuildFailed` with the end of the log, and, before anything is fetched, `NoRoomError` where a disk is too small.
    """
    recipe = recipe_of(image)
    if not is_shipped(image):
        recipe = msgspec.structs.replace(recipe, labels={**recipe.labels, OVERLAY_LABEL: "1"})
    announce = announce or say
    with room.kept_for(image, engine):
        is_base_here = recipe.base != "" and engine.find_reference(recipe.base) is not None
        fetches = fetches_text(image, is_base_here=is_base_here)
        announce(f"building {image.name} with {engine.record.name}, which takes minutes: {fetches}; log: {build_log(recipe)}")
        built = engine.build(recipe, log=build_log(recipe), say=say, announce=announce)
    if image.script is None:  # a seed's open recipe may print anything
        remember_wheels(build_log(recipe))
    return built


class BuildOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a build."""

    image: Image
    engine: EngineRecord
    log: Path
    built: BuiltImage | None = None
    """``None``: it failed"""
    cause: Literal["build", "engine"] | None = None
    message: str = ""
    log_tail: str = ""


def build_all(
    images: Sequence[Image],
    *,
    open_engine: Callable[[Image], Engine],
    again: bool,
    jobs: int,
    say: Say,
    room: Room,
    announce: Say | None = None,
) -> Iterator[BuildOutcome]:
    """Build images, ``jobs`` at once; yields each outcome as it comes, in no order.

    However this ends, by a Ctrl-C too, no connection stays open: the engine ends a build whose caller is gone.
    """
    opened: list[Engine] = []

    def build_one(image: Image) -> BuildOutcome:
        log = build_log(recipe_of(image))
        record = EngineRecord(name="local" if image.engine == "local" else "container")
        try:
            engine = open_engine(image)
            opened.append(engine)
            record = engine.record
            built = (rebuild if again else ensure_built)(image, engine, say=say, room=room, announce=announce)
            engine.close()
        except BuildFailed as error:
            return BuildOutcome(image=image, engine=record, log=log, cause="build", message=str(error), log_tail=error.log_tail)
        except EngineError as error:
            return BuildOutcome(image=image, engine=record, log=log, cause="engine", message=str(error))
        return BuildOutcome(image=image, engine=record, log=log, built=built)

    try:
        yield from map(build_one, images) if jobs == 1 else _in_threads(build_one, images, jobs)
    finally:
        for engine in opened:
            engine.close()


def _in_threads(build_one: Callable[[Image], BuildOutcome], images: Sequence[Image], jobs: int) -> Iterator[BuildOutcome]:
    """The outcomes of builds in threads, since a build waits for the engine; in daemons, since a Ctrl-C must not wait for a build."""
    free_jobs = threading.Semaphore(jobs)
    done: queue.SimpleQueue[BuildOutcome | Exception] = queue.SimpleQueue()

    def work(image: Image) -> None:
        with free_jobs:
            try:
                done.put(build_one(image))
            except Exception as error:  # a bug of ours: raised where somebody sees it
                done.put(error)

    for image in images:
        threading.Thread(target=work, args=(image,), daemon=True).start()
    for _ in images:
        outcome = done.get()
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome


def fetches_text(image: Image, *, is_base_here: bool) -> str:
    """What a build is about to download, with sizes: ``it fetches the base NAME (10.4 GB), then ...``.

    Sizes are the catalog's, as in `--dry-run`; a size that it lacks is estimated and marked with a ``~``.
    """
    need = need_of(image)
    others = f"pyannote.audio with what it needs ({MARK}{size_text(need.other_bytes)})"
    name = str(image.base).partition("@")[0]
    is_fetched = image.engine != "local" and not is_base_here and not name.startswith("localhost/")
    parts = [f"the base {name} ({need.text('base_bytes')})"] if is_fetched else []
    if image.script is not None:
        parts.append("what its script asks for (size unknown)")
    elif image.torch_from == "base":
        parts.append(others)
    else:
        parts.append(f"torch {image.torch} ({need.text('wheel_bytes')}) and {others}")
    here = f"; its base {name} is here" if image.engine != "local" and is_base_here else ""
    return f"it fetches {', then '.join(parts)}{here}"


def _needed(image: Image) -> tuple[str, ...]:
    """The fields that such an image cannot be built without."""
    container = ("containerfile", "base")
    if image.script is not None:
        return ("family", "torch", *container)
    return ("family", "torch", "torchaudio", "lock", *(() if image.engine == "local" else container))


def _files(image: Image) -> dict[str, Path]:
    """The files that the build reads, by their names there."""
    if image.script is not None:
        return {"recipe.sh": places.CONTAINERS / image.script}
    return {"lock.txt": places.CONTAINERS / "locks" / str(image.lock), "finish.py": places.CONTAINERS / "finish.py"}


def _labels(image: Image) -> dict[str, str]:
    """The image's labels: https://github.com/opencontainers/image-spec/blob/main/annotations.md."""
    base, _, digest = str(image.base).partition("@")
    labels = {
        IMAGE_LABEL: image.name,
        "org.opencontainers.image.title": f"strixbench {image.name}",
        "org.opencontainers.image.description": image.description,
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": digest,
        LOCK_LABEL: hashlib.sha256(_text(_files(image)["lock.txt"], image).encode()).hexdigest() if image.lock else "",
        PORTABLE_LABEL: image.portable_of or "",
    }
    return {name: value for name, value in labels.items() if value}


def _wheels_in(name: str | None, image: Image) -> dict[str, Path]:
    """The wheels of a folder, by name; raises `CatalogError` where there is no such folder."""
    if name is None:
        return {}
    folder = Path(name)
    if not folder.is_dir():
        raise CatalogError(f"catalog row images.{image.name}: wheels = {name!r} is not a folder")
    return {path.name: path for path in sorted(folder.glob("*.whl")) if path.is_file()}


def _text(path: Path, image: Image) -> str:
    try:
        if path.exists() and (not path.is_file() or path.stat().st_size > MOST_TEXT_BYTES):
            raise CatalogError(f"catalog row images.{image.name}: {path} is no file, or no text of a reasonable size")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"catalog row images.{image.name}: cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or a path with a zero in it
        raise CatalogError(f"catalog row images.{image.name}: cannot read {str(path)!r}: {error}") from error
