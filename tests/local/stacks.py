"""The local environment with other packages laid over it, and what fails in it: each run is one fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.catalog.load import load_catalog
from harness.engines.local import Local, environment_python
from harness.images.build import ensure_built, recipe_of
from harness.images.disk_space import Room
from harness.records.fields import Fields
from harness.records.outcome import ExceptionRecord
from tests.commands import REPOSITORY

INSTALL_TIMEOUT_SECONDS = 300
RUN_TIMEOUT_SECONDS = 300


class Failed(msgspec.Struct, frozen=True):
    """What `tests.local.failing` told of one failure."""

    id: str
    chain: tuple[ExceptionRecord, ...]
    text: str
    """What the libraries printed and then Python would have, or a warning's text."""


def local_python() -> Path:
    """The interpreter of the local environment, which is built where it is not there."""
    image = load_catalog().images["local-cpu"]
    ensure_built(image, Local(), say=lambda line: None, room=Room(print))
    return environment_python(recipe_of(image))


def site_packages(python: Path) -> Path:
    """The folder of an environment's packages."""
    (folder,) = python.parent.parent.glob("lib/python3*/site-packages")
    return folder


def lay_over(python: Path, folder: Path, *packages: str) -> Path:
    """A folder with these packages and nothing that they need."""
    command = (
        str(python),
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
        str(folder),
        *packages,
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def produce(python: Path, names: Sequence[str], *, over: Sequence[Path] = (), bare: bool = False) -> dict[str, Failed]:
    """What these of `tests.local.failing` raise, with the folders in front of the environment's own packages.

    ``bare``: in place of them.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (*over, REPOSITORY))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = (str(python), *(("-S",) if bare else ()), "-W", "ignore", "-m", "tests.local.failing", *names)
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_TIMEOUT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["id"]: Failed(each["id"], Fields(each).chain("chain"), each["printed"] + each["text"]) for each in told}
