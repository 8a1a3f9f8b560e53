"""A section -> Markdown. All text is escaped here, and nowhere before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reports.markdown.escape import code_block, code_span, escape_text, source_text
from reports.table import Block, Inline, Items, Listing, Paragraph, Section, Span, Style, Table, spans_of

_DRAWN: Mapping[Style, Callable[[str], str]] = {
    "text": escape_text,
    "number": str,
    "code": code_span,
    "strong": lambda text: f"**{escape_text(text)}**",
    "prose": str,
    "source": source_text,
}


def draw_section(section: Section, *, level: int = 2) -> str:
    """A heading and its blocks, a blank line between each two, without a newline at the end."""
    heading = [f"{'#' * level} {draw_words(section.title)}"] if section.title else []
    return "\n\n".join([*heading, *(_block(block, level) for block in section.blocks)])


def draw_table(table: Table) -> str:
    """A table, and below it its notes as a list. Its title is its section's matter, and all columns begin at the left."""
    head = [draw_words(column.title) for column in table.columns]
    lines = [head, ["---"] * len(head), *([draw_words(cell) for cell in row] for row in table.rows)]
    drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([drawn, *([_items(Items(items=table.notes))] if table.notes else [])])


def draw_words(words: Inline) -> str:
    """Words for a line or a cell."""
    return " ".join("".join(map(_span, spans_of(words))).split())


def _span(span: Span) -> str:
    drawn = _DRAWN[span.style](span.text)
    return f"~~{drawn}~~" if span.is_struck else drawn


def _block(block: Block, level: int) -> str:
    match block:
        case Section():
            return draw_section(block, level=level + 1)
        case Table():
            return draw_table(block)
        case Paragraph():
            return "\n".join(map(draw_words, block.lines))
        case Listing():
            return code_block(block.text, block.language)
        case Items():
            return _items(block)


def _items(block: Items) -> str:
    lead = [draw_words(block.lead)] if block.lead else []
    return "\n".join([*lead, *(f"- {draw_words(item)}" for item in block.items)])
