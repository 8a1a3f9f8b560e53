"""The images that we built and engines still have, compared with the catalog and the store; and the removal of old ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from harness.catalog.rows import Catalog
from harness.catalog.select import is_portable, portable
from harness.engines.base import Engine, Recipe, StoredImage
from harness.images.build import recipe_of
from harness.images.disk_space import read_free
from harness.images.nightlies import with_day_before, with_kept_day
from harness.records.launch import Launch
from harness.secrets import without_home
from harness.text import counted, size_text

State = Literal["current", "old", "of an overlay", "not in the catalog"]


class BuiltRow(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is built."""

    engine: str
    stored: StoredImage
    state: State
    """``old``: the catalog builds another under this name. ``of an overlay``: its overlay may not be loaded now. ``not in the
    catalog``: the catalog has no such row; an overlay may."""
    last_used: str | None
    """When the last launch with it was planned, UTC; ``None``: the store has none."""

    @property
    def data(self) -> dict[str, Any]:
        """The row for ``--json``."""
        own = {"engine": self.engine, "state": self.state, "last_used": self.last_used}
        return {"image": self.stored.image, **own, **msgspec.to_builtins(self.stored)}

    @property
    def cells(self) -> tuple[str, ...]:
        """The row for a table."""
        recipe = f"{self.state}{', portable' if self.stored.portable_of else ''}"
        size = size_text(self.stored.size_bytes)
        used = "never" if self.last_used is None else _minute(self.last_used)
        return (self.stored.image, self.engine, recipe, size, _minute(self.stored.created), used)


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed from an engine."""

    engine: str
    tags: tuple[str, ...]
    stages: int
    """Images without a name that our builds had left."""
    freed_bytes: int | None
    """How much the free room of its disk grew meanwhile; ``None``: it cannot be found out from here."""


def current_recipes(known: Catalog) -> tuple[Recipe, ...]:
    """The recipes of all images that the catalog can build, and of the nightlies chosen before the present ones: the way back
    from a bad one. Raises `CatalogError`."""
    rows = [image for image in known.images.values() if image.reference is None]
    images = [with_kept_day(image) for image in rows]
    images += [before for image in rows if (before := with_day_before(image)) is not None]
    portables = [portable(image, known) for image in images if is_portable(image)]
    images = [image for image in images if not image.lacks_day]  # nothing was built of what was never chosen
    return tuple(recipe_of(image) for image in (*images, *portables))


def built_rows(
    engine: str, stored: Iterable[StoredImage], current: Collection[Recipe], last_used: Mapping[str, str]
) -> list[BuiltRow]:
    """The rows of one engine; ``last_used`` is by image id."""
    hashes, names = {recipe.hash for recipe in current}, {recipe.image for recipe in current}
    rows = []
    for image in stored:
        state: State = "old" if image.name in names else "not in the catalog"
        if image.recipe in hashes:
            state = "current"
        elif image.is_of_overlay:
            state = "of an overlay"
        rows.append(BuiltRow(engine=engine, stored=image, state=state, last_used=last_used.get(plain_id(image.id))))
    return rows


def last_uses(launches: Iterable[Launch]) -> dict[str, str]:
    """Image id -> when the last launch with it was planned."""
    found: dict[str, str] = {}
    for launch in launches:
        image = launch.plan.image.id
        if image is not None:
            found[plain_id(image)] = max(found.get(plain_id(image), ""), launch.plan.planned_at)
    return found


def plain_id(image: str) -> str:
    """An image id in the form that the lists and answers of Podman and Docker share."""
    return image.removeprefix("sha256:")


def prune_engine(engine: Engine, current: Sequence[Recipe]) -> Removed:
    """Remove what was built from other recipes under the names of these, and the stages that builds left. Raises `EngineError`.

    Images of an overlay, which need not be loaded now, are left alone, and so are names that the catalog lacks.
    """
    of_overlays = {image.recipe for image in engine.list_built() if image.is_of_overlay}
    keep, names = {recipe.hash for recipe in current} | of_overlays, {recipe.image for recipe in current}
    return _measured(engine, lambda: (engine.remove_built(keep, names), engine.remove_stages()))


def remove_images(engine: Engine, names: Collection[str]) -> Removed:
    """Remove all images of these `Recipe.image` names, current ones too. Raises `EngineError`."""
    return _measured(engine, lambda: (engine.remove_built((), names), 0))


def _measured(engine: Engine, remove: Callable[[], tuple[tuple[str, ...], int]]) -> Removed:
    """What was removed, the tags and how many stages, with the room that it freed."""
    folder = engine.storage().folder
    before = read_free(folder)
    tags, stages = remove()
    after = read_free(folder)
    freed = None if before is None or after is None else max(0, after.bytes - before.bytes)
    return Removed(engine=engine.record.name, tags=tags, stages=stages, freed_bytes=freed)


def removed_text(removed: Removed) -> str:
    """What was removed and the room that it freed, in a sentence."""
    stages = [counted(removed.stages, "stage of a build", "stages of builds")] if removed.stages else []
    what = ", ".join([*removed.tags, *stages])
    if not what:
        return f"removed from {removed.engine}: nothing"
    freed = "the space freed is not visible from here"
    if removed.freed_bytes is not None:
        freed = f"that freed {size_text(removed.freed_bytes)}"
    return without_home(f"removed from {removed.engine}: {what}; {freed}")


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
