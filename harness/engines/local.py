"""A virtual environment as the image, and a process as the container.

For a host without a container engine. The same lock, the same guest, the same journal; no isolation but a clean
environment, a process group of its own and a memory limit. There is no network namespace: `HF_HUB_OFFLINE` keeps the
libraries from the network, nothing enforces it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from harness import places
from harness.engines.base import (
    GIVE_UP_SECONDS,
    LOG,
    OVERLAY_LABEL,
    BuiltImage,
    GiveUp,
    Recipe,
    Run,
    Storage,
    StoredImage,
    never,
    shell_wrapped,
    still_held_text,
)
from harness.engines.kernel_journal import read_kernel_journal
from harness.errors import BuildFailed, HostError
from harness.machine.kernel_log import KernelLog
from harness.records.outcome import TIME_IS_UP, Ending, ExitRecord
from harness.records.plan import EngineRecord
from harness.text import Say
from harness.tools import (
    KILLED_SECONDS,
    OWNER_LABEL,
    OWNER_VARIABLE,
    kill_session,
    owner_is_gone,
    remove_tree,
    run_process,
    tail_of,
)

COMPLETE = "strixbench.json"
"""Written last: an environment without it was never finished."""

STEP_TIMEOUT_SECONDS = 3600.0

NAME_VARIABLE = "IO_STRIXBENCH_NAME"
"""Marks the processes of a launch with its name."""


class _Complete(msgspec.Struct, frozen=True):
    """What is read of a `COMPLETE`."""

    recipe: str | None = None
    is_of_overlay: bool = False


class Local:
    """See `harness.engines.base.Engine`."""

    @property
    def record(self) -> EngineRecord:
        return EngineRecord(name="local", version=platform.python_version())

    def find_built(self, recipe: Recipe) -> BuiltImage | None:
        is_whole = (environment_folder(recipe) / COMPLETE).exists() and environment_python(recipe).exists()
        return BuiltImage(id=f"recipe:{recipe.hash}") if is_whole else None

    def find_reference(self, reference: str) -> BuiltImage | None:
        """``None``: there are no images here."""
        return None

    def build(self, recipe: Recipe, *, log: Path, say: Say, announce: Say | None = None) -> BuiltImage:
        folder = environment_folder(recipe)
        shutil.rmtree(folder, ignore_errors=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as stream:
            for step in _steps(recipe, folder):
                say(" ".join(step))
                stream.write(f"$ {' '.join(step)}\n")
                stream.flush()
                try:
                    code = run_process(step, stdout=stream.fileno(), timeout_seconds=STEP_TIMEOUT_SECONDS)
                except HostError as error:
                    raise BuildFailed(str(error), tail_of(log)) from error
                if code != 0:
                    raise BuildFailed(f"`{' '.join(step[:6])} ...` ended with exit {code}", tail_of(log))
        about = {"recipe": recipe.hash, "arguments": dict(recipe.arguments), "is_of_overlay": OVERLAY_LABEL in recipe.labels}
        (folder / COMPLETE).write_text(json.dumps(about) + "\n")
        return BuiltImage(id=f"recipe:{recipe.hash}")

    def remove_built(self, keep: Collection[str], names: Collection[str]) -> tuple[str, ...]:
        removed = []
        for complete, recipe, _ in _environments():
            if recipe not in keep and complete.parent.name.rpartition("-")[0] in names:
                remove_tree(complete.parent)
                removed.append(complete.parent.name)
        return tuple(removed)

    def remove_stages(self) -> int:
        """0: an environment is made in one go."""
        return 0

    def list_built(self) -> tuple[StoredImage, ...]:
        found = []
        for complete, recipe, is_of_overlay in _environments():
            if recipe is None:
                continue
            folder = complete.parent
            name = folder.name.rpartition("-")[0]
            with contextlib.suppress(OSError):  # it was removed while we looked
                created = datetime.datetime.fromtimestamp(complete.stat().st_mtime, datetime.UTC)
                found.append(
                    StoredImage(
                        id=f"recipe:{recipe}",
                        image=name,
                        name=name,
                        recipe=recipe,
                        tag=folder.name,
                        size_bytes=_folder_bytes(folder),
                        created=created.isoformat(timespec="seconds"),
                        is_of_overlay=is_of_overlay,
                    )
                )
        return tuple(found)

    def storage(self) -> Storage:
        """The nearest folder that exists on the path to the environments: the first build makes the rest."""
        wanted = places.cache()
        return Storage(folder=str(next(path for path in (wanted, *wanted.parents) if path.exists())))

    def command(self, run: Run) -> tuple[str, ...]:
        marks = {NAME_VARIABLE: run.name}
        if OWNER_LABEL in run.labels:
            marks[OWNER_VARIABLE] = run.labels[OWNER_LABEL]
        variables = (f"{name}={value}" for name, value in sorted({**run.environment, **marks}.items()))
        shell, option, script, *words = shell_wrapped(run.argv, shlex.quote(str(run.exchange / LOG)))
        # Without a cgroup of its own, a process can be limited only in its address space.
        limit = f"ulimit -v {run.memory_bytes >> 10} && " if run.memory_bytes is not None else ""
        return ("env", "-i", "-C", run.working_directory, *variables, shell, option, limit + script, *words)

    @property
    def kernel_log(self) -> KernelLog:
        return KernelLog(read_kernel_journal)

    def run(self, run: Run, *, timeout_seconds: float, give_up: GiveUp = never) -> ExitRecord:
        if not Path(run.argv[0]).exists():
            return ExitRecord(started=False, message=f"no virtual environment at {Path(run.argv[0]).parent.parent}")
        begun = time.monotonic()
        process = subprocess.Popen(
            self.command(run),
            env=clean_environment({}),  # that of `env` itself, for a moment
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            ended = _wait(process, begun + timeout_seconds, give_up)
            seconds = time.monotonic() - begun
        finally:
            is_gone = kill_session(process)
            _kill_marked(NAME_VARIABLE, lambda mark: mark == run.name)
        if isinstance(ended, int):
            return ExitRecord(started=True, code=128 - ended if ended < 0 else ended, run_seconds=seconds)
        why = f"it did not end within {KILLED_SECONDS:.0f} s"
        return ExitRecord(
            started=True,
            timed_out=ended in TIME_IS_UP,
            code=128 + signal.SIGKILL,
            run_seconds=seconds,
            ended_because=ended,
            remark="" if is_gone else still_held_text(f"process {process.pid}", why),
        )

    def memory_stats(self, name: str) -> Mapping[str, int]:
        """Empty: no engine keeps any for a process."""
        return {}

    def sweep(self) -> int:
        return _kill_marked(OWNER_VARIABLE, owner_is_gone)

    def close(self) -> None:
        """Nothing was started."""


def _environments() -> Iterator[tuple[Path, str | None, bool]]:
    """For each finished environment its `COMPLETE`, the hash of its recipe (``None``: the file does not tell), and whether an overlay
    made its row. A file that cannot be opened, or was removed meanwhile, is left out."""
    for complete in sorted((places.cache() / "environments").glob(f"*/{COMPLETE}")):
        try:
            told = msgspec.json.decode(complete.read_bytes(), type=_Complete)
        except OSError:
            continue
        except msgspec.MsgspecError:
            told = _Complete()
        yield complete, told.recipe, told.is_of_overlay


def _folder_bytes(folder: Path) -> int:
    """The disk space that the plain files below a folder take up; a file that cannot be read counts as nothing."""
    return sum(
        512 * (Path(parent) / name).lstat().st_blocks
        for parent, _, names in os.walk(folder, onerror=None)
        for name in names
        if os.path.lexists(Path(parent) / name)
    )


def environment_folder(recipe: Recipe) -> Path:
    """The folder of a recipe's virtual environment."""
    return places.cache() / "environments" / f"{recipe.image}-{recipe.hash[:12]}"


def environment_python(recipe: Recipe) -> Path:
    """Its interpreter."""
    return environment_folder(recipe) / "bin" / "python"


def _steps(recipe: Recipe, folder: Path) -> tuple[tuple[str, ...], ...]:
    """The commands that make the environment: the same as in the Containerfile."""
    python = str(folder / "bin" / "python")
    arguments = recipe.arguments
    pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off")
    wheels = ("--find-links", arguments["WHEELS"]) if arguments.get("WHEELS") else ()
    options = shlex.split(arguments["TORCH_OPTIONS"])
    torch = (f"torch=={arguments['TORCH']}", f"torchaudio=={arguments['TORCHAUDIO']}")
    lock, finish = str(recipe.files["lock.txt"]), str(recipe.files["finish.py"])
    return (
        (sys.executable, "-m", "venv", str(folder)),
        (*pip, *wheels, *options, *torch),
        (*pip, "--no-deps", *wheels, "--require-hashes", "--requirement", lock),
        (python, finish, arguments["FAMILY"], arguments["TORCH"], arguments["EXPECTED"]),
    )


def _wait(process: subprocess.Popen[bytes], deadline: float, give_up: GiveUp) -> int | Ending:
    """The exit status of a process, or why it must be ended. ``deadline`` is a value of `time.monotonic`."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            return process.wait(timeout=min(left, GIVE_UP_SECONDS))
        except subprocess.TimeoutExpired:
            if (why := give_up()) is not None:
                return why
    return "time"


def _kill_marked(variable: str, is_meant: Callable[[str], bool]) -> int:
    """Kill the processes whose variable is meant; returns how many. A process keeps its variables even when it leaves its session."""
    import psutil

    killed = 0
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(variable)
            if mark and is_meant(mark):
                process.kill()
                killed += 1
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return killed


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The few variables of the caller that a launch may have, and ``extra``. A token of the caller's never reaches a launch."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, **extra}
