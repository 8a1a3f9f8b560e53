"""The first columns of most tables: which image, on which engine, in which mode, ran what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from harness.analysis.rows import Row
from harness.records.launch import Launch
from harness.workloads.workload import Unit, Workload
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


def unit_of(workload: Workload) -> Unit:
    """The unit of what has rows."""
    return workload.unit or Unit(amount="", rate_title="Rate")


def by_workload(rows: Iterable[Any], workload_of: Callable[[Any], Workload]) -> Iterable[tuple[Workload, Sequence[Any]]]:
    """The rows by what ran, whose words are in the heads of their table."""
    found: dict[Workload, list[Any]] = {}
    for row in rows:
        found.setdefault(workload_of(row), []).append(row)
    return found.items()


def work_columns(rows: Sequence[Row]) -> tuple[Column, Column]:
    """The heads of `work_cells`, in the words of what ran."""
    workloads = {row.workload for row in rows}
    only = workloads.pop() if len(workloads) == 1 else Workload()
    return Column(only.profile_title, dispensable=5), Column(only.input_title, dispensable=5)


def work_cells(row: Row) -> tuple[str, str]:
    """What ran, and on what: ``3.1`` and ``sample-30s, 30.0 s``."""
    workload = row.speaking.plan.workload
    return workload.profile, f"{workload.input}, {unit_of(row.workload).brief_text(workload.amount)}"
