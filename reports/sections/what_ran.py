"""Which versions really ran, as the image itself says."""

from __future__ import annotations

from typing import Any

from harness.analysis.rows import Row
from harness.records.journal import mapping
from reports.page import Page
from reports.subjects import ENGINE, IMAGE
from reports.table import Column, Section, Table

_HEADS = (
    *("Image id", "Family", "Python", "PyTorch", "HIP", "CUDA", "pyannote.audio", "GPU"),
    *("Kernels for", "BLAS", "MIOpen or cuDNN"),
)

MOST_WORDS = 30


def section(page: Page) -> Section | None:
    if not page.rows:
        return None
    table = Table(
        title="What ran",
        answers="Which software was in each image?",
        columns=(IMAGE, ENGINE, *map(Column, _HEADS)),
        rows=tuple(dict.fromkeys(map(_cells, page.rows_by_name))),
    )
    return Section(table.title, (table,))


def _cells(row: Row) -> tuple[str, ...]:
    launch, image, engine = row.speaking, row.speaking.plan.image, row.speaking.plan.engine
    found, device = launch.ends("import"), launch.ends("device")
    torch = mapping(found.get("torch"))
    blas = str(torch.get("blas") or "-")
    preferred = device.get("preferred_blas")
    return (
        row.image,
        f"{row.engine} {engine.version or ''}",
        (image.id or "-").rpartition(":")[2][:12],
        image.family or "-",
        *(_said(value) for value in (found.get("python"), torch.get("version"), torch.get("hip"), torch.get("cuda"))),
        _said(launch.imports.get("pyannote.audio", {}).get("version")),
        _said(device.get("gfx_target")),
        _words(torch.get("architectures")),
        f"{blas}, {preferred}" if preferred else blas,
        _said(device.get("miopen") or device.get("cudnn")),
    )


def _said(value: Any) -> str:
    """A journal's value as text; a dash where there is none."""
    return str(value or "-")


def _words(value: object) -> str:
    """A journal's list as words; a dash where it is no list, or empty: a CPU's torch has no kernels for a GPU."""
    return " ".join(str(word) for word in value[:MOST_WORDS]) or "-" if isinstance(value, list) else "-"
