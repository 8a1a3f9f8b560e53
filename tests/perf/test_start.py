"""How long a command takes that should answer at once: the whole process, interpreter included."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Workplace

COMMANDS = {
    "--help": ("--help",),
    "list": ("list",),
    "bench --dry-run": ("bench", "local-cpu", "--dry-run"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.benchmark(group="start of a command (target: 150 ms)")
def test_start(benchmark: Any, tmp_path: Path, name: str) -> None:
    program = shutil.which("strixbench") or str(Path(__file__).resolve().parents[2] / ".venv/bin/strixbench")
    workplace = Workplace(tmp_path)
    workplace.run("models", "fetch")
    # As on a user's machine: our own modules are compiled once.
    workplace.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run() -> None:
        subprocess.run((program, *COMMANDS[name]), env=workplace.environment, capture_output=True, check=True, timeout=60)

    benchmark.pedantic(run, rounds=20, warmup_rounds=2)
