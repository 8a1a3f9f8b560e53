"""The engines of one campaign: each is opened and swept when it is first needed, and closed at the end."""

from __future__ import annotations

from collections.abc import Collection

from harness.campaign.request import OpenEngine
from harness.engines.base import Engine
from harness.errors import EngineError
from harness.text import Say


class OpenedEngines:
    """Engines by name. ``announce`` is told what a sweep removed, or could not remove."""

    def __init__(self, open_engine: OpenEngine, *, announce: Say) -> None:
        self._open_engine = open_engine
        self._announce = announce
        self._engines: dict[str, Engine] = {}

    def get(self, name: str) -> Engine:
        """The engine of a name. Raises `EngineError` where it cannot be opened."""
        if name not in self._engines:
            engine = self._open_engine(name)
            self._engines[name] = engine
            try:
                swept = engine.sweep()
            except EngineError as error:  # no reason to launch nothing; an engine that is gone says so again
                self._announce(f"cannot remove all that a killed strixbench left: {error}")
                swept = 0
            if swept:
                self._announce(f"removed {swept} container(s) or process(es) that a killed strixbench left")
        return self._engines[name]

    def sweep_unopened(self, names: Collection[str]) -> None:
        """Open and sweep those of some engines that are not open yet."""
        for name in set(names) - set(self._engines):
            try:
                self._engines[name] = self._open_engine(name)
                self._engines[name].sweep()
            except EngineError as error:
                self._announce(f"cannot sweep what a killed strixbench left in {name}: {error}")

    def close(self) -> None:
        """Close what was opened."""
        for engine in self._engines.values():
            engine.close()
