"""What one invocation asks for, and what it tells a person who watches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from harness.catalog.cells import Arm
from harness.catalog.rows import Image, Profile, Variant
from harness.engines.base import Engine
from harness.errors import UsageError
from harness.inputs.launch_inputs import Inputs
from harness.launch.plan import Prepared
from harness.records.launch import Launch
from harness.records.plan import Settings, StoppingRule


class Observer(Protocol):
    """What a person who watches is told."""

    def say(self, text: str) -> None:
        """Show a line of progress, which the next one may replace."""

    def announce(self, text: str) -> None:
        """Show a line that stays."""

    def begins(self, prepared: Prepared, number: int, total: int | None) -> None:
        """A launch is about to start; ``total`` is ``None`` where nobody knows how many there will be."""

    def ended(self, launch: Launch) -> None:
        """A launch is in the store."""


class BenchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What one `bench` asks for."""

    images: tuple[Image, ...]
    gfx: str | None
    profile: Profile
    inputs: tuple[Inputs, ...]
    """A recording at every length that is asked for, say. Their cells are launched in turn."""
    engine: str
    """``auto``, ``podman``, ``docker`` or ``local``"""
    launches: int = 1
    settings: Settings
    fixes: tuple[Variant, ...] = ()
    """Applied to each variant."""
    fixes_to_try: tuple[Variant, ...] = ()
    """Each applied to a failed cell that it may mend, as a cell of its own."""
    arms: tuple[Arm, ...] = ()
    """Each applied to every variant; none: nothing is compared."""
    stopping: StoppingRule | None = None
    """``None``: ``launches`` of each cell."""
    cool_down_seconds: float = 0.0
    """The longest wait before each launch; 0: none"""

    @property
    def rule(self) -> StoppingRule:
        return self.stopping or StoppingRule(launches=self.launches)


OpenEngine = Callable[[str], Engine]
"""Opens the engine of a name. Raises `EngineError`."""


def engine_name(image: Image, preference: str) -> str:
    """The name of an image's engine under ``--engine``. Raises `UsageError` where the two exclude each other."""
    if image.engine == "local":
        if preference not in ("auto", "local"):
            raise UsageError(f"image {image.name} is a virtual environment and runs with --engine local, not {preference}")
        return "local"
    if preference == "local" and image.reference is not None:
        raise UsageError(f"{image.reference} is a container image: --engine local cannot run it")
    return preference
