"""Each image's measured ceilings, kernel by kernel, and the share of them that whole passes reach."""

from __future__ import annotations

from harness.analysis.intervals import Estimate
from harness.analysis.kernel_rows import KernelImage, KernelRow, Share, kernel_images
from reports.page import Page
from reports.table import Block, Column, Inline, Items, Section, Table, paragraph, prose, strong
from reports.values import count, number, with_spread

_WHAT = (
    "The latest `strixbench kernels` of each image: what pyannote's networks are made of, each kernel by itself in float32 at the "
    "networks' shapes, the device synchronised after each call. Time is the median over n launches of each launch's median call, with [a "
    "95% interval] from six launches on, (the extremes) below that; the first call, with what a library searches and compiles for it, is "
    "apart. FLOP and bytes are counted from the shapes, a multiplication and an addition as two, each tensor moved once: GB/s is what "
    "must be moved at least. A share is the counted work of a stage of diarization by that stage's time in `bench`, beside the image's "
    "best kernel."
)


def section(page: Page) -> Section | None:
    images = [image for image in kernel_images(page.launches) if image.speaking.plan.image.portable_of is None]
    return Section("Kernels and ceilings", (paragraph(prose(_WHAT)), *map(image_section, images))) if images else None


def image_section(image: KernelImage) -> Section:
    """One image: its ceilings, what could not be timed, and each kernel."""
    plan = image.speaking.plan
    portable = ", portable build: nobody's result" if plan.image.portable_of else ""
    table = Table(
        title=f"{plan.image.name} ({plan.engine.title}, {plan.variant}, {plan.device}{portable})",
        answers="How fast is each kind of computation in this image by itself?",
        columns=(
            *(Column("Kernel"), Column("Shape"), Column("Time"), Column("First call", "right"), Column("GFLOP/s", "right")),
            *(Column("GB/s", "right"), Column("n", "right"), Column("Calls", "right")),
        ),
        rows=tuple(map(_cells, image.rows)),
    )
    lines: tuple[Inline, ...] = (*_ceilings(image), *((strong("Not timed"), f": {name}: {why}") for name, why in image.bad))
    ceilings: list[Block] = [Items(items=lines)] if lines else []
    return Section(table.title, (*ceilings, table))


def _cells(row: KernelRow) -> tuple[Inline, ...]:
    return (
        row.name,
        row.shape,
        number(format_time(row.seconds)),
        number(format_call(row.first_seconds)),
        number(format_rate(row.flop_rate)),
        number(format_rate(row.byte_rate)),
        count(row.seconds.n),
        count(row.calls),
    )


def _ceilings(image: KernelImage) -> tuple[str, ...]:
    """The best rates, and how much of them whole passes reach."""
    best, copy = image.best_compute, image.copy
    lines = []
    if best is not None:
        lines.append(f"Best compute rate: {format_rate(best.flop_rate)} GFLOP/s in {best.name}, n = {best.seconds.n}")
    if copy is not None:
        lines.append(f"Copy: {format_rate(copy.byte_rate)} GB/s read and written, n = {copy.seconds.n}")
    return (*lines, *map(_share_text, image.shares))


def _share_text(share: Share) -> str:
    return (
        f"{share.profile} on {share.input}: {share.stage} reaches {share.share:.1%} of the best compute rate: "
        f"{share.flop / 1e9:.4g} GFLOP counted in {format_time(share.seconds)}, n = {share.seconds.n} of bench"
    )


def format_time(value: Estimate) -> str:
    """``12.3 ms [11.9, 12.8]``: an interval in brackets, mere extremes in parentheses."""
    unit, scale = ("s", 1.0) if value.median >= 1 else ("ms", 1e3)
    return with_spread(value, lambda seconds: _digits(seconds * scale), f" {unit}")


def format_call(value: float | None) -> str:
    """``12.3 ms``"""
    if value is None:
        return "-"
    return f"{_digits(value)} s" if value >= 1 else f"{_digits(value * 1e3)} ms"


def format_rate(value: float) -> str:
    """In thousand millions; a dash where there is none."""
    return _digits(value / 1e9) if value else "-"


def _digits(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.001 else f"{value:.6f}"
