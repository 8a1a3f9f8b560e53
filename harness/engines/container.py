"""Docker and Podman as an engine: one connection, its images and its containers."""

from __future__ import annotations

import os

from harness.engines.base import Run
from harness.engines.connection import Connection
from harness.engines.container_images import ContainerImages
from harness.engines.container_runs import ContainerRuns
from harness.engines.discovery import Found
from harness.engines.kernel_journal import read_kernel_journal
from harness.engines.options import container_command
from harness.engines.silence import silence_limit
from harness.machine.kernel_log import KernelLog
from harness.records.plan import EngineRecord


class ContainerEngine:
    """See `harness.engines.base.Engine`, whose questions about images and containers are answered by ``images`` and ``runs``."""

    def __init__(self, found: Found) -> None:
        """Connect. Raises `EngineError`, and `UsageError` where the limit of a build's silence is not a number of seconds."""
        silence_seconds = silence_limit(os.environ)
        self.connection = Connection(found)
        self.images = images = ContainerImages(self.connection, silence_seconds=silence_seconds)
        self.find_built, self.find_reference, self.list_built = images.find_built, images.find_reference, images.list_built
        self.build, self.remove_built, self.remove_stages = images.build, images.remove_built, images.remove_stages
        self.storage = images.storage
        self.runs = runs = ContainerRuns(self.connection)
        self.run, self.memory_stats, self.sweep = runs.run, runs.memory_stats, runs.sweep
        self.close = self.connection.close

    @property
    def record(self) -> EngineRecord:
        return self.connection.record

    def command(self, run: Run) -> tuple[str, ...]:
        return container_command(self.connection.name, run)

    @property
    def kernel_log(self) -> KernelLog:
        return KernelLog(read_kernel_journal)
