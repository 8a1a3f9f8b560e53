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
from harness.catalog.knobs import (
    Family,
    GuestKnob,
    Hazard,
    Knob,
    VariableName,
    VariableValue,
    fault_of_knob,
    unknown_part,
)
from harness.catalog.laid_over import OWN, laid_over
from harness.errors import CatalogError, UsageError

PIPELINES = ("embedded", "synthetic", "3.1", "community-1")
"""What `benchmarks.diarize` can load."""

GPU_FAMILIES: tuple[Family, ...] = ("rocm", "therock", "cuda")


REFERENCE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$"
"""What an image reference may look like; none can be taken for an option."""

BatchSize = Annotated[int, msgspec.Meta(ge=1)]
PackageName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.+-]*\Z")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*\Z")]
Address = Annotated[str, msgspec.Meta(pattern=r"^[^\s-]\S*\Z")]
"""A word that can be taken for no option."""

ByteCount = Annotated[int, msgspec.Meta(ge=0)]

EvidencePart = Literal["base", "torch", "companions", "index", "size", "gfx1151"]
"""What of a row a piece of evidence is about."""


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
    base: Address | None = None
    packages: tuple[PackageName, ...] = ()
    """Debian packages that the base lacks."""
    script: str | None = None
    """What a seed's image installs after torch, in place of a lock."""
    torch: Version | None = None
    """Exact, with its local part: ``2.9.1+rocm6.4``. The base's own where ``torch_from`` is ``base``."""
    torch_extra: Annotated[str, msgspec.Meta(pattern=r"^\[[a-z0-9,-]+\]\Z")] | None = None
    torchaudio: Version | None = None
    torch_index: Address | None = None
    torch_day: Annotated[str, msgspec.Meta(pattern=r"^(newest|\d{8})\Z")] | None = None
    """Of an index of nightlies: the day whose torch and torchaudio are taken where these name none, as ``20261003``, or the
    newest that has both. See `harness.images.nightlies`."""
    torch_from: Literal["index", "index and default", "links", "base"] = "index"
    """Where torch comes from: ``torch_index`` alone; it and pip's default index; a page of links; the base image."""
    torch_dependencies: bool = False
    """Whether torch's dependencies come from its index too: CUDA's and TheRock's libraries are packages of their own."""
    expected: str | None = None
    """The beginning of ``torch.version.hip`` or ``.cuda``; ``None``: not held to one."""
    native: bool | None = None
    """Whether the wheels carry kernels of gfx1151; ``None``: not known, or no AMD image."""
    pyannote: str | None = None
    lock: str | None = None
    base_bytes: ByteCount | None = None
    """What the base is to download, compressed; ``None``: not known."""
    largest_layer_bytes: ByteCount | None = None
    """The largest layer of the base, compressed: Podman cannot resume one. ``None``: not known."""
    wheel_bytes: ByteCount | None = None
    """torch and what comes with it from its index, to download; 0 where the base brings it. ``None``: not known."""
    disk_bytes: ByteCount | None = None
    """What the built image takes on disk with its base, unpacked; ``None``: not known."""
    evidence: dict[EvidencePart, str] = {}
    """Who says that the row's values are right, and when."""
    order: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Its place among the images to try first on a Strix Halo; ``None``: it has none."""
    order_reason: str = ""
    """Why it has that place, with a source."""
    not_portable: str | None = None
    """Why there is no CPU build of the same versions; ``None``: there is one."""
    wheelhouse: str | None = None
    """A folder of wheels named on the command line: where they come from is no part of the recipe, unlike ``wheels``."""
    portable_of: str | None = None
    """The image whose dependency set this is, on a plain base with a torch for any machine; ``None``: itself."""
    wheels: str | None = None
    """A folder of wheels on this host that the build looks into first."""
    build_network: Literal["default", "host"] = "default"
    user: str | None = None
    """``uid:gid`` inside the container; ``None``: the caller's, or an unprivileged one where that is root."""
    python: str = "python3"

    @property
    def lacks_day(self) -> bool:
        """Whether a nightly is still to be chosen: an exact torch has the day in its local part."""
        return self.torch_day is not None and "+" not in (self.torch or "")

    @property
    def todo(self) -> tuple[str, ...]:
        """What is open about its pins, in sentences; none where nothing is."""
        if self.engine == "local" or self.reference is not None or (self.base or "").startswith("localhost/"):
            return ()
        return () if "@sha256:" in (self.base or "") else (f"TODO digest: {self.base} is a tag, which may move",)


class Variant(_Row, frozen=True, kw_only=True):
    """How an image is run; one with ``mends`` is a fix, which is set on top of another."""

    environment: dict[VariableName, VariableValue] = {}
    guest: tuple[GuestKnob, ...] = ()
    """Knobs that the guest switches: see `benchmarks.knobs`."""
    unset: tuple[VariableName, ...] = ()
    """Variables that the guest takes away, be they the image's own."""
    threads: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Of torch on the CPU; ``None``: as many as the guest may use."""
    mends: tuple[str, ...] = ()
    """Stages and steps that it may mend where they fail."""

    @property
    def fixes(self) -> tuple[str, ...]:
        """Names of the fixes that `with_fixes` set on top: no name in the catalog has a ``+`` in it, and a knob has a ``=``."""
        return tuple(name for name in self.name.split("+")[1:] if "=" not in name)


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
    knobs: dict[str, Knob] = {}
    hazards: dict[str, Hazard] = {}


class Cell(msgspec.Struct, frozen=True):
    """An image x a variant x a workload: what a launch is a launch of."""

    image: Image
    variant: Variant
    pipeline: PipelineRow
    audio: str
    """The recording's name with its length, such as ``sample-30s``."""
    arm: str = ""
    """Of a comparison: see `harness.campaign.arms`."""
    knobs: tuple[tuple[str, str], ...] = ()
    """Those that were set, with their values."""

    @property
    def id(self) -> str:
        """``image/variant/pipeline/audio``: what users glob on, what logs print and what files are named by."""
        return "/".join((self.image.name, self.variant.name, self.pipeline.name, self.audio))


_OURS = ("name", "portable_of", "wheelhouse")
"""Fields that no catalog file may set."""

_TABLES: dict[str, type[msgspec.Struct]] = {
    "images": Image,
    "variants": Variant,
    "pipelines": PipelineRow,
    "audio": AudioRow,
    "knobs": Knob,
    "hazards": Hazard,
}


def load_catalog(overlays: Iterable[Path] = ()) -> Catalog:
    """The shipped catalog, then the overlays of ``STRIXBENCH_CATALOG`` (``:`` between files), then these.

    Raises `CatalogError` naming file, line and the nearest known key.
    """
    from_environment = [Path(part) for part in os.environ.get("STRIXBENCH_CATALOG", "").split(os.pathsep) if part]
    return _merged((places.CONTAINERS / "catalog.toml", *from_environment, *overlays))


def shipped_catalog() -> Catalog:
    """The shipped catalog alone, in which nothing is of this host or its owner."""
    return _merged((places.CONTAINERS / "catalog.toml",))


def is_shipped(image: Image) -> bool:
    """Whether an image is as the shipped catalog has it: no overlay made or changed its row. A nightly's day and a wheelhouse
    are no overlay's."""
    shipped = shipped_catalog()
    row = shipped.images.get(image.portable_of or image.name)
    if row is None:
        return False
    if image.portable_of is not None and is_portable(row):
        row = portable(row, shipped)
    versions = {"torch": row.torch, "torchaudio": row.torchaudio} if row.lacks_day else {}
    return msgspec.structs.replace(image, wheelhouse=None, **versions) == row


def portable(image: Image, catalog: Catalog) -> Image:
    """The same dependency set on the `cpu` image's base, with the CPU build, or PyPI's, of the same torch release.

    It shows on any machine whether the set installs, imports and diarizes, and says nothing about a GPU: another name,
    family and variant, so that nothing of it can be taken for the image's own result. Raises `UsageError` where there is none.
    """
    if image.not_portable is not None:
        raise UsageError(f"image {image.name} has no portable build: {image.not_portable}")
    if not is_portable(image):
        raise UsageError(f"image {image.name} has no portable build: it is not built from a Containerfile of the catalog")
    plain = catalog.images["cpu"]
    return msgspec.structs.replace(
        image,
        name=f"{image.name}-portable",
        portable_of=image.name,
        description=f"{image.name}'s dependency set with a torch for any machine",
        family="cpu",
        variants=("cpu",),
        base=plain.base,
        packages=plain.packages,
        wheels=image.wheels or plain.wheels,
        build_network=plain.build_network,
        torch=_release(image.torch),
        torchaudio=_release(image.torchaudio),
        torch_extra=None,
        torch_index=plain.torch_index,
        torch_day=None,
        torch_from="index and default",
        torch_dependencies=True,
        expected=None,
        native=None,
        python=plain.python,
        base_bytes=plain.base_bytes,
        largest_layer_bytes=plain.largest_layer_bytes,
        wheel_bytes=None,
        disk_bytes=None,
        evidence={},
        order=None,
        order_reason="",
    )


def is_portable(image: Image) -> bool:
    """Whether `portable` gives something."""
    return image.not_portable is None and image.engine == "container" and image.reference is None


def _release(version: str | None) -> str | None:
    """A version without its local part, and no finer than a release of PyTorch's: ``2.11.0.2+rocm10.0.0`` -> ``2.11.0``."""
    return None if version is None else ".".join(version.split("+")[0].split(".")[:3])


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
            unset=tuple(dict.fromkeys((*variant.unset, *fix.unset))),
            threads=fix.threads or variant.threads,
        )
    return variant


def select_pipeline(catalog: Catalog, name: str) -> PipelineRow:
    """One pipeline by name; raises `UsageError` with the nearest."""
    if name not in catalog.pipelines:
        raise UsageError(f"no pipeline {name!r}{nearest(name, catalog.pipelines)}: there are {', '.join(catalog.pipelines)}")
    return catalog.pipelines[name]


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean ...?)``, or nothing where no word is near."""
    close = difflib.get_close_matches(word, [each for each in words if each != word], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _merged(paths: Iterable[Path]) -> Catalog:
    """The files' rows, of which a later one adds to an earlier one's."""
    merged: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in _TABLES}
    for path in paths:
        for table, rows in _read(path).items():
            for name, fields in rows.items():
                merged[table][name] = laid_over(merged[table].get(name, {"name": name}), fields)
    merged["images"] = {name: _with_model(name, merged["images"]) for name in merged["images"]}
    return _typed(merged)


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
        types = _types_of(table)
        for name, fields in rows.items():
            if not isinstance(fields, dict):
                raise CatalogError(f"{path}:{_line(text, name)}: {table}.{name} is not a table")
            for key, value in fields.items():
                if key not in types:
                    where = f"{path}:{_line(text, key, row=(table, name))}"
                    raise CatalogError(f"{where}: unknown key {key!r} in {table}.{name}{nearest(key, types)}")
                _refuse_unknown_parts(path, text, (table, name, key), value)
                try:
                    msgspec.convert(value, types[key])
                except msgspec.ValidationError as error:
                    where = f"{path}:{_line(text, key, row=(table, name))}"
                    raise CatalogError(f"{where}: {table}.{name}.{key}: {error}") from error
    return document


def _refuse_unknown_parts(path: Path, text: str, place: tuple[str, str, str], value: Any) -> None:
    """Raise `CatalogError` for a key that no value of a knob has."""
    table, name, key = place
    odd = unknown_part(value) if (table, key) == ("knobs", "values") else None
    if odd is not None:
        of_value, part, known = odd
        where = f"{path}:{_line(text, part, row=(table, name), anywhere=True)}"
        raise CatalogError(f"{where}: unknown key {part!r} in {table}.{name}.{key}.{of_value}{nearest(part, known)}")


def _types_of(table: str) -> dict[str, Any]:
    """The keys that a row of this table may have."""
    types = {field.name: field.type for field in msgspec.structs.fields(_TABLES[table]) if field.name not in _OURS}
    return types | ({"like": str} if table == "images" else {})


def _with_model(name: str, rows: Mapping[str, Mapping[str, Any]], *, followed: tuple[str, ...] = ()) -> dict[str, Any]:
    """A row's fields over those of the row that it is ``like``; raises `CatalogError` where that leads nowhere."""
    fields = dict(rows[name])
    model = fields.pop("like", None)
    if model is None:
        return fields
    if model not in rows or model in (name, *followed):
        why = "there is no such row" if model not in rows else "it leads back to itself"
        raise CatalogError(f"catalog row images.{name}: like = {model!r}: {why}{nearest(model, rows)}")
    taken_over = _with_model(model, rows, followed=(name, *followed))
    return laid_over({key: value for key, value in taken_over.items() if key not in OWN}, fields)


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
    for row in catalog.variants.values():
        if wrong := {name for name in row.environment if "TOKEN" in name.upper()}:
            raise CatalogError(
                f"catalog row variants.{row.name}: {', '.join(sorted(wrong))}: a token is for `models fetch` alone, never for a launch"
            )
    _refuse_odd_knobs(catalog.knobs)
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


def _refuse_odd_knobs(knobs: Mapping[str, Knob]) -> None:
    """Raise `CatalogError` for a knob that sets nothing, or what no launch may be given."""
    for name, knob in knobs.items():
        if fault := fault_of_knob(name, knob):
            raise CatalogError(f"catalog row knobs.{name}: {fault}")


def _line(text: str, key: str, *, row: tuple[str, str] | None = None, anywhere: bool = False) -> int:
    """The line on which a key stands, behind its row's header where that is given; ``anywhere``: also inside a value."""
    lines = text.splitlines()
    start = 0
    if row is not None:
        table, name = (re.escape(word) for word in row)
        header = re.compile(rf"""^\s*\[\s*["']?{table}["']?\s*\.\s*["']?{name}["']?\s*\]""")
        start = next((number for number, line in enumerate(lines) if header.match(line)), 0)
    before = r"[^#]*" if anywhere else r"\[*[^=#]*"
    wanted = re.compile(rf"""^\s*{before}\b{re.escape(key)}\b""")
    return next((number + 1 for number, line in enumerate(lines) if number >= start and wanted.match(line)), start + 1)
