"""What `strixbench kernels` gives a launch beside the request: pytest and pytest-benchmark, which images do not have."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from harness import places
from harness.engines.base import Say
from harness.errors import HostError

COMPLETE = "strixbench-complete"
"""Written last: a folder without it was never finished."""

TIMEOUT_SECONDS = 1800.0


def tools_lock() -> Path:
    """Which packages, each with its hash."""
    return places.ROOT / "locks" / "tools.txt"


def ensure_tools(*, say: Say) -> Path:
    """A folder that any image's Python from 3.10 on can import pytest-benchmark from, made now where it is not there.

    Raises `HostError` where the packages cannot be fetched, or are not pure Python.
    """
    from harness.engines.local import install_pure

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
    """Raise `HostError` where a folder lacks what the guest imports, or holds what one Python alone can load."""
    for package in ("pytest", "pytest_benchmark"):
        if not (folder / package / "__init__.py").is_file():
            raise HostError(f"{tools_lock().name} did not bring {package}: `strixbench kernels` cannot time without it")
    native = next(folder.rglob("*.so"), None)
    if native is not None:
        raise HostError(f"{tools_lock().name} brought {native.name}, which only one Python can load: pin a pure package")
