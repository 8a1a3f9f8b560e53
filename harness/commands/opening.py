"""What the verbs open: an engine, the store, one launch of the store."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness import places
from harness.commands.output import talk
from harness.errors import HostError, UsageError

if TYPE_CHECKING:
    from harness.engines.base import Engine
    from harness.records.launch import Launch
    from harness.records.store import Store


def open_engine(name: str) -> Engine:
    """The engine of a name. Raises `EngineError`."""
    if name == "local":
        from harness.engines.local import Local

        return Local()
    from harness.engines.container import ContainerEngine
    from harness.engines.discovery import find_engine

    found = find_engine(name)
    if found.remark:
        _warn_once(found.remark)
    return ContainerEngine(found)


@functools.cache
def _warn_once(text: str) -> None:
    """Warn once, though an engine is opened for each image of a build."""
    talk(f"warning: {text}")


class Refusals:
    """Keeps an engine that refuses from stopping the others, and says at once what it refused."""

    def __init__(self) -> None:
        self.happened = False

    @contextmanager
    def told(self, engine: str) -> Iterator[None]:
        """A `HostError` raised inside is told and ends only this block."""
        try:
            yield
        except HostError as error:
            self.happened = True
            talk(f"{engine}: {error}")


def open_store() -> Store:
    """The store of this user's results; warns on stderr of each damaged record. Raises `StoreError`."""
    from harness.records.store import Store

    return Store(places.store_url(), warn=lambda text: talk(f"warning: {text}"))


def stored_launches() -> tuple[Launch, ...]:
    """The launches of the store; none where there is no store, which this does not make. Raises `StoreError`."""
    from harness.records.store import store_exists

    return open_store().launches() if store_exists(places.store_url()) else ()


def find_launch(launch: str, *, or_else: str = "") -> Launch:
    """The launch of an id, or of the beginning of one. Raises `UsageError`, whose message ends in ``or_else``."""
    from harness.records.store import store_exists

    found: tuple[Launch, ...] = open_store().find(launch) if store_exists(places.store_url()) else ()
    if not found:
        raise UsageError(f"no launch {launch!r} in the store{or_else}")
    if len(found) > 1:
        raise UsageError(
            f"{launch!r} is the beginning of {len(found)} launches: {', '.join(each.id for each in found[:5])} ..."
        )
    return found[0]
