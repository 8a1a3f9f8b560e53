"""The workloads: what a launch can run, one module or small package each.

`benchmarks.__main__` imports the one that the request names, and knows none of them by name. Each has what `Workload` says, and
imports nothing but the standard library until its stages run: an image may have no torch. What several workloads need lies
beside this package, except that some use the pipeline and the networks of `benchmarks.workloads.diarization`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.wire import Journal, ProtocolError, Request

Stage = tuple[str, Callable[[Journal], dict[str, Any]]]
"""A stage's name, and what runs it: it may journal events, and returns what the end of the stage should tell."""


class Workload(Protocol):
    """What a module of this package has."""

    NEEDED: tuple[str, ...]
    """The packages without which it cannot run, by their names in the import stage. Others may be absent or broken."""

    def stages(self, request: Request, /) -> tuple[Stage, ...]:
        """Its own stages in order, which come after ``device``. Runs nothing; raises `benchmarks.wire.ProtocolError` for options
        that it does not understand."""


def positive_integers(options: dict[str, Any], *names: str) -> dict[str, int]:
    """These options by name; raises `ProtocolError` where one is absent or is no positive integer."""
    found = {name: options.get(name) for name in names}
    for name, value in found.items():
        if type(value) is not int or value < 1:
            raise ProtocolError(f"{name} must be a positive integer, not {value!r}")
    return found  # type: ignore[return-value]  # they were looked at just now
