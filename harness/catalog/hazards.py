"""Known hazards of an image on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from harness.catalog.knobs import Situation, is_hazard
from harness.catalog.rows import Catalog, Cell, Image


def hazards_of(known: Catalog, cell: Cell, family: str | None, targets: Sequence[str]) -> tuple[str, ...]:
    """The known hazards of a cell on GPUs of these targets, each a sentence with its source."""
    situation = Situation(
        family=family,
        rocm=rocm_of(cell.image),
        native=cell.image.native,
        targets=tuple(targets),
        environment=cell.variant.environment,
        guest=cell.variant.guest,
        segmentation_batch_size=cell.pipeline.segmentation_batch_size,
        embedding_batch_size=cell.pipeline.embedding_batch_size,
    )
    return tuple(
        f"hazard {row.name}: {row.description} ({row.source})" for row in known.hazards.values() if is_hazard(row, situation)
    )


def rocm_of(image: Image) -> str | None:
    """The ROCm that an image's torch is built for: by torch's version, since HIP's may differ (ROCm 10 has HIP 7.15), else by the
    row's ``expected``; ``None`` where its row does not say, and where its nightly is still to be chosen."""
    _, rocm, version = (image.torch or "").partition("+rocm")
    if rocm:
        return version
    return image.expected if image.family in ("rocm", "therock") and not image.lacks_day else None
