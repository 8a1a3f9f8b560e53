"""What a page is made of: the launches, and the rows that speak for them, made once for all sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from harness.records.launch import Launch
from harness.records.price import NO_PRICE, Price
from reports.tables import Row, by_name, rows_of

Filters = Mapping[str, Callable[..., Any]]
"""The name that a template uses -> the function"""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One store, as all sections see it."""

    launches: Sequence[Launch]
    every_row: tuple[Row, ...]
    """All rows, portable builds among them"""
    price: Price = NO_PRICE

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of images as they are, without portable builds, in the order of the results."""
        return tuple(row for row in self.every_row if not row.is_portable)

    @property
    def rows_by_name(self) -> list[Row]:
        return sorted(self.rows, key=by_name)

    @property
    def portable_rows(self) -> list[Row]:
        """The rows of portable builds, by name."""
        return sorted((row for row in self.every_row if row.is_portable), key=by_name)


def page_of(launches: Sequence[Launch], price: Price = NO_PRICE) -> Page:
    """The page of some launches; costs are shown where a price is given."""
    return Page(launches=launches, every_row=rows_of(launches), price=price)
