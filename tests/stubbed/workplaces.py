"""Where the whole command line runs with a guest on stub packages: the image `local-cpu` is one that holds the stubs of
`tests.guest.stubs`, its models are files without content, its recording a tone of two seconds.

What is real: the command, the engine `local`, the guest's process, signals, the store and the page. Nothing that comes out of
the guest is a measurement.
"""

from __future__ import annotations

import array
import json
import math
import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness.catalog.load import load_catalog
from harness.engines.local import COMPLETE, environment_folder
from harness.images.build import recipe_of
from harness.inputs.hub_cache import pins
from harness.inputs.models import GATED
from tests.commands import Finished, Workplace, wait_until
from tests.guest.stubs import AUDIO_SECONDS, TURNS, Stubs, Turns, write_rttm

PIPELINE = "3.1"
COMMIT = "0" * 40
RATE_HERTZ = 16_000
PLAIN = Stubs()
ENDED_SECONDS = 60
"""A bound for the end of a process that was told to end."""


class StubbedWorkplace:
    """A results folder, a cache and a recording of the test's own, and the commands that use them."""

    def __init__(self, folder: Path, stubs: Stubs = PLAIN, environment: Mapping[str, str] | None = None) -> None:
        _write_environment(folder / "cache", stubs.write(folder / "stubs"))
        _write_models(folder / "hub")
        self.folder, self.tone = folder, folder / "tone.wav"
        _write_tone(self.tone)
        self.real = Workplace(
            folder / "results",
            {"STRIXBENCH_CACHE": str(folder / "cache"), "HF_HUB_CACHE": str(folder / "hub"), **(environment or {})},
        )
        self.cell = ("local-cpu", "--pipeline", PIPELINE, "--audio", str(self.tone))

    def bench(self, *options: str, launches: int = 1) -> Finished:
        """`bench` with one warm pass."""
        return self.real.bench(*self.cell, "--passes", "1", "--launches", str(launches), *options)

    @contextmanager
    def benching(self) -> Iterator[subprocess.Popen[str]]:
        """`bench` of many launches in the background, killed at the end where it runs; see `Workplace.start_bench`."""
        process = self.real.start_bench(*self.cell, "--passes", "1", "--launches", "50")
        try:
            yield process
        finally:
            process.kill()
            process.wait(timeout=ENDED_SECONDS)

    def wait_for_launches(self, count: int) -> None:
        """Return when that many are in the store."""
        wait_until(lambda: len(self.real.stored()) >= count, what=f"{count} launches")

    def corpus(self, *names: str) -> Path:
        """The recording under each of these names, with its reference."""
        folder = self.folder / "corpus"
        folder.mkdir()
        for name in names:
            shutil.copy(self.tone, folder / f"{name}.wav")
            write_rttm(folder / f"{name}.rttm", TURNS)
        return folder

    def reference(self, turns: Turns = TURNS) -> Path:
        """What is said in the recording, as a file."""
        return write_rttm(self.folder / "tone.rttm", turns)


class Hang:
    """A pass that never ends, of the launches that begin once it is told to."""

    def __init__(self, folder: Path) -> None:
        self._begun, self._reached = folder / "hang-from-now-on", folder / "hangs"
        self.stubs = Stubs(
            misbehave={
                "pass 0": f"import pathlib, time\nif pathlib.Path({str(self._begun)!r}).exists():\n"
                f"    pathlib.Path({str(self._reached)!r}).touch()\n    time.sleep(600)"
            }
        )

    def begin(self) -> None:
        self._begun.touch()

    def end(self) -> None:
        """For launches that come; one that hangs goes on to hang."""
        self._begun.unlink()

    def wait(self) -> None:
        """Return when a launch hangs."""
        wait_until(self._reached.exists, what="a pass that hangs")


def guests_of(workplace: Workplace) -> list[int]:
    """Processes that read an exchange folder of this workplace."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if str(workplace.results).encode() in command and b"benchmarks" in command and int(path.parts[2]) != os.getpid():
            found.append(int(path.parts[2]))
    return found


def _write_environment(cache: Path, stubs: Path) -> None:
    """The virtual environment of `local-cpu`, finished: this Python, without this environment's packages, and the stubs."""
    recipe = recipe_of(load_catalog().images["local-cpu"])
    folder = cache / "environments" / environment_folder(recipe).name
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={stubs} PYTHONDONTWRITEBYTECODE=1 exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    (folder / COMPLETE).write_text(json.dumps({"recipe": recipe.hash}))


def _write_models(hub: Path) -> None:
    """The pipeline's files at a commit that is not the pinned one, whose content nobody can check."""
    for repository in GATED[PIPELINE]:
        folder = hub / f"models--{repository.replace('/', '--')}"
        for name in pins()[repository].files:
            path = folder / "snapshots" / COMMIT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("stub: no model\n")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)


def _write_tone(path: Path) -> None:
    samples = array.array("h", (round(8_000 * math.sin(n / 10)) for n in range(RATE_HERTZ * AUDIO_SECONDS)))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HERTZ, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
