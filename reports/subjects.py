"""The first columns of most tables: which image, on which engine, in which mode, ran what."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.rows import Row
from harness.records.launch import Launch
from reports.table import Column

IMAGE = Column("Image")
ENGINE = Column("Engine")
GFX = Column("GFX", dispensable=9)
SUBJECT = (IMAGE, ENGINE, GFX)
"""The heads of `subject_cells`"""


def subject_cells(launch: Launch) -> tuple[str, str, str]:
    """Image, engine and GFX mode."""
    return launch.image, launch.plan.engine.title, launch.plan.variant


def subject_text(launch: Launch) -> str:
    """``rocm72 (podman rootless, native)``"""
    return f"{launch.image} ({launch.plan.engine.title}, {launch.plan.variant})"


def work_columns(rows: Sequence[Row], *, profile: str = "Pipeline", amount: str = "Audio") -> tuple[Column, ...]:
    """The heads of `work_cells`."""
    return Column(profile), Column(amount)


def work_cells(row: Row) -> tuple[str, str]:
    """What ran, and on what: ``3.1`` and ``sample-30s, 30.0 s``."""
    workload = row.speaking.plan.workload
    return workload.profile, f"{workload.input}, {workload.amount:.1f} s"
