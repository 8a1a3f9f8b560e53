"""The matrix of images and the probe's steps, with the evidence for what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.probe_rows import COLUMNS, Cell, Probe, probes_of
from harness.records.launch import Launch
from reports.page import Page
from reports.sections.failures import known_failure
from reports.subjects import ENGINE, IMAGE, subject_cells, subject_text
from reports.table import Block, Column, Inline, Items, Listing, Section, Table, code, paragraph, prose, strong

_WHAT = (
    "The latest `strixbench probe` of each image: what pyannote computes, each step in a fresh process and compared with the CPU in "
    "float64. The time is the best of a few calls after the first: it shows that a step works, and ranks nothing. Weights are random, "
    "inputs are noise. Audio always reaches pyannote as a waveform in memory."
)


def section(page: Page) -> Section | None:
    probes = probes_of(page.launches)
    if not probes:
        return None
    notes = [f"{', '.join(images)} said: {note}" for note, images in _notes_of(probes).items()]
    return Section(
        "Probe: image x step",
        (
            paragraph(prose(_WHAT)),
            probes_table(probes),
            *(evidence(probe) for probe in probes if probe.bad),
            *([Items(items=tuple(notes))] if notes else []),
        ),
    )


def probes_table(probes: Sequence[Probe]) -> Table:
    """An image a row, a step a column."""
    return Table(
        title="Probe: image x step",
        answers="Which steps of the work does each image compute right, each in a process of its own?",
        columns=(IMAGE, ENGINE, Column("Variant"), *map(Column, COLUMNS)),
        rows=tuple((*_subject(probe), *map(cell_text, probe.cells)) for probe in probes),
    )


def looks_table(launches: Sequence[Launch]) -> Table:
    """An image a row: what a probe saw before its steps."""
    heads = ("Python", "PyTorch", "HIP", "CUDA", "pyannote.audio", "Device", "Status")
    return Table(
        title="Probe: imports and device",
        answers="Can each image import what it needs and use its device?",
        columns=(IMAGE, ENGINE, *map(Column, heads)),
        rows=tuple(map(_look, launches)),
    )


def _look(launch: Launch) -> tuple[str, ...]:
    said, verdict = launch.said, launch.verdict
    imported = said.found("import")
    torch = imported.fields("torch")
    found = (imported.text("python"), torch.text("version"), torch.text("hip"), torch.text("cuda"))
    return (
        launch.image,
        launch.plan.engine.title,
        *(value or "-" for value in (*found, said.version_of("pyannote.audio"), said.found("device").text("name"))),
        "PASS" if verdict.status == "pass" else f"FAIL in {verdict.stage}: {verdict.cause}",
    )


def evidence(probe: Probe) -> Section:
    """Why each bad step of a probe is bad, and what is known to help."""
    tails = [cell for cell in probe.bad if cell.tail]
    blocks: list[Block] = [
        paragraph(("Launch ", code(probe.launch.id), ".")),
        Items(items=tuple(map(_said, probe.bad))),
    ]
    if tails:
        blocks += [paragraph(("The last that ", code(tails[0].step), " printed:")), Listing(tails[0].tail)]
    return Section(f"Probe of {subject_text(probe.launch)}", tuple(blocks))


def _subject(probe: Probe) -> tuple[str, str, str]:
    image, engine, variant = subject_cells(probe.launch)
    return f"{image} (portable, no GPU)" if probe.launch.plan.image.portable_of else image, engine, variant


def _said(cell: Cell) -> Inline:
    """One bad step, in a line."""
    verdict = cell.verdict
    known = known_failure(cell.signature) if cell.signature else ()
    said = (strong(cell.step), f": {cell_text(cell)}. {verdict.summary if verdict else ''}")
    return (*said, *(part for inline in known for part in (" ", *inline)))


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


def _notes_of(probes: Iterable[Probe]) -> dict[str, tuple[str, ...]]:
    """Each note with the images that have it, since most images have the same notes."""
    said: dict[str, list[str]] = {}
    for probe in probes:
        for note in probe.notes:
            said.setdefault(note, []).append(f"{probe.launch.image} ({probe.launch.plan.variant})")
    return {note: tuple(images) for note, images in said.items()}
