"""What a check says."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "note", "warning", "problem", "unknown"]
STATUSES: tuple[Status, ...] = ("ok", "note", "warning", "problem", "unknown")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line. ``problem``: it stops a bench of something that this host is made for; ``warning``: it may, or it
    costs; ``note``: good to know; ``unknown``: could not be found out here."""

    subject: str
    check: str
    status: Status
    found: str
    why: str = ""
    fix: str = ""
    """A command, fit to paste; empty: there is none."""
    source: str = ""


class Subject(msgspec.Struct, frozen=True):
    """What findings are about: a heading of the page."""

    name: str

    def says(self, check: str, status: Status, found: str, *, why: str = "", fix: str = "", source: str = "") -> Finding:
        """A finding of this subject."""
        return Finding(subject=self.name, check=check, status=status, found=found, why=why, fix=fix, source=source)
