"""Launches -> the matrix of images and the probe's steps, with the evidence for what failed."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.probe_rows import COLUMNS as COLUMNS
from harness.analysis.probe_rows import Cell, Probe
from harness.analysis.probe_rows import probes_of as probes_of


def notes_of(probes: Iterable[Probe]) -> dict[str, tuple[str, ...]]:
    """Each note with the images that have it, since most images have the same notes."""
    said: dict[str, list[str]] = {}
    for probe in probes:
        for note in probe.notes:
            said.setdefault(note, []).append(f"{probe.launch.image} ({probe.launch.plan.variant})")
    return {note: tuple(images) for note, images in said.items()}


def cell_text(cell: Cell) -> str:
    """``ok 12 ms``, ``crashed (SIGSEGV); passes with miopen-off``; parts of it may come out of a container."""
    more = format_step_seconds(cell.seconds) if cell.seconds is not None else f"({cell.why})" if cell.why else ""
    text = f"{cell.state} {more}".rstrip()
    return f"{text}; passes with {' or '.join(cell.passes_with)}" if cell.passes_with else text


def format_step_seconds(seconds: float) -> str:
    """``0.35 ms``, ``12 ms``, ``3.51 s``"""
    if seconds < 0.001:
        return f"{seconds * 1000:.2f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
