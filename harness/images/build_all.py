"""Builds of several images: the outcome of each as it ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from harness.catalog.rows import Image
from harness.engines.base import BuiltImage, Engine
from harness.errors import BuildFailed, EngineError
from harness.images.build import build_log, ensure_built, rebuild, recipe_of
from harness.images.disk_space import Room
from harness.records.plan import EngineRecord
from harness.text import Say


class BuildOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a build."""

    image: Image
    engine: EngineRecord
    log: Path
    built: BuiltImage | None = None
    """``None``: it failed"""
    cause: Literal["build", "engine"] | None = None
    message: str = ""
    log_tail: str = ""


def build_all(
    images: Sequence[Image],
    *,
    open_engine: Callable[[Image], Engine],
    again: bool,
    jobs: int,
    say: Say,
    room: Room,
    announce: Say | None = None,
) -> Iterator[BuildOutcome]:
    """Build images, ``jobs`` at once; yields each outcome as it comes, in no order.

    However this ends, by a Ctrl-C too, no connection stays open: the engine ends a build whose caller is gone.
    """
    opened: list[Engine] = []

    def build_one(image: Image) -> BuildOutcome:
        log = build_log(recipe_of(image))
        record = EngineRecord(name="local" if image.engine == "local" else "container")
        try:
            engine = open_engine(image)
            opened.append(engine)
            record = engine.record
            built = (rebuild if again else ensure_built)(image, engine, say=say, room=room, announce=announce)
            engine.close()
        except BuildFailed as error:
            return BuildOutcome(image=image, engine=record, log=log, cause="build", message=str(error), log_tail=error.log_tail)
        except EngineError as error:
            return BuildOutcome(image=image, engine=record, log=log, cause="engine", message=str(error))
        return BuildOutcome(image=image, engine=record, log=log, built=built)

    try:
        yield from map(build_one, images) if jobs == 1 else _in_threads(build_one, images, jobs)
    finally:
        for engine in opened:
            engine.close()


def _in_threads(build_one: Callable[[Image], BuildOutcome], images: Sequence[Image], jobs: int) -> Iterator[BuildOutcome]:
    """The outcomes of builds in threads, since a build waits for the engine; in daemons, since a Ctrl-C must not wait for a build."""
    waiting: queue.SimpleQueue[Image] = queue.SimpleQueue()
    done: queue.SimpleQueue[BuildOutcome | Exception] = queue.SimpleQueue()
    for image in images:
        waiting.put(image)

    def work() -> None:
        while True:
            try:
                image = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put(build_one(image))
            except Exception as error:  # a bug of ours: raised where somebody sees it
                done.put(error)

    for _ in range(min(jobs, len(images))):
        threading.Thread(target=work, daemon=True).start()
    for _ in images:
        outcome = done.get()
        if isinstance(outcome, Exception):
            raise outcome
        yield outcome
