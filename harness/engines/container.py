"""Docker and Podman as an engine: one connection, its images and its containers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from harness.engines.base import BuiltImage, GiveUp, Recipe, Run, Storage, StoredImage, never
from harness.engines.connection import Connection
from harness.engines.container_images import ContainerImages
from harness.engines.container_runs import ContainerRuns
from harness.engines.discovery import Found
from harness.engines.kernel_journal import read_kernel_journal
from harness.engines.options import container_command
from harness.engines.silence import silence_limit
from harness.machine.kernel_log import KernelLog
from harness.records.launch import EngineRecord, ExitRecord
from harness.telemetry.start import sampling
from harness.text import Say


class ContainerEngine:
    """See `harness.engines.base.Engine`."""

    def __init__(self, found: Found) -> None:
        """Connect. Raises `EngineError`, and `UsageError` where the limit of a build's silence is not a number of seconds."""
        silence_seconds = silence_limit(os.environ)
        self.connection = Connection(found)
        self.images = ContainerImages(self.connection, silence_seconds=silence_seconds)
        self.runs = ContainerRuns(self.connection)

    @property
    def record(self) -> EngineRecord:
        return self.connection.record

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        return self.images.find_built(recipe)

    def find_reference(self, reference: str) -> BuiltImage | None:
        return self.images.find_reference(reference)

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        return self.images.build(recipe, log=log, say=say, announce=announce)

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        return self.images.remove_built(keep, names)

    def remove_stages(self) -> int:
        return self.images.remove_stages()

    def list_built(self) -> tuple[StoredImage, ...]:
        return self.images.list_built()

    def storage(self) -> Storage:
        return self.images.storage()

    def command(self, run: Run) -> tuple[str, ...]:
        return container_command(self.connection.name, run)

    @property
    def kernel_log(self) -> KernelLog:
        return KernelLog(read_kernel_journal)

    def run(self, run: Run, *, timeout_seconds: float, give_up: GiveUp = never) -> ExitRecord:
        return self.runs.run(run, timeout_seconds=timeout_seconds, give_up=give_up)

    def memory_stats(self, name: str) -> Mapping[str, int]:
        return self.runs.memory_stats(name)

    def watch(
        self, run: Run, *, into: Path, gpu: str | None, is_nvidia: bool, quiet_seconds: float, is_thorough: bool = False
    ) -> contextlib.AbstractContextManager[None]:
        return sampling(
            run.exchange, into=into, gpu=gpu, is_nvidia=is_nvidia, quiet_seconds=quiet_seconds, is_thorough=is_thorough
        )

    def sweep(self) -> int:
        return self.runs.sweep()

    def close(self) -> None:
        self.connection.close()
