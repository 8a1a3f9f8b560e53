"""What the networks of each row compute for one made-up chunk, compared bit by bit."""

from __future__ import annotations

from harness.analysis.fingerprint_rows import FingerprintRow, fingerprint_rows
from reports.page import Page
from reports.subjects import SUBJECT, subject_cells
from reports.table import Column, Inline, Section, Table, code, paragraph, prose

_WHAT = (
    "One made-up chunk of sound through the synthetic pipeline's networks, one thread: SHA-256 of what comes out (the first twelve "
    "digits). One build of torch on one instruction set should give the same bits in every image; another gives other last digits, and "
    "the largest difference of 64 sampled values is shown. It says whether images compute the same, not whether they are right."
)

_HEADS = ("PyTorch", "Device", "Kernels", "Segmentation", "Embedding", "Against the reference")


def section(page: Page) -> Section | None:
    rows = fingerprint_rows((*page.rows, *page.portable_rows))
    if not rows:
        return None
    table = Table(
        title="Numeric fingerprint",
        answers="Do the images compute the same numbers to the last bit?",
        columns=(*SUBJECT, *map(Column, _HEADS)),
        rows=tuple(map(_cells, rows)),
    )
    return Section(table.title, (paragraph(prose(_WHAT)), table))


def _cells(each: FingerprintRow) -> tuple[Inline, ...]:
    found = each.fingerprint
    return (
        *subject_cells(each.row.speaking),
        found.torch,
        found.device,
        found.cpu_capability or "-",
        code(found.segmentation.short),
        code(found.embedding.short),
        each.against,
    )
