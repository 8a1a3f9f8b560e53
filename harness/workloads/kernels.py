"""What `strixbench kernels` gives a launch in addition to the request: pytest and pytest-benchmark, which images do not have."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness import places
from harness.errors import HostError, UsageError
from harness.records.plan import Settings
from harness.text import Say, nearest
from harness.tools import run_process, tail_of
from harness.workloads.kernel_work import work_on
from harness.workloads.limits import Limits, limits_of
from harness.workloads.workload import Workload

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


class KernelsWorkload(Workload):
    """What pyannote's networks are made of, one kernel at a time."""

    name = "kernels"
    stages = ("kernels",)

    def limits(self, settings: Settings, amount: float, *, family: str | None, device: str) -> Limits:
        """`TIMEOUT_SECONDS`, whatever the kernels that were chosen."""
        return limits_of(
            usual_seconds=TIMEOUT_SECONDS, family=family, device=device, time_limit_seconds=settings.time_limit_seconds
        )


WORKLOAD = KernelsWorkload()
