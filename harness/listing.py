"""What `strixbench list` shows: the catalog's images with their pins, and the cells that could be run. Pure but for a look
at the devices; imports nothing heavy."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from harness.catalog import Catalog, Image, nearest, select_variants
from harness.devices import obstacles_to
from harness.errors import UsageError

_COLUMNS = ("image", "family", "torch", "pyannote", "variants", "gfx1151", "base", "runs_here")
_TITLES = ("IMAGE", "FAMILY", "TORCH", "PYANNOTE", "GFX", "GFX1151 KERNELS", "BASE DIGEST", "RUNS HERE")


def image_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """One row an image."""
    return [
        {
            "image": image.name,
            "family": image.family,
            "engine": image.engine,
            "torch": image.torch,
            "torch_index": image.torch_index,
            "expected": image.expected,
            "pyannote": image.pyannote,
            "lock": image.lock,
            "variants": [variant.name for variant in select_variants(catalog, image, None)],
            "gfx1151": {True: "yes", False: "no", None: "?"}[image.native] if image.family in ("rocm", "therock") else "-",
            "base": _base_state(image),
            "todo": image.todo,
            "description": image.description,
            "obstacles": obstacles_to(image),
        }
        for image in catalog.images.values()
    ]


def cell_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """One row a cell."""
    return [
        {
            "cell": f"{image.name}/{variant.name}/{pipeline}/{audio.name}{f'-{audio.seconds:.0f}s' if audio.seconds else ''}",
            "image": image.name,
            "family": image.family,
            "engine": image.engine,
            "torch": image.torch,
            "base": image.base,
            "description": image.description,
            "obstacles": obstacles,
        }
        for image, obstacles in ((image, obstacles_to(image)) for image in catalog.images.values())
        for variant in select_variants(catalog, image, None)
        for pipeline in catalog.pipelines
        for audio in catalog.audio.values()
    ]


def knob_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """One row a knob."""
    return [
        {
            "knob": knob.name,
            "takes": knob.takes,
            "families": knob.families,
            "values": {
                name: {"environment": each.environment, "guest": each.guest, "unset": each.unset}
                for name, each in knob.values.items()
            },
            "number": knob.number,
            "description": knob.description,
            "source": knob.source,
        }
        for knob in catalog.knobs.values()
    ]


def write_knobs(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The knob rows as an aligned table."""
    table = [("KNOB", "VALUES", "BEARS ON", "WHAT")]
    table += [(row["knob"], row["takes"], " ".join(row["families"]) or "all", row["description"]) for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]) - 1)]
    return ["  ".join([*map(str.ljust, line, widths), line[-1]]) for line in table]


def select_rows(rows: list[dict[str, Any]], patterns: Sequence[str], catalog: Catalog) -> list[dict[str, Any]]:
    """The rows whose cell or image a pattern matches. Raises `UsageError` with the nearest image where none does."""
    keys = ("cell", "image", "knob")
    chosen = [
        row for row in rows if any(fnmatch.fnmatchcase(str(row.get(key)), pattern) for pattern in patterns for key in keys)
    ]
    if not chosen:
        what = next(key for key in keys if key in rows[0])
        known = catalog.knobs if what == "knob" else catalog.images
        raise UsageError(f"no {what} matches {' '.join(patterns)}{nearest(patterns[0], known)}")
    return chosen


def write_images(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The image rows as an aligned table."""
    table: list[tuple[str, ...]] = [_TITLES]
    for row in rows:
        shown = {**row, "variants": " ".join(row["variants"]), "runs_here": _runs_here(row)}
        table.append(tuple(str(shown[column] or "?") for column in _COLUMNS))
    widths = [max(len(line[column]) for line in table) for column in range(len(_COLUMNS) - 1)]
    return ["  ".join([*map(str.ljust, line, widths), line[-1]]) for line in table]


def write_cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The cell rows, a line each."""
    width = max(len(str(row["cell"])) for row in rows)
    return [
        f"{row['cell']:<{width}}  {row['family'] or '?':<7} {row['engine']:<9} torch {row['torch'] or '?'}  "
        f"runs here: {_runs_here(row)}"
        for row in rows
    ]


def _runs_here(row: dict[str, Any]) -> str:
    return f"no: {'; '.join(row['obstacles'])}" if row["obstacles"] else "yes"


def _base_state(image: Image) -> str:
    if image.engine == "local":
        return "none"
    if image.todo:
        return "TODO"
    return "pinned" if "@sha256:" in (image.base or "") else "local"
