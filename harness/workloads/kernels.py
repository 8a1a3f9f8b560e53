"""What `strixbench kernels` gives a launch in addition to the request: pytest and pytest-benchmark, which images do not have."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import places
from harness.errors import HostError, UsageError
from harness.records.fields import Fields
from harness.records.journal import Journal
from harness.records.plan import Plan, Settings
from harness.text import Say, nearest
from harness.tools import run_process, tail_of
from harness.workloads.kernel_work import MODELS, work_on
from harness.workloads.limits import Limits, limits_of
from harness.workloads.workload import Workload, overlong

COMPLETE = "strixbench-complete"
"""Written last: a folder without it was never finished."""

TIMEOUT_SECONDS = 1800.0

NAMES = tuple(work_on("cpu"))
"""The guest's kernels, the same on any device. The guest cannot list them without pytest."""


def parse_only(patterns: Sequence[str] | None) -> list[str]:
    """``--only``, each a name or a glob. Raises `UsageError` for one that no kernel matches, with the nearest."""
    for pattern in patterns or ():
        if not any(fnmatch.fnmatchcase(name, pattern) for name in NAMES):
            raise UsageError(f"--only {pattern!r}: no kernel matches{nearest(pattern, NAMES)}; there are {', '.join(NAMES)}")
    return list(patterns or ())


def tools_lock() -> Path:
    """The lock file of the packages, each with its hash."""
    return places.ROOT / "locks" / "tools.txt"


def ensure_tools(*, say: Say) -> Path:
    """A folder from which any image's Python from 3.10 on can import pytest-benchmark; it is made where it is missing.

    Raises `HostError` where the packages cannot be fetched, or are not pure Python.
    """
    digest = hashlib.sha256(tools_lock().read_bytes()).hexdigest()[:12]
    folder = places.cache() / f"tools-{digest}"
    if (folder / COMPLETE).exists():
        return folder
    say("fetching pytest-benchmark for the images, once")
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        install_pure(tools_lock(), into=part, log=places.results() / "builds" / "tools.log")
        check_pure(part)
        (part / COMPLETE).touch()
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def check_pure(folder: Path) -> None:
    """Raise `HostError` where a folder lacks what the guest imports, or holds a file that only one Python can load."""
    for package in ("pytest", "pytest_benchmark"):
        if not (folder / package / "__init__.py").is_file():
            raise HostError(f"{tools_lock().name} did not bring {package}: `strixbench kernels` cannot time without it")
    native = next(folder.rglob("*.so"), None)
    if native is not None:
        raise HostError(f"{tools_lock().name} brought {native.name}, which only one Python can load: pin a pure package")


def install_pure(lock: Path, *, into: Path, log: Path) -> None:
    """Unpack the locked packages into a folder, each checked by its hash and pure Python only, for any Python from 3.10 on.

    Raises `HostError`.
    """
    target = ("--python-version", "3.10", "--implementation", "py", "--abi", "none", "--platform", "any")
    options = ("--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check", *target)
    argv = (sys.executable, "-m", "pip", "install", *options, "--target", str(into), "--requirement", str(lock))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        code = run_process(argv, stdout=stream.fileno(), timeout_seconds=600)
    if code != 0:
        raise HostError(f"pip could not fetch {lock.name} (exit {code}): {tail_of(log, 400).strip()} (log: {log})")


SHORTEST_CALL_SECONDS = 1e-7
"""Starting one kernel and waiting for it takes a GPU microseconds."""

MOST_FLOP_A_SECOND = 1e16
"""10 PFLOP/s: no single device computes float32 so fast; the largest of 2025 reach a hundredth of it."""

MOST_BYTES_A_SECOND = 1e15
"""1 PB/s: no memory or cache moves so much."""


def _name(event: Fields) -> str:
    return (event.text("kernel") or "a kernel without a name")[:100]


def kernel_lie(event: Fields, device: str) -> str | None:
    """What cannot be true of a kernel that is said to be timed; ``None``: nothing."""
    name, flop, moved = _name(event), event.count("flop"), event.count("bytes")
    tables = [work_on(each) for each in ([device] if device else ["cpu", "cuda"])]
    allowed = [work[name] for work in tables if name in work]
    if not allowed:
        return f"{name} is no kernel that was asked for"
    if (flop, moved) not in allowed:
        return f"{name} is told as {flop} FLOP and {moved} bytes; it is {allowed[0][0]} and {allowed[0][1]}"
    return rate_lie(event)


def rate_lie(event: Fields) -> str | None:
    """What cannot be true of a kernel's times, or of the rates that follow from them; ``None``: nothing."""
    name, values = _name(event), (*event.numbers("seconds"), event.number("first_seconds"))
    if len(values) < 2 or any(value is None or value < SHORTEST_CALL_SECONDS for value in values):
        return f"a call of {name} took no time"
    shortest = min(value for value in values if value is not None)
    for kind, most in (("flop", MOST_FLOP_A_SECOND), ("bytes", MOST_BYTES_A_SECOND)):
        rate = (event.number(kind) or 0.0) / shortest
        if rate > most:
            unit = "FLOP" if kind == "flop" else "bytes"
            return f"{name} at {rate:.1e} {unit} a second; nothing does over {most:.0e}"
    return None


def call_seconds(events: Iterable[Fields]) -> float:
    """The time of all calls of some kernels."""
    return sum(value or 0.0 for event in events for value in event.numbers("seconds"))


def _kernels_lie(results: Sequence[Fields], options: Mapping[str, Any], device: str, run_seconds: float | None) -> str | None:
    timed = [event for event in results if event.text("outcome") == "ok"]
    lie = next((lie for event in timed if (lie := kernel_lie(event, device))), None)
    if lie := lie or overlong("calls", call_seconds(timed), run_seconds):
        return lie
    names = {event.text("kernel") for event in timed}
    only = [str(pattern) for pattern in _list(options.get("only"))]
    asked = [name for name in work_on(device) if not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)]
    missing = [name for name in asked if name not in names]
    if missing or not timed:
        return f"it ends without {missing[0] if missing else 'any kernel'}"
    return None


def _models_lie(work: Fields) -> str | None:
    """That the networks' work, by which a pass is counted, is not what it is known to be; ``None``: it is."""
    wrong = next((name for name, flop in MODELS.items() if work.count(name) != flop), None)
    return None if wrong is None else f"the networks' work is told as {work.count(wrong)} {wrong}; it is {MODELS[wrong]}"


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


class KernelsWorkload(Workload):
    """What pyannote's networks are made of, one kernel at a time."""

    name = "kernels"
    stages = ("kernels",)

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """`TIMEOUT_SECONDS`, whatever the kernels that were chosen."""
        return limits_of(
            usual_seconds=TIMEOUT_SECONDS, family=family, device=device, time_limit_seconds=settings.time_limit_seconds
        )

    def lie(self, plan: Plan, journal: Journal, run_seconds: float | None) -> str | None:
        """A kernel that was not asked for, was not timed, or is faster than anything."""
        results = journal.results
        return _kernels_lie(results, plan.options, plan.device, run_seconds) or _models_lie(
            journal.found(self.name).fields("work")
        )


WORKLOAD = KernelsWorkload()
