"""How an image's own ENV changes a launch: the variables that its guest found, against those that the plan set. Pure.

They came out of a container and may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from benchmarks.wire import MOST_VALUE_CHARACTERS, MOST_VARIABLES, VARIABLE_PREFIXES
from harness.catalog import kernel_cache_variables
from harness.catalog.hazards import hazards_of
from harness.catalog.rows import Catalog, Cell
from harness.records.launch import Launch

_OF_HARNESS = frozenset(kernel_cache_variables.environment(""))
"""Variables that the harness sets for every launch, and that are in no plan."""


def variables_of(launch: Launch) -> dict[str, str] | None:
    """The variables that the guest found; ``None`` where it told none, as in old records."""
    found = launch.said.found("launch")
    if not found.has_fields("variables"):
        return None
    told = found.fields("variables")
    texts = [(name, value) for name in told if name.startswith(VARIABLE_PREFIXES) and (value := told.text(name)) is not None]
    return {name[:MOST_VALUE_CHARACTERS]: value[:MOST_VALUE_CHARACTERS] for name, value in texts[:MOST_VARIABLES]}


def not_of_plan(launch: Launch) -> dict[str, str | None]:
    """The variables whose value is not the plan's, mostly from an image's ENV; ``None`` as a value: planned, but not there."""
    found = variables_of(launch)
    if found is None:
        return {}
    planned = {name: value[:MOST_VALUE_CHARACTERS] for name, value in launch.plan.environment.items()}
    lost = (
        [name for name in planned if name.startswith(VARIABLE_PREFIXES) and name not in found]
        if len(found) < MOST_VARIABLES
        else []
    )
    others = {name: value for name, value in found.items() if name not in _OF_HARNESS and planned.get(name) != value}
    return {**others, **dict.fromkeys(lost)}


def with_remarks(launch: Launch, known: Catalog, cell: Cell, *, family: str | None, targets: Iterable[str]) -> Launch:
    """The launch with remarks on its real variables: each one that a knob owns, and hazards that the plan did not show."""
    others = not_of_plan(launch)
    if not others:
        return launch
    owners = {variable: knob.name for knob in known.knobs.values() for variable in knob.variables}
    remarks = [
        f"not by the plan, but as of the image's own ENV: {text_of(name, value)} (knob {owners[name]})"
        for name, value in others.items()
        if name in owners
    ]
    merged = {name: value for name, value in cell.variant.environment.items() if others.get(name, "") is not None}
    merged |= {name: value for name, value in others.items() if value is not None}
    real = msgspec.structs.replace(cell, variant=msgspec.structs.replace(cell.variant, environment=merged))
    found = hazards_of(known, real, family, tuple(targets))
    remarks += [f"with the image's own ENV: {hazard}" for hazard in found if hazard not in launch.plan.hazards]
    return msgspec.structs.replace(launch, remarks=tuple(remarks))


def text_of(name: str, value: str | None) -> str:
    """``NAME=VALUE``, or that it is not set."""
    return f"{name} is not set" if value is None else f"{name}={value}"
