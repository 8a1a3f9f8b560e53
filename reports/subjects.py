"""The first columns of most tables: which image, on which engine, in which mode, ran what."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.rows import Row
from harness.records.launch import Launch
from harness.workloads.workload import Workload
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


def work_columns(rows: Sequence[Row]) -> tuple[Column, Column]:
    """The heads of `work_cells`, in the words of what ran."""
    workloads = {row.workload for row in rows}
    only = workloads.pop() if len(workloads) == 1 else Workload()
    return Column(only.profile_title), Column(only.input_title)


def work_cells(row: Row) -> tuple[str, str]:
    """What ran, and on what: ``3.1`` and ``sample-30s, 30.0 s``."""
    workload, unit = row.speaking.plan.workload, row.workload.unit
    amount = unit.brief_text(workload.amount) if unit else f"{workload.amount:g}"
    return workload.profile, f"{workload.input}, {amount}"
