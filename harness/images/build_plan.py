"""What builds will fetch and how much room they take, for a person to read before they begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from harness.catalog.rows import Image
from harness.engines.base import PODMAN_SPOOL, Engine
from harness.images.build import build_log, recipe_of
from harness.images.build_needs import (
    LINES_MBIT,
    MARK,
    Free,
    Need,
    demand_of,
    fetched_bytes,
    minutes,
    need_of,
    shortages,
    store_need,
    without_taken,
)
from harness.images.disk_space import Place, demand_in, has_base, place_of
from harness.secrets import without_home
from harness.text import size_text


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """An image in an engine, before a build of several."""

    need: Need
    place: Place
    is_built: bool
    base_is_here: bool


def planned(image: Image, engine: Engine) -> Planned:
    """The plan for an image in an engine. Raises `EngineError`."""
    return Planned(
        need=need_of(image),
        place=place_of(engine),
        is_built=engine.find_built(recipe_of(image)) is not None,
        base_is_here=has_base(engine, image),
    )


def plan_lines(plans: Sequence[Planned]) -> list[str]:
    """A table of the builds, one after the other: what each downloads, what stays, and whether it fits.

    A base that two images share is counted for the first. Images that are built already are only counted.
    """
    waiting = [plan for plan in plans if not plan.is_built]
    fetched = fetched_bytes(
        (plan.need for plan in waiting), bases_here={p.need.base for p in waiting if p.base_is_here and p.need.base}
    )
    rows, had, stays, does_fit = [], set(), 0, True
    held: list[tuple[Free, int]] = []  # what the builds so far keep, on which disks
    for plan, size in zip(waiting, fetched, strict=True):
        key = (plan.place.engine, plan.need.base)
        demand = demand_in(plan.place, plan.need, base_is_here=plan.base_is_here or key in had)
        store, spool = without_taken(plan.place.store, held), without_taken(plan.place.spool, held)
        short = shortages(demand, store, spool)
        fits = "yes" if store is not None else "unknown"
        if short:
            fits, does_fit = f"no: {size_text(short[0].free.bytes)} free", False
        else:
            had.add(key)
            if store is not None:
                held.append((store, demand.stays_bytes))
            stays += demand.stays_bytes
        needs = short[0].needed_bytes if short else store_need(demand, store, spool)
        mark = MARK if plan.need.estimated else ""
        rows.append(
            (
                plan.need.image,
                plan.place.engine,
                *(f"{mark}{size_text(each)}" for each in (size, needs, demand.stays_bytes)),
                fits,
            )
        )
    total = sum(fetched)
    title = ("IMAGE", "ENGINE", "FETCH", "BUILD NEEDS", "STAYS", "FITS")
    lines = [f"to build: {len(waiting)} of {len(plans)} images", *_aligned([title, *rows])]
    lines.append(f"in all {size_text(total)} to fetch: {_times(total)}")
    lines.append(f"the builds that fit will keep {size_text(stays)}")
    if any(plan.need.estimated for plan in waiting):
        lines.append(f"{MARK} estimated: the catalog does not have all sizes of this image")
    if not does_fit:
        lines.append("a build that does not fit is skipped, unless space has been freed by then")
    return lines


def image_data(image: Image) -> dict[str, Any]:
    """What `build --dry-run --json` says about an image; there is no recipe while its nightly is still to be chosen."""
    if image.lacks_day:
        return {"image": image.name, "lacks_day": True, "needs": need_data(image)}
    recipe = recipe_of(image)
    return {
        "image": image.name,
        "recipe": recipe.hash,
        "tag": recipe.tag,
        "log": str(build_log(recipe)),
        "arguments": dict(recipe.arguments),
        "files": sorted(recipe.files),
        "needs": need_data(image),
    }


def need_data(image: Image) -> dict[str, Any]:
    """What a build takes where nothing of it is here, for ``--json``."""
    need = need_of(image)
    engines = ("local",) if image.engine == "local" else ("podman", "docker")
    demands = {name: demand_of(need, name, base_is_here=False) for name in engines}
    sizes = ("base_bytes", "largest_layer_bytes", "wheel_bytes", "other_bytes", "fetched_bytes", "disk_bytes", "estimated")
    room = ("store_bytes", "spool_bytes", "together_bytes", "stays_bytes")
    return {
        **{name: getattr(need, name) for name in sizes},
        "room": {engine: {name: getattr(demand, name) for name in room} for engine, demand in demands.items()},
    }


def image_lines(image: Image, preference: str) -> list[str]:
    """What `build --dry-run` says about an image: what it is made of, where that comes from, how large it is. Asks no engine."""
    recipe, need = None if image.lacks_day else recipe_of(image), need_of(image)
    is_local = image.engine == "local" or preference == "local"
    lines = [f"{image.name}: {image.description}" if image.description else image.name]
    rows = []
    if recipe is not None:
        rows.append(("as", recipe.tag if not is_local else f"a virtual environment, {recipe.image}-{recipe.hash[:12]}"))
    if need.base is not None:
        name, _, digest = need.base.partition("@")
        layer = need.largest_layer_bytes
        size = f"{need.text('base_bytes')} to fetch"
        size += f", {need.text('largest_layer_bytes')} of it in one layer, which Podman cannot resume" if layer else ""
        rows += [("base", name), ("", digest or "a tag without a digest: it may move"), ("", size)]
    rows += [("wheels", _torch_text(image, need)), ("", f"the other packages, {MARK}{size_text(need.other_bytes)} to fetch")]
    # The other packages are always estimated; they are small next to a base or a torch.
    mark = MARK if any(getattr(need, name) for name in ("base_bytes", "wheel_bytes") if name in need.estimated) else ""
    rows.append(("in all", f"{mark}{size_text(need.fetched_bytes)} to fetch: {_times(need.fetched_bytes)}"))
    rows.append(("disk", f"{need.text('disk_bytes')} for the finished image with its base"))
    engines = ("local",) if is_local else ("podman", "docker")
    if need.stages > 1:
        kept = demand_of(need, engines[-1], base_is_here=False).stays_bytes
        mark = MARK if "disk_bytes" in need.estimated else ""
        rows.append(("", f"{mark}{size_text(kept)} with a build stage, which is kept until `images --prune`"))
    rows += [("", f"{_NEEDS[name]} {_room_text(need, name)}") for name in engines if preference in ("auto", "local", name)]
    if need.estimated:
        rows.append(("", f"{MARK} estimated: the catalog does not have this size"))
    if recipe is None:
        rows.append(("next", f"strixbench build {image.name} --plan   # asks the index which nightly to take"))
        return lines + [f"  {name:<7} {text}".rstrip() for name, text in rows]
    files = sorted(recipe.files)
    rows.append(("from", ", ".join(files if len(files) <= 4 else [*files[:3], f"{len(files) - 3} more files"])))
    arguments = [f"{key}={value}" for key, value in sorted(recipe.arguments.items()) if value and key != "BASE"]
    rows += list(zip(("with", *[""] * len(arguments)), arguments, strict=False))
    rows.append(("log", without_home(str(build_log(recipe)))))
    return lines + [f"  {name:<7} {text}".rstrip() for name, text in rows]


def _torch_text(image: Image, need: Need) -> str:
    if image.torch_from == "base":
        return "torch comes with the base"
    which = f"{image.torch}, of a nightly that is still to be chosen" if image.lacks_day else image.torch
    return f"torch {which}, {need.text('wheel_bytes')} to fetch"


_NEEDS = {
    "podman": "with Podman the build needs",
    "docker": "with Docker the build needs",
    "local": "the build needs",
}


def _room_text(need: Need, engine: str) -> str:
    demand = demand_of(need, engine, base_is_here=False)
    mark = MARK if "disk_bytes" in need.estimated else ""
    spool = f", plus up to {mark}{size_text(demand.spool_bytes)} in {PODMAN_SPOOL}" if demand.spool_bytes else ""
    return f"{mark}{size_text(demand.store_bytes)}{spool}"


def _times(size: int) -> str:
    """The minutes of a download on lines of several speeds."""
    first, *others = (f"{max(1, round(minutes(size, mbit)))} min at {mbit}" for mbit in LINES_MBIT)
    return ", ".join((f"{first} Mbit/s", *others))


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
