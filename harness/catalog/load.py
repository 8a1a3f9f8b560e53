"""``catalog.toml`` and its overlays -> images, variants, pipelines, audio; patterns -> cells.

Pure but for reading the files. Loads on every command, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.wire import STAGES, STEPS
from harness import places
from harness.catalog.knobs import WORD, Hazard, Knob, KnobValue, fault_of_knob, fault_of_variables
from harness.catalog.rows import DIARIZATION, AudioRow, Catalog, Image, PipelineRow, Variant, WorkloadRow
from harness.catalog.select import is_portable, portable
from harness.errors import CatalogError
from harness.text import nearest

_OURS = ("name", "portable_of", "wheelhouse")
"""Fields that no catalog file may set."""

_TABLES: dict[str, type[msgspec.Struct]] = {
    "images": Image,
    "variants": Variant,
    "pipelines": PipelineRow,
    "audio": AudioRow,
    "workloads": WorkloadRow,
    "knobs": Knob,
    "hazards": Hazard,
}

_OWN = ("order", "order_reason")
"""The fields that a row never takes over from the one that it is ``like``."""

_BASE = ("base", "packages", "containerfile")
_TORCH = ("torch", "torch_extra", "torch_day")
_INDEX = ("torch_index", "torch_from")
_COMPANIONS = ("torchaudio", "lock", "script", "pyannote")

_SIZES: Mapping[str, tuple[str, ...]] = {
    "base_bytes": ("base",),
    "largest_layer_bytes": ("base",),
    "wheel_bytes": (*_TORCH, *_INDEX),
    "disk_bytes": ("base", *_TORCH, *_INDEX),
}
_EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "base": _BASE,
    "torch": _TORCH,
    "companions": _COMPANIONS,
    "index": _INDEX,
    "size": ("base", *_TORCH, *_INDEX),
    "gfx1151": ("base", *_TORCH, *_INDEX),
}
"""The fields that each piece of evidence is about."""


def load_catalog(overlays: Iterable[Path] = ()) -> Catalog:
    """The shipped catalog, then the overlays of ``STRIXBENCH_CATALOG`` (``:`` between files), then these.

    Raises `CatalogError` naming file, line and the nearest known key.
    """
    from_environment = [Path(part) for part in os.environ.get("STRIXBENCH_CATALOG", "").split(os.pathsep) if part]
    return _merged((places.CONTAINERS / "catalog.toml", *from_environment, *overlays))


def shipped_catalog() -> Catalog:
    """The shipped catalog alone, which holds nothing of this host or its owner."""
    return _merged((places.CONTAINERS / "catalog.toml",))


def is_shipped(image: Image) -> bool:
    """Whether an image is as the shipped catalog has it: no overlay made or changed its row. The choice of a nightly's day and a
    wheelhouse do not count as changes."""
    shipped = shipped_catalog()
    row = shipped.images.get(image.portable_of or image.name)
    if row is None:
        return False
    if image.portable_of is not None and is_portable(row):
        row = portable(row, shipped)
    versions = {"torch": row.torch, "torchaudio": row.torchaudio} if row.lacks_day else {}
    return msgspec.structs.replace(image, wheelhouse=None, **versions) == row


def _merged(paths: Iterable[Path]) -> Catalog:
    """The rows of all files; a later file's row is laid over an earlier one's."""
    merged: dict[str, dict[str, dict[str, Any]]] = {table: {} for table in _TABLES}
    pipelines: tuple[str, ...] = ()
    for path in paths:
        for table, rows in _read(path).items():
            for name, fields in rows.items():
                merged[table][name] = laid_over(merged[table].get(name, {"name": name}), fields)
        pipelines = pipelines or tuple(merged["pipelines"])
    merged["images"] = {name: _with_model(name, merged["images"]) for name in merged["images"]}
    catalog = _typed(merged)
    for name in catalog.pipelines:
        if name not in pipelines:  # an overlay may change one; to load another, the guest needs code
            raise CatalogError(
                f"catalog row pipelines.{name}: the guest has no such pipeline{nearest(name, pipelines)}: "
                f"there are {', '.join(pipelines)}"
            )
    return catalog


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
        types = {field.name: field.type for field in msgspec.structs.fields(_TABLES[table]) if field.name not in _OURS}
        types |= {"like": str} if table == "images" else {}
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
    """Raise `CatalogError` for an unknown key in a value of a knob."""
    table, name, key = place
    known = KnobValue.__struct_fields__
    for of_value, parts in value.items() if (table, key) == ("knobs", "values") and isinstance(value, dict) else ():
        for part in parts if isinstance(parts, dict) else ():
            if part not in known:
                where = f"{path}:{_line(text, part, row=(table, name), anywhere=True)}"
                raise CatalogError(f"{where}: unknown key {part!r} in {table}.{name}.{key}.{of_value}{nearest(part, known)}")


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
    return laid_over({key: value for key, value in taken_over.items() if key not in _OWN}, fields)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ``above``, and those of ``below`` that it leaves alone and that still hold.

    A size or a piece of evidence is about certain fields. A row or an overlay that changes one of these takes over neither: the
    size of one base says nothing about another.
    """
    changed = {name for name, value in above.items() if below.get(name) != value}
    kept = {name: value for name, value in below.items() if not changed.intersection(_SIZES.get(name, ()))}
    known = {
        part: sentence
        for part, sentence in (below.get("evidence") or {}).items()
        if not changed.intersection(_EVIDENCE.get(part, ()))
    }
    evidence = known | dict(above.get("evidence") or {})
    return kept | dict(above) | ({"evidence": evidence} if evidence or "evidence" in kept else {})


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
    for row, fault in _faults(catalog):
        raise CatalogError(f"catalog row {row}: {fault}")
    return catalog


def _faults(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Each row in which something is wrong beyond its types, and what."""
    for name, variant in catalog.variants.items():
        if "+" in name:
            yield f"variants.{name}", "'+' in a name stands between a variant and its fixes"
        for stage in variant.mends:
            if stage not in (*STAGES, *STEPS):
                yield f"variants.{name}", f"it mends no stage or step {stage!r}{nearest(stage, (*STAGES, *STEPS))}"
        if fault := fault_of_variables(variant.environment):
            yield f"variants.{name}", fault
    for name, knob in catalog.knobs.items():
        if fault := fault_of_knob(name, knob):
            yield f"knobs.{name}", fault
    yield from ((f"workloads.{row.name}", fault) for row in catalog.workloads.values() for fault in _faults_of_workload(row))
    for name, image in catalog.images.items():
        for unknown in [variant for variant in image.variants if variant not in catalog.variants]:
            yield f"images.{name}", f"unknown variant {unknown!r}{nearest(unknown, catalog.variants)}"


def _faults_of_workload(row: WorkloadRow) -> Iterator[str]:
    """What is wrong with a row beyond its types."""
    if row.name == DIARIZATION:
        yield "its inputs are recordings: they are rows of [audio], and its pipelines of [pipelines]"
    for odd in (given for given in row.inputs if not WORD.match(given)):
        yield f"the input {odd!r} has signs other than letters, digits, '.', '_' and '-'"


def _line(text: str, key: str, *, row: tuple[str, str] | None = None, anywhere: bool = False) -> int:
    """The line of a key, after its row's header where that is given; ``anywhere``: also inside a value."""
    lines = text.splitlines()
    start = 0
    if row is not None:
        table, name = (re.escape(word) for word in row)
        header = re.compile(rf"""^\s*\[\s*["']?{table}["']?\s*\.\s*["']?{name}["']?\s*\]""")
        start = next((number for number, line in enumerate(lines) if header.match(line)), 0)
    before = r"[^#]*" if anywhere else r"\[*[^=#]*"
    wanted = re.compile(rf"""^\s*{before}\b{re.escape(key)}\b""")
    return next((number + 1 for number, line in enumerate(lines) if number >= start and wanted.match(line)), start + 1)
