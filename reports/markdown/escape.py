"""Text that came from anywhere -> Markdown that shows it as it is."""

from __future__ import annotations

import re

from harness.text import without_controls

_ENTITY_OF = {
    **{sign: f"\\{sign}" for sign in "\\`*_{}[]#|~$"},
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    "@": "&#64;",
}
"""Characters that mean something to Markdown, or to HTML in it, inside a line; ``@`` would notify a person on GitHub."""


def escape_text(value: object) -> str:
    """Plain text for a line or a table's cell. Blanks at its ends stay, as one."""
    line = re.sub(r"\s+", " ", without_controls(str(value)))
    escaped = "".join(_ENTITY_OF.get(sign, sign) for sign in line)
    # A bare address would become a link without any of Markdown's own characters.
    return escaped.replace("://", ":&#47;/").replace("www.", "www&#46;")


def source_text(text: str) -> str:
    """Where something is known from. It is from our own file, so an address may be a link."""
    return f"<{text}>" if re.fullmatch(r"https://[^\s<>]+", text) else escape_text(text)


def code_span(value: object) -> str:
    """Text as code inside a line or a table's cell."""
    text = " ".join(without_controls(str(value)).split()).replace("|", "\N{BROKEN BAR}") or " "
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    if not longest:
        return f"`{text}`"
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def code_block(value: object, language: str = "text") -> str:
    """Text as a fenced block, whose fence is longer than any in the text."""
    text = without_controls(str(value).replace("\r\n", "\n").replace("\r", "\n")).rstrip()
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
