"""Named values out of JSON that others wrote, each read as the type that a reader expects: `Fields`. Pure.

A journal comes out of a container and may hold anything: numbers that are not finite or have a thousand digits, lists where a text
belongs, mappings where a number does. What is not of its type becomes ``None`` or empty, and nothing raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from harness.records.outcome import ExceptionRecord

LARGEST_COUNT = 1 << 63
"""A count below this is believed. Nothing that a guest counts comes near it."""


class Fields(msgspec.Struct, frozen=True):
    """Named values, as out of a journal, each read as the type that the reader expects."""

    raw: Mapping[str, Any] = {}
    """What was written, of whatever type. Only for `msgspec.convert`, which checks the types itself"""

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.raw

    def number(self, name: str) -> float | None:
        """A finite number; ``None`` where there is none."""
        return number(self.raw.get(name))

    def count(self, name: str) -> int | None:
        """A whole number from 0 to `LARGEST_COUNT`; ``None`` where there is none. 3.0 is no count."""
        value = self.raw.get(name)
        return value if type(value) is int and 0 <= value < LARGEST_COUNT else None

    def flag(self, name: str) -> bool | None:
        """A truth value; ``None`` where there is none. 1 is none."""
        value = self.raw.get(name)
        return value if isinstance(value, bool) else None

    def text(self, name: str) -> str | None:
        """A text, which may be empty; ``None`` where there is none."""
        value = self.raw.get(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts in a list, without what is no text; empty where there is no list."""
        return tuple(value for value in self._list(name) if isinstance(value, str))

    def numbers(self, name: str) -> tuple[float | None, ...]:
        """The numbers in a list, with ``None`` for what is no finite number; empty where there is no list."""
        return tuple(number(value) for value in self._list(name))

    def fields(self, name: str) -> Fields:
        """Named values within these; empty where there are none."""
        value = self.raw.get(name)
        return Fields(value) if isinstance(value, Mapping) else Fields()

    def has_fields(self, name: str) -> bool:
        """Whether there are named values within these, if only none of them."""
        return isinstance(self.raw.get(name), Mapping)

    def list_of_fields(self, name: str) -> tuple[Fields, ...]:
        """The named values in a list, without what is none; empty where there is no list."""
        return tuple(Fields(value) for value in self._list(name) if isinstance(value, Mapping))

    def chain(self, name: str) -> tuple[ExceptionRecord, ...]:
        """An exception with its causes, outermost first; empty where there is none."""
        return tuple(
            ExceptionRecord(**{each: link.text(each) or "" for each in ExceptionRecord.__struct_fields__})
            for link in self.list_of_fields(name)
        )

    def without(self, *names: str) -> Fields:
        """The other values."""
        return Fields({name: value for name, value in self.raw.items() if name not in names})

    def _list(self, name: str) -> Sequence[Any]:
        value = self.raw.get(name)
        return value if isinstance(value, list | tuple) else ()


def number(value: Any) -> float | None:
    """A value as a float; ``None`` where it is not a finite number."""
    if type(value) not in (int, float):  # True is an int by isinstance
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer too large for a float
        return None
