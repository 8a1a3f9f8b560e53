"""Which versions really ran, as the image itself says."""

from __future__ import annotations

from harness.analysis.rows import Row
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
    found, device = launch.said.found("import"), launch.said.found("device")
    torch = found.fields("torch")
    blas = torch.text("blas") or "-"
    preferred = device.text("preferred_blas")
    return (
        row.image,
        f"{row.engine} {engine.version or ''}",
        (image.id or "-").rpartition(":")[2][:12],
        image.family or "-",
        *(value or "-" for value in (found.text("python"), torch.text("version"), torch.text("hip"), torch.text("cuda"))),
        launch.said.version_of("pyannote.audio") or "-",
        device.text("gfx_target") or "-",
        " ".join(torch.texts("architectures")[:MOST_WORDS]) or "-",
        f"{blas}, {preferred}" if preferred else blas,
        device.text("miopen") or device.text("cudnn") or "-",
    )
