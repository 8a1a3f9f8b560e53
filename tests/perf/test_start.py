"""The processor time of commands that should answer at once: of the whole process, with its interpreter.

It is processor time, so that other work on the machine counts less than in wall time. Each table begins with a bare interpreter,
and the numbers in brackets are the ratios to it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import REPOSITORY, STRIXBENCH, Workplace

BARE = (sys.executable, "-c", "import argparse, json")
AT_ONCE = "start of a command, processor time (target: 6 times a bare interpreter)"
DRY = "start of a dry run, processor time (target: 8 times a bare interpreter)"


def children_seconds() -> float:
    """Processor time of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture
def measure(benchmark: Any, tmp_path: Path) -> Any:
    """Measures a command as a process of its own."""
    workplace = Workplace(tmp_path)
    workplace.run("models", "fetch")
    # As on a user's machine: our own modules are compiled once.
    workplace.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def measured(*command: str) -> None:
        def run() -> None:
            subprocess.run(command, cwd=REPOSITORY, env=workplace.environment, capture_output=True, check=True, timeout=60)

        benchmark.pedantic(run, rounds=20, warmup_rounds=2)

    return measured


def name_of(command: tuple[str, ...]) -> str:
    return "bare interpreter" if command == BARE else " ".join(command[len(STRIXBENCH) :])


@pytest.mark.parametrize(
    "command",
    [BARE, (*STRIXBENCH, "--help"), (*STRIXBENCH, "bench", "--help"), (*STRIXBENCH, "list")],
    ids=name_of,
)
@pytest.mark.benchmark(group=AT_ONCE, timer=children_seconds)
def test_start(measure: Any, command: tuple[str, ...]) -> None:
    measure(*command)


@pytest.mark.parametrize(
    "command",
    [
        BARE,
        (*STRIXBENCH, "bench", "local-cpu", "--dry-run"),
        (*STRIXBENCH, "bench", "cpu", "--dry-run"),
        (*STRIXBENCH, "build", "cpu", "--dry-run"),
    ],
    ids=name_of,
)
@pytest.mark.benchmark(group=DRY, timer=children_seconds)
def test_start_of_a_dry_run(measure: Any, command: tuple[str, ...]) -> None:
    measure(*command)
