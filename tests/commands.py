"""The real `strixbench` as a user starts it, with results of its own and the user's cache of models."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.records.launch import Launch

REPOSITORY = Path(__file__).resolve().parent.parent
STRIXBENCH = (sys.executable, "-c", "from harness.cli import main; main()")
TIMEOUT_SECONDS = 1800


class Finished(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def launches(self) -> tuple[Launch, ...]:
        """What `bench --json` printed."""
        return tuple(msgspec.convert(each, Launch) for each in json.loads(self.stdout))


class Workplace:
    """A results folder, and the commands that write into it."""

    def __init__(self, results: Path, environment: Mapping[str, str] | None = None) -> None:
        self.results = results
        self.page = results / "BENCHMARKS.md"
        self.talk = results.with_name(f"{results.name}-talk.txt")
        """What background commands said; beside the results, which a test may fill to the brim."""
        self.environment = {**os.environ, "STRIXBENCH_RESULTS": str(results), **(environment or {})}
        for name in ("STRIXBENCH_STORE", "STRIXBENCH_PINS", "COLUMNS", "FORCE_COLOR", "NO_COLOR"):
            if name not in (environment or {}):
                self.environment.pop(name, None)

    def run(self, *arguments: str) -> Finished:
        """Run a command to its end."""
        done = subprocess.run(
            (*STRIXBENCH, *arguments),
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def bench(self, *arguments: str) -> Finished:
        """`bench`, its page into the results folder."""
        return self.run("bench", "--report", str(self.page), *arguments)

    def start_bench(self, *arguments: str) -> subprocess.Popen[str]:
        """`bench` in the background, in a process group of its own; its talk goes to ``talk``."""
        with self.talk.open("a") as talk:
            return subprocess.Popen(
                (*STRIXBENCH, "bench", "--report", str(self.page), *arguments),
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=talk,
                text=True,
                start_new_session=True,
                preexec_fn=_heed_signals,
            )

    def stored(self) -> tuple[Launch, ...]:
        """Every launch in the store."""
        from harness.records.store import Store

        return Store(f"sqlite:///{self.results / 'strixbench.db'}").launches()

    def journals(self) -> list[Path]:
        """Journals of launches that run, or were left."""
        return sorted(self.results.glob("launches/*/exchange/journal.jsonl"))


def wait_until(condition: Callable[[], Any], *, what: str, seconds: float = 120) -> None:
    """Return when the condition holds; fail where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.05)


def _heed_signals() -> None:
    """A shell's background jobs ignore Ctrl-C, those of `nohup` the terminal's end, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
