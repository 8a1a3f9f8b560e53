"""The words of ``--vary``, ``--set`` and ``--null`` -> arms: what each launch of a comparison is given, and in which order.

One factor at a time: the base arm has the first value of every factor, each other arm one further value of one of them. Rounds
alternate their direction (ABBA), so that a machine that drifts slows both arms of a comparison alike: blocked order calls a 10%
drift a change in every single case, this order in none. A round is a pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from harness.catalog.knobs import MOST_NUMBER, WORD, Knob, Situation, is_hazard
from harness.catalog.load import Catalog, Cell, Image, PipelineRow, Variant, nearest, select_variants, with_fixes
from harness.errors import UsageError

BASE = "base"
"""The arm that the others of a ``--vary`` are compared with."""

NULL_ARMS = ("A", "B")
"""Of a null test: they differ in nothing."""

DEFAULT_LAUNCHES = {"bench": 3, "vary": 6, "null": 12}
"""Of each arm where nobody says how many: six pairs are the fewest of which anything can be claimed, and a null test is to say
how wide the noise is, which takes more: twelve are two trials of six with none left over."""

Slot = TypeVar("Slot")


class Factor(msgspec.Struct, frozen=True):
    """One ``--vary KNOB=a,b``: a knob and the values that it takes, the first of which is the reference."""

    knob: str
    values: tuple[str, ...]


class Arm(msgspec.Struct, frozen=True):
    """What sets one launch of a comparison apart from another."""

    name: str
    """`BASE`, ``KNOB=VALUE`` of the factor that it varies, one of `NULL_ARMS`, or empty: no comparison"""
    knobs: tuple[tuple[str, str], ...] = ()
    """All that are set, varied or not."""


def order(slots: Sequence[Slot], round_number: int) -> tuple[Slot, ...]:
    """The slots of one round (from 0): forwards and backwards by turns."""
    return tuple(slots) if round_number % 2 == 0 else tuple(reversed(slots))


def read_factors(known: Catalog, texts: Iterable[str]) -> tuple[Factor, ...]:
    """Each ``KNOB=a,b``. Raises `UsageError` with the nearest knob or value."""
    factors: list[Factor] = []
    for text in texts:
        name, values = _knob_and_values(known, text, option="--vary")
        if len(values) < 2:
            raise UsageError(
                f"--vary {text}: name two values or more, the reference first; `--set` sets one and compares nothing"
            )
        if len(set(values)) < len(values):
            raise UsageError(f"--vary {text}: a value is named twice; `--null` compares a cell with itself")
        if name in (factor.knob for factor in factors):
            raise UsageError(f"--vary {name} is given twice: name all its values in one")
        factors.append(Factor(name, values))
    return tuple(factors)


def read_settings(known: Catalog, texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Each ``KNOB=VALUE`` of ``--set``. Raises `UsageError`."""
    settings: dict[str, str] = {}
    for text in texts:
        name, values = _knob_and_values(known, text, option="--set")
        if len(values) != 1 or name in settings:
            raise UsageError(f"--set {text}: one value a knob; `--vary` compares several")
        settings[name] = values[0]
    return tuple(settings.items())


def arms_of(factors: Sequence[Factor], settings: Sequence[tuple[str, str]] = (), *, null: bool = False) -> tuple[Arm, ...]:
    """The arms of a comparison; a single nameless one where nothing is compared. Raises `UsageError` where these exclude
    each other."""
    both = {factor.knob for factor in factors} & {name for name, _ in settings}
    if both:
        raise UsageError(f"{', '.join(sorted(both))}: either --set or --vary")
    if null and factors:
        raise UsageError("--null compares a cell with itself, and --vary with another: one of them")
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


def cells_of(
    known: Catalog,
    image: Image,
    gfx: str | None,
    *,
    fixes: Sequence[Variant] = (),
    pipeline: PipelineRow,
    audio: str,
    arms: Sequence[Arm] = (),
) -> tuple[Cell, ...]:
    """An image's cells, arm by arm; a variant of which a knob leaves nothing that an earlier one has not is passed over.

    Raises `UsageError` for a knob that does not bear on the image, and for a fix that sets what a knob owns.
    """
    cells: list[Cell] = []
    seen: set[tuple[object, ...]] = set()
    for variant in select_variants(known, image, gfx):
        of_variant = []
        for arm in arms or (Arm(""),):
            set_up, row = _with_knobs(known, image, with_fixes(variant, fixes), pipeline, arm.knobs, fixes)
            of_variant.append(Cell(image, set_up, row, audio, arm=arm.name, knobs=arm.knobs))
        what = tuple(
            (cell.variant.guest, cell.variant.unset, tuple(sorted(cell.variant.environment.items())))
            for cell in of_variant
            if cell.knobs
        )
        if not what or what not in seen:
            cells += of_variant
        seen.add(what)
    return tuple(cells)


def hazards_of(known: Catalog, cell: Cell, family: str | None, targets: Sequence[str]) -> tuple[str, ...]:
    """What is known to go wrong with a cell on GPUs of these targets, each a sentence with its source."""
    situation = Situation(
        family=family,
        rocm=rocm_of(cell.image),
        native=cell.image.native,
        targets=tuple(targets),
        environment=cell.variant.environment,
        guest=cell.variant.guest,
        segmentation_batch_size=cell.pipeline.segmentation_batch_size,
        embedding_batch_size=cell.pipeline.embedding_batch_size,
    )
    return tuple(
        f"hazard {row.name}: {row.description} ({row.source})" for row in known.hazards.values() if is_hazard(row, situation)
    )


def rocm_of(image: Image) -> str | None:
    """The ROCm that an image's torch is built for: by torch's version, whose HIP may count otherwise (ROCm 10 has 7.15), else
    by what is expected of it; ``None`` where its row does not say, and where its nightly is still to be chosen."""
    _, rocm, version = (image.torch or "").partition("+rocm")
    if rocm:
        return version
    return image.expected if image.family in ("rocm", "therock") and not image.lacks_day else None


def without_knobs(variant: str, knobs: Collection[str]) -> str:
    """A variant's name without these knobs: ``native+lstm-dropout-0+sdma=off`` without ``sdma`` is ``native+lstm-dropout-0``."""
    return "+".join(part for part in variant.split("+") if "=" not in part or part.partition("=")[0] not in knobs)


def _knob_and_values(known: Catalog, text: str, *, option: str) -> tuple[str, tuple[str, ...]]:
    """Of ``KNOB=a,b``, each value checked against the knob's."""
    name, equals, rest = text.partition("=")
    if name not in known.knobs:
        raise UsageError(f"{option} {text}: no knob {name!r}{nearest(name, known.knobs)}; `strixbench list --knobs` shows them")
    if not equals or not rest:
        raise UsageError(f"{option} {text}: which value? {name} takes {known.knobs[name].takes}")
    return name, tuple(_checked(known.knobs[name], value, option) for value in rest.split(","))


def _checked(knob: Knob, value: str, option: str) -> str:
    """The value as it is written in names; raises `UsageError` with the nearest."""
    if knob.number is None:
        if value not in knob.values:
            raise UsageError(f"{option} {knob.name}: no value {value!r}{nearest(value, knob.values)}: it takes {knob.takes}")
        return value
    number = int(value) if WORD.match(value) and value.isascii() and value.isdecimal() and len(value) < 10 else 0
    if not 1 <= number <= MOST_NUMBER:
        raise UsageError(f"{option} {knob.name}: {value!r} is no whole number from 1 to {MOST_NUMBER}")
    return str(number)


def _with_knobs(
    known: Catalog,
    image: Image,
    variant: Variant,
    pipeline: PipelineRow,
    settings: Sequence[tuple[str, str]],
    fixes: Sequence[Variant],
) -> tuple[Variant, PipelineRow]:
    """A variant and a pipeline with these knobs set, the variant named for them."""
    for name, value in settings:
        knob = known.knobs[name]
        if knob.families and image.family is not None and image.family not in knob.families:
            raise UsageError(
                f"knob {name} bears on {', '.join(knob.families)}, and image {image.name} is {image.family}: it would change nothing"
            )
        for fix in fixes:
            if set(fix.guest) & knob.guest or set(fix.environment) & knob.variables:
                raise UsageError(f"fix {fix.name} sets what knob {name} does: leave one of them out")
        variant, pipeline = _with_knob(knob, value, variant, pipeline)
    return variant, pipeline


def _with_knob(knob: Knob, value: str, variant: Variant, pipeline: PipelineRow) -> tuple[Variant, PipelineRow]:
    """With all that the knob owns as this value has it."""
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
    return variant, msgspec.structs.replace(pipeline, **batches)
