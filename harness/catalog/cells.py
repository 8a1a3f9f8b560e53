"""The cells of an image: which variants, with which settings of knobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.catalog.knobs import Knob
from harness.catalog.rows import Catalog, Cell, Image, Profile, Variant
from harness.catalog.select import select_variants, with_fixes
from harness.errors import UsageError


class Arm(msgspec.Struct, frozen=True):
    """One side of a comparison: the settings that its launches share."""

    name: str
    """`BASE`, ``KNOB=VALUE`` of the factor that it varies, one of `NULL_ARMS`, or empty: no comparison"""
    knobs: tuple[tuple[str, str], ...] = ()
    """All that are set, varied or not."""


def cells_of(
    known: Catalog,
    image: Image,
    gfx: str | None,
    *,
    fixes: Sequence[Variant] = (),
    profile: Profile,
    given: str,
    arms: Sequence[Arm] = (),
) -> tuple[Cell, ...]:
    """An image's cells with one input, arm by arm. A variant that the knobs make equal to an earlier one is passed over.

    Raises `UsageError` for a knob that does not affect the image, and for a fix that sets what a knob owns.
    """
    cells: list[Cell] = []
    seen: set[tuple[object, ...]] = set()
    for variant in select_variants(known, image, gfx):
        of_variant = []
        for arm in arms or (Arm(""),):
            set_up, row = _with_knobs(known, image, with_fixes(variant, fixes), profile, arm.knobs, fixes)
            options = _options_of(known, arm.knobs)
            of_variant.append(Cell(image, set_up, row, given, arm=arm.name, knobs=arm.knobs, options=options))
        what = tuple(
            (cell.variant.guest, cell.variant.unset, tuple(sorted(cell.variant.environment.items())), cell.options)
            for cell in of_variant
            if cell.knobs
        )
        if not what or what not in seen:
            cells += of_variant
        seen.add(what)
    return tuple(cells)


def _with_knobs(
    known: Catalog,
    image: Image,
    variant: Variant,
    profile: Profile,
    settings: Sequence[tuple[str, str]],
    fixes: Sequence[Variant],
) -> tuple[Variant, Profile]:
    """A variant and a profile with these knobs set, the variant named for them."""
    for name, value in settings:
        knob = known.knobs[name]
        if knob.families and image.family is not None and image.family not in knob.families:
            raise UsageError(
                f"knob {name} bears on {', '.join(knob.families)}, and image {image.name} is {image.family}: it would change nothing"
            )
        if knob.workloads and profile.workload not in knob.workloads:
            raise UsageError(
                f"knob {name} bears on the workload {', '.join(knob.workloads)}, and this is {profile.workload}: it would change nothing"
            )
        for fix in fixes:
            if set(fix.guest) & knob.guest or set(fix.environment) & knob.variables:
                raise UsageError(f"fix {fix.name} sets what knob {name} does: leave one of them out")
        variant, profile = _with_knob(knob, value, variant, profile)
    return variant, profile


def _with_knob(knob: Knob, value: str, variant: Variant, profile: Profile) -> tuple[Variant, Profile]:
    """The variant and the profile with this value of the knob in place of any other."""
    numbers: Mapping[str, int] = {knob.number: int(value)} if knob.number else {}
    chosen = knob.values.get(value)
    kept = {name: text for name, text in variant.environment.items() if name not in knob.variables}
    variant = Variant(
        name=f"{variant.name}+{knob.name}={value}",
        description=variant.description,
        environment={**kept, **(chosen.environment if chosen else {})},
        guest=(*(name for name in variant.guest if name not in knob.guest), *(chosen.guest if chosen else ())),
        unset=(*(name for name in variant.unset if name not in knob.variables), *(chosen.unset if chosen else ())),
        threads=numbers.get("threads", variant.threads),
    )
    batches = {name: number for name, number in numbers.items() if name != "threads"}
    return variant, msgspec.structs.replace(profile, numbers={**profile.numbers, **batches})


def _options_of(known: Catalog, settings: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What these settings of knobs tell the workload."""
    values = (known.knobs[name].values.get(value) for name, value in settings)
    return tuple(option for value in values if value is not None for option in value.options.items())
