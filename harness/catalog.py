"""``catalog.toml`` and its overlays -> images, variants, pipelines, audio; patterns -> cells.

Pure but for reading the files. Loads on every command, so it imports nothing heavy.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from benchmarks.wire import STAGES, STEPS
from harness import places
from harness.errors import CatalogError, UsageError

Family = Literal["cpu", "rocm", "therock", "cuda"]
PIPELINES = ("embedded", "synthetic", "3.1", "community-1")
"""What `benchmarks.diarize` can load."""

GPU_FAMILIES: tuple[Family, ...] = ("rocm", "therock", "cuda")


REFERENCE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$"
"""What an image reference may look like; none can be taken for an option."""

BatchSize = Annotated[int, msgspec.Meta(ge=1)]
VariableName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
VariableValue = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    description: str = ""


class Image(_Row, frozen=True, kw_only=True):
    """One row of ``[images]``: how to build it and what it must contain, or a reference that somebody else built."""

    family: Family | None = None
    """``None``: found by probing the image."""
    engine: Literal["container", "local"] = "container"
    variants: tuple[str, ...] = ()
    reference: Annotated[str, msgspec.Meta(pattern=REFERENCE)] | None = None
    """An image to run as it is; ``None``: we build it."""
    containerfile: str | None = None
    base: str | None = None
    torch: str | None = None
    torchaudio: str | None = None
    torch_index: str | None = None
    lock: str | None = None
    wheels: str | None = None
    """A folder of wheels on this host that the build looks into first."""
    build_network: Literal["default", "host"] = "default"
    user: str | None = None
    """``uid:gid`` inside the container; ``None``: the caller's, or an unprivileged one where that is root."""
    python: str = "python3"


class Variant(_Row, frozen=True, kw_only=True):
    """How an image is run; one with ``mends`` is a fix, which is set on top of another."""

    environment: dict[VariableName, VariableValue] = {}
    guest: tuple[Literal["lstm-dropout-0", "miopen-off"], ...] = ()
    """Knobs that the guest switches: see `benchmarks.knobs`."""
    mends: tuple[str, ...] = ()
    """Stages and steps that it may mend where they fail."""

    @property
    def fixes(self) -> tuple[str, ...]:
        """Names of the fixes that `with_fixes` set on top: no name in the catalog has a ``+`` in it."""
        return tuple(self.name.split("+")[1:])


class PipelineRow(_Row, frozen=True, kw_only=True):
    """One pipeline with its settings."""

    segmentation_batch_size: BatchSize
    embedding_batch_size: BatchSize


class AudioRow(_Row, frozen=True, kw_only=True):
    """One recording."""

    file: str | None = None
    """Path; ``None``: comes with a model profile."""
    reference: str | None = None
    seconds: float | None = None
    """Its length, for `list` to name its cells by; a launch measures it."""
    highest_der: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Above this the output counts as wrong; ``None``: not known what is right."""


class Catalog(msgspec.Struct, frozen=True):
    """All rows by name."""

    images: dict[str, Image]
    variants: dict[str, Variant]
    pipelines: dict[str, PipelineRow]
    audio: dict[str, AudioRow]


class Cell(msgspec.Struct, frozen=True):
    """An image x a variant x a workload: what a launch is a launch of."""

    image: Image
    variant: Variant
    pipeline: PipelineRow
    audio: str
    """The recording's name with its length, such as ``sample-30s``."""

    @property
    def id(self) -> str:
        """``image/variant/pipeline/audio``: what users glob on, what logs print and what files are named by."""
        return "/".join((self.image.name, self.variant.name, self.pipeline.name, self.audio))


_TABLES: dict[str, type[_Row]] = {"images": Image, "variants": Variant, "pipelines": PipelineRow, "audio": AudioRow}


def load_catalog(overlays: Iterable[Path] = ()) -> Catalog:
    """The shipped catalog, then the overlays of ``STRIXBENCH_CATALOG`` (``:`` between files), then these.

    Raises `CatalogError` naming file, line and the nearest known key.
    """
    from_environment = [Path(part) for part in os.environ.get("STRIXBENCH_CATALOG", "").split(os.pathsep) if part]
    merged: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in _TABLES}
    for path in (places.CONTAINERS / "catalog.toml", *from_environment, *overlays):
        for table, rows in _read(path).items():
            for name, fields in rows.items():
                merged[table].setdefault(name, {"name": name}).update(fields)
    return _typed(merged)


def select_images(catalog: Catalog, pattern: str) -> tuple[Image, ...]:
    """The catalog's images that a pattern matches, in the catalog's order; none where it is something else."""
    return tuple(image for name, image in catalog.images.items() if fnmatch.fnmatchcase(name, pattern))


def looks_like_reference(text: str) -> bool:
    """Whether a name that the catalog lacks is written as an image reference: with a tag, a registry or a digest."""
    return any(sign in text for sign in ":/@") and re.fullmatch(REFERENCE, text) is not None


def foreign_image(reference: str, *, family: Family | None) -> Image:
    """An image that somebody else built, to be run as it is."""
    return Image(name=reference, reference=reference, family=family, description="built elsewhere")


def unknown_image(catalog: Catalog, name: str) -> UsageError:
    """The error for a name that is neither in the catalog nor an image reference."""
    return UsageError(f"no image in the catalog matches {name!r}{nearest(name, catalog.images)}; `strixbench list` shows them")


def select_variants(catalog: Catalog, image: Image, gfx: str | None) -> tuple[Variant, ...]:
    """The variants to run an image in: those that ``--gfx`` matches, otherwise all that its row names.

    Raises `UsageError` where ``--gfx`` matches none of the image's.
    """
    names = image.variants or (("cpu",) if image.family == "cpu" else ("native",))
    chosen = [name for name in names if gfx is None or fnmatch.fnmatchcase(name, gfx)]
    # A foreign image's owner knows what it needs: any variant of the catalog will do.
    if not chosen and gfx in catalog.variants and image.reference is not None:
        chosen = [gfx]
    if not chosen:
        raise UsageError(f"image {image.name} has no variant that matches {gfx!r}: it has {', '.join(names)}")
    return tuple(catalog.variants[name] for name in chosen)


def select_fixes(catalog: Catalog, names: Iterable[str]) -> tuple[Variant, ...]:
    """Fixes by name, each once; raises `UsageError` with the nearest."""
    known = {name: variant for name, variant in catalog.variants.items() if variant.mends}
    for name in names:
        if name not in known:
            raise UsageError(f"no fix {name!r}{nearest(name, known)}: there are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def with_fixes(variant: Variant, fixes: Iterable[Variant]) -> Variant:
    """The variant with fixes set on top, named ``gfx1100+miopen-off``."""
    for fix in fixes:
        variant = Variant(
            name=f"{variant.name}+{fix.name}",
            description=variant.description,
            environment={**variant.environment, **fix.environment},
            guest=tuple(dict.fromkeys((*variant.guest, *fix.guest))),
        )
    return variant


def select_pipeline(catalog: Catalog, name: str) -> PipelineRow:
    """One pipeline by name; raises `UsageError` with the nearest."""
    if name not in catalog.pipelines:
        raise UsageError(f"no pipeline {name!r}{nearest(name, catalog.pipelines)}: there are {', '.join(catalog.pipelines)}")
    return catalog.pipelines[name]


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean ...?)``, or nothing where no word is near."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _read(path: Path) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """One file's tables, their keys checked against the types; raises `CatalogError`."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise CatalogError(f"catalog {path} is no plain file")
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"cannot read catalog {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path} is not TOML: {error}") from error
    for table, rows in document.items():
        if table not in _TABLES:
            raise CatalogError(f"{path}:{_line(text, table)}: unknown table {table!r}{nearest(table, _TABLES)}")
        if not isinstance(rows, dict):
            raise CatalogError(f"{path}:{_line(text, table)}: {table!r} is not a table")
        types = {field.name: field.type for field in msgspec.structs.fields(_TABLES[table]) if field.name != "name"}
        for name, fields in rows.items():
            if not isinstance(fields, dict):
                raise CatalogError(f"{path}:{_line(text, name)}: {table}.{name} is not a table")
            for key, value in fields.items():
                where = f"{path}:{_line(text, key, row=(table, name))}"
                if key not in types:
                    raise CatalogError(f"{where}: unknown key {key!r} in {table}.{name}{nearest(key, types)}")
                try:
                    msgspec.convert(value, types[key])
                except msgspec.ValidationError as error:
                    raise CatalogError(f"{where}: {table}.{name}.{key}: {error}") from error
    return document


def _typed(merged: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Catalog:
    """The merged tables as rows; raises `CatalogError` naming the row and the key."""
    typed: dict[str, dict[str, Any]] = {}
    for table, kind in _TABLES.items():
        typed[table] = {}
        for name, fields in merged[table].items():
            try:
                typed[table][name] = msgspec.convert(fields, kind)
            except msgspec.ValidationError as error:
                raise CatalogError(f"catalog row {table}.{name}: {error}") from error
    catalog = Catalog(**typed)
    for pipeline in catalog.pipelines:
        if pipeline not in PIPELINES:
            raise CatalogError(
                f"catalog row pipelines.{pipeline}: the guest has no such pipeline{nearest(pipeline, PIPELINES)}: "
                f"there are {', '.join(PIPELINES)}"
            )
    _refuse_odd_variants(catalog.variants)
    for image in catalog.images.values():
        for variant in image.variants:
            if variant not in catalog.variants:
                raise CatalogError(
                    f"catalog row images.{image.name}: unknown variant {variant!r}{nearest(variant, catalog.variants)}"
                )
    return catalog


def _refuse_odd_variants(variants: Mapping[str, Variant]) -> None:
    """Raise `CatalogError` for a variant whose name reads as another with fixes, or that mends what there is not."""
    for name, variant in variants.items():
        if "+" in name:
            raise CatalogError(f"catalog row variants.{name}: '+' in a name stands between a variant and its fixes")
        for stage in variant.mends:
            if stage not in (*STAGES, *STEPS):
                raise CatalogError(
                    f"catalog row variants.{name}: it mends no stage or step {stage!r}{nearest(stage, (*STAGES, *STEPS))}"
                )


def _line(text: str, key: str, *, row: tuple[str, str] | None = None) -> int:
    """The line on which a key stands, behind its row's header where that is given."""
    lines = text.splitlines()
    start = 0
    if row is not None:
        table, name = (re.escape(word) for word in row)
        header = re.compile(rf"""^\s*\[\s*["']?{table}["']?\s*\.\s*["']?{name}["']?\s*\]""")
        start = next((number for number, line in enumerate(lines) if header.match(line)), 0)
    wanted = re.compile(rf"""^\s*\[*[^=#]*\b{re.escape(key)}\b""")
    return next((number + 1 for number, line in enumerate(lines) if number >= start and wanted.match(line)), start + 1)
