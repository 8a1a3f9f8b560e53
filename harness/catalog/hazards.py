"""Known hazards of an image on a GPU."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.catalog.knobs import Hazard
from harness.catalog.rows import Catalog, Cell, Image


def hazards_of(known: Catalog, cell: Cell, family: str | None, targets: Sequence[str]) -> tuple[str, ...]:
    """The known hazards of a cell on GPUs of these targets, each a sentence with its source."""
    rows = [row for row in known.hazards.values() if _is_hazard(row, cell, family, targets)]
    return tuple(f"hazard {row.name}: {row.description} ({row.source})" for row in rows)


def _is_hazard(row: Hazard, cell: Cell, family: str | None, targets: Sequence[str]) -> bool:
    """Whether all conditions of the row hold."""
    image, variant, numbers, rocm = cell.image, cell.variant, cell.profile.numbers, rocm_of(cell.image)
    return (
        (not row.families or family in row.families)
        and (not row.targets or bool(set(row.targets) & set(targets)))
        and (row.native is None or image.native is row.native)
        and (row.rocm_before is None or rocm is None or release(rocm) < release(row.rocm_before))
        and all(variant.environment.get(name) == value for name, value in row.environment.items())
        and not set(row.unless_guest) & set(variant.guest)
        and (row.segmentation_batch_from is None or numbers.get("segmentation_batch_size", 0) >= row.segmentation_batch_from)
        and (row.embedding_batch_from is None or numbers.get("embedding_batch_size", 0) >= row.embedding_batch_from)
    )


def rocm_of(image: Image) -> str | None:
    """The ROCm that an image's torch is built for: by torch's version, since HIP's may differ (ROCm 10 has HIP 7.15), else by the
    row's ``expected``; ``None`` where its row does not say, and where its nightly is still to be chosen."""
    _, rocm, version = (image.torch or "").partition("+rocm")
    if rocm:
        return version
    return image.expected if image.family in ("rocm", "therock") and not image.lacks_day else None


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, without trailing zeros: ``10.1.0a20260822`` -> (10, 1)."""
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(number) for number in match.group().split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
