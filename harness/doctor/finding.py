"""What a check says."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "note", "warning", "problem", "unknown"]
STATUSES: tuple[Status, ...] = ("ok", "note", "warning", "problem", "unknown")


class Finding(msgspec.Struct, frozen=True):
    """One line. ``problem``: it stops a bench of something that this host is made for; ``warning``: it may, or it
    costs; ``note``: good to know; ``unknown``: this cannot be found out here."""

    subject: str
    """A heading of the page."""
    check: str
    status: Status
    found: str
    why: str = ""
    fix: str = ""
    """A command to paste; empty: there is none."""
    source: str = ""
