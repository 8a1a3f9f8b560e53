"""The tables of `list`: the catalog's images with their pins, the cells that could be run, and the knobs.

Reads only the devices and the nightlies that were chosen, and imports nothing heavy.
"""

from __future__ import annotations

import fnmatch
import textwrap
from collections.abc import Sequence
from typing import Any

from harness.catalog.rows import Catalog, Image
from harness.catalog.select import select_variants, works
from harness.engines.devices import obstacles_to
from harness.errors import UsageError
from harness.images.nightlies import with_kept_day
from harness.text import nearest

_COLUMNS = ("image", "family", "torch", "pyannote", "variants", "gfx1151", "base", "runs_here")
_TITLES = ("IMAGE", "FAMILY", "TORCH", "PYANNOTE", "GFX", "GFX1151 KERNELS", "BASE DIGEST", "RUNS HERE")


def image_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """A row for each image."""
    images = tuple(map(with_kept_day, catalog.images.values()))
    obstacles = obstacles_to(images)
    return [
        {
            "image": image.name,
            "family": image.family,
            "engine": image.engine,
            "torch": image.torch,
            "nightly": image.torch_day if image.lacks_day else None,
            "torchaudio": image.torchaudio,
            "torch_index": image.torch_index,
            "expected": image.expected,
            "pyannote": image.pyannote,
            "lock": image.lock,
            "variants": [variant.name for variant in select_variants(catalog, image, None)],
            "gfx1151": {True: "yes", False: "no", None: "?"}[image.native] if image.family in ("rocm", "therock") else "-",
            "base": _base_state(image),
            "todo": image.todo,
            "description": image.description,
            "obstacles": obstacles[image.name],
            "order": image.order,
            "order_reason": image.order_reason,
            "base_reference": image.base,
            "base_bytes": image.base_bytes,
            "largest_layer_bytes": image.largest_layer_bytes,
            "wheel_bytes": image.wheel_bytes,
            "disk_bytes": image.disk_bytes,
            "evidence": image.evidence,
        }
        for image in images
    ]


def cell_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """A row for each cell."""
    images = tuple(map(with_kept_day, catalog.images.values()))
    obstacles = obstacles_to(images)
    return [
        {
            "cell": f"{image.name}/{variant.name}/{work}",
            "image": image.name,
            "family": image.family,
            "engine": image.engine,
            "torch": image.torch,
            "nightly": image.torch_day if image.lacks_day else None,
            "base": image.base,
            "description": image.description,
            "obstacles": obstacles[image.name],
        }
        for image in images
        for variant in select_variants(catalog, image, None)
        for work in works(catalog)
    ]


def knob_rows(catalog: Catalog) -> list[dict[str, Any]]:
    """A row for each knob."""
    return [
        {
            "knob": knob.name,
            "takes": knob.takes,
            "families": knob.families,
            "workloads": knob.workloads,
            "values": {
                name: {"environment": each.environment, "guest": each.guest, "unset": each.unset, "options": each.options}
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
    table += [
        (row["knob"], row["takes"], " ".join((*row["families"], *row["workloads"])) or "all", row["description"])
        for row in rows
    ]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]) - 1)]
    return ["  ".join([*map(str.ljust, line, widths), line[-1]]) for line in table]


def select_rows(rows: list[dict[str, Any]], patterns: Sequence[str] | None, catalog: Catalog) -> list[dict[str, Any]]:
    """The rows whose cell, image or knob a pattern matches; all rows without a pattern.

    Raises `UsageError` with the nearest name where no row matches.
    """
    if not patterns:
        return rows
    keys = ("cell", "image", "knob")
    chosen = [
        row for row in rows if any(fnmatch.fnmatchcase(str(row.get(key)), pattern) for pattern in patterns for key in keys)
    ]
    if not chosen:
        what = next(key for key in keys if key in rows[0])
        known = catalog.knobs if what == "knob" else catalog.images
        raise UsageError(f"no {what} matches {' '.join(patterns)}{nearest(patterns[0], known)}")
    return chosen


def write_images(rows: Sequence[dict[str, Any]], *, width: int | None) -> list[str]:
    """The image rows as an aligned table, or as paragraphs if a terminal of this width would break its lines; then which image
    to try first. ``None``: no terminal, such as a pipe."""
    table: list[tuple[str, ...]] = [_TITLES]
    for row in rows:
        shown = {**row, "torch": _torch(row), "variants": " ".join(row["variants"]), "runs_here": _runs_here(row)}
        table.append(tuple(str(shown[column] or "?") for column in _COLUMNS))
    widths = [max(len(line[column]) for line in table) for column in range(len(_COLUMNS) - 1)]
    lines = ["  ".join([*map(str.ljust, line, widths), line[-1]]) for line in table]
    if width is not None and max(map(len, lines)) > width:
        lines = [line for row in rows for line in _paragraph(row, width)]
    return [*lines, *_order(rows, width or 120)]


def _paragraph(row: dict[str, Any], width: int) -> list[str]:
    """One image in a few lines, its name first."""
    facts = [str(row["family"] or "any family"), f"torch {_torch(row)}", f"pyannote.audio {row['pyannote'] or '?'}"]
    runs = " or ".join(row["variants"])
    if row["gfx1151"] != "-":
        runs += {"yes": ", kernels of gfx1151: yes", "no": ", kernels of gfx1151: no"}.get(row["gfx1151"], "")
    texts = (row["description"], ", ".join(facts), f"{runs}; base: {row['base']}", f"runs here: {_runs_here(row)}")
    return [str(row["image"]), *(line for text in texts for line in _indented(text, width))]


def _order(rows: Sequence[dict[str, Any]], width: int) -> list[str]:
    """Which images to try first, and why; nothing if no row has a place in that order."""
    placed = sorted((row for row in rows if row["order"] is not None), key=lambda row: int(row["order"]))
    if not placed:
        return []
    texts = [f"{row['order']}. {row['image']}: {row['order_reason']}" for row in placed]
    return ["", "On a Strix Halo, try first:", *(line for text in texts for line in _indented(text, width, hang="   "))]


def _indented(text: str, width: int, *, hang: str = "") -> list[str]:
    return textwrap.wrap(
        text, max(width, 40), initial_indent="  ", subsequent_indent=f"  {hang}", break_long_words=False, break_on_hyphens=False
    )


def write_cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each cell row."""
    width = max(len(str(row["cell"])) for row in rows)
    return [
        f"{row['cell']:<{width}}  {row['family'] or '?':<7} {row['engine']:<9} torch {_torch(row)}  "
        f"runs here: {_runs_here(row)}"
        for row in rows
    ]


def _runs_here(row: dict[str, Any]) -> str:
    return f"no: {'; '.join(row['obstacles'])}" if row["obstacles"] else "yes"


def _torch(row: dict[str, Any]) -> str:
    """The image's torch; in words if the nightly is chosen at the build."""
    if row["nightly"] is None:
        return str(row["torch"] or "?")
    return f"{row['torch']}, {'newest nightly' if row['nightly'] == 'newest' else 'nightly of ' + str(row['nightly'])}"


def _base_state(image: Image) -> str:
    if image.engine == "local":
        return "none"
    if image.todo:
        return "TODO"
    return "pinned" if "@sha256:" in (image.base or "") else "local"
