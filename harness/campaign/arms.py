"""The words of ``--vary``, ``--set`` and ``--null`` -> arms: what each launch of a comparison is given, and in which order.

One factor varies at a time: the base arm has the first value of every factor, and each other arm has another value of one of
them. Rounds alternate their direction (ABBA), so that a machine that drifts slows both arms of a comparison alike: blocked order
calls a 10% drift a change in every single case, this order in none. A round is a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from harness.catalog.cells import Arm
from harness.catalog.knobs import MOST_NUMBER, WORD, Knob
from harness.catalog.rows import Catalog
from harness.errors import UsageError
from harness.records.plan import BASE, NULL_ARMS
from harness.text import nearest

DEFAULT_LAUNCHES = {"bench": 3, "vary": 6, "null": 12}
"""Launches of each arm unless somebody says how many. Six pairs are the fewest that allow a claim. A null test is to say how wide
the noise is, which takes more: twelve are two comparisons of six with none left over."""

Item = TypeVar("Item")


class Factor(msgspec.Struct, frozen=True):
    """One ``--vary KNOB=a,b``: a knob and its values, the first of which is the reference."""

    knob: str
    values: tuple[str, ...]


def order(items: Sequence[Item], round_number: int) -> tuple[Item, ...]:
    """What one round (from 0) launches, in order: forwards and backwards by turns."""
    return tuple(items) if round_number % 2 == 0 else tuple(reversed(items))


def read_factors(known: Catalog, texts: Iterable[str]) -> tuple[Factor, ...]:
    """The factors of ``--vary KNOB=a,b``. Raises `UsageError` with the nearest knob or value."""
    factors: list[Factor] = []
    for text in texts:
        name, values = _knob_and_values(known, text, option="--vary")
        if len(values) < 2:
            raise UsageError(
                f"--vary {text}: name two values or more, the reference first; `--set` sets one and compares nothing"
            )
        if len(set(values)) < len(values):
            raise UsageError(f"--vary {text}: a value is named twice; `--null` compares a configuration with itself")
        if name in (factor.knob for factor in factors):
            raise UsageError(f"--vary {name} is given twice: name all its values in one")
        factors.append(Factor(name, values))
    return tuple(factors)


def read_settings(known: Catalog, texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The settings of ``--set KNOB=VALUE``. Raises `UsageError`."""
    settings: dict[str, str] = {}
    for text in texts:
        name, values = _knob_and_values(known, text, option="--set")
        if len(values) != 1 or name in settings:
            raise UsageError(f"--set {text}: one value a knob; `--vary` compares several")
        settings[name] = values[0]
    return tuple(settings.items())


def arms_of(factors: Sequence[Factor], settings: Sequence[tuple[str, str]] = (), *, null: bool = False) -> tuple[Arm, ...]:
    """The arms of a comparison; a single nameless one where nothing is compared. Raises `UsageError` where the options exclude
    each other."""
    both = {factor.knob for factor in factors} & {name for name, _ in settings}
    if both:
        raise UsageError(f"{', '.join(sorted(both))}: either --set or --vary")
    if null and factors:
        raise UsageError("--null compares a configuration with itself, and --vary with another: choose one of them")
    if null:
        return tuple(Arm(name, tuple(settings)) for name in NULL_ARMS)
    base = tuple((factor.knob, factor.values[0]) for factor in factors)
    if not base:
        return (Arm("", tuple(settings)),)
    arms = [Arm(BASE, (*settings, *base))]
    for number, factor in enumerate(factors):
        for value in factor.values[1:]:
            changed = (*base[:number], (factor.knob, value), *base[number + 1 :])
            arms.append(Arm(f"{factor.knob}={value}", (*settings, *changed)))
    return tuple(arms)


def _knob_and_values(known: Catalog, text: str, *, option: str) -> tuple[str, tuple[str, ...]]:
    """The knob of ``KNOB=a,b`` and its values, each checked against the knob's."""
    name, equals, rest = text.partition("=")
    if name not in known.knobs:
        raise UsageError(f"{option} {text}: no knob {name!r}{nearest(name, known.knobs)}; `strixbench list --knobs` shows them")
    if not equals or not rest:
        raise UsageError(f"{option} {text}: which value? {name} takes {known.knobs[name].takes}")
    return name, tuple(_checked(known.knobs[name], value, option) for value in rest.split(","))


def _checked(knob: Knob, value: str, option: str) -> str:
    """The value as names have it. Raises `UsageError` with the nearest value."""
    if knob.number is None:
        if value not in knob.values:
            raise UsageError(f"{option} {knob.name}: no value {value!r}{nearest(value, knob.values)}: it takes {knob.takes}")
        return value
    number = int(value) if WORD.match(value) and value.isascii() and value.isdecimal() and len(value) < 10 else 0
    if not 1 <= number <= MOST_NUMBER:
        raise UsageError(f"{option} {knob.name}: {value!r} is no whole number from 1 to {MOST_NUMBER}")
    return str(number)
