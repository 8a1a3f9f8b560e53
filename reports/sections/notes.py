"""What launches noted, though they passed."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.rows import Row
from reports.page import Page
from reports.status import broken_imports
from reports.table import Inline, Items, Section, code


def section(page: Page) -> Section | None:
    notes = tuple(dict.fromkeys(note for row in page.rows_by_name for note in _notes(row)))
    return Section("Notes", (Items(items=notes),)) if notes else None


def _notes(row: Row) -> Iterator[Inline]:
    yield from (f"{row.image}: {note}" for note in row.speaking.notes)
    if row.status == "pass":
        for name, cause in broken_imports(row.speaking):
            yield f"{row.image}: import ", code(name), f" fails, and pyannote.audio does without it: {cause}"
