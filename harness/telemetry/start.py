"""Starts the sampler beside a launch, and ends it. See `harness.telemetry.sampler` for why it is a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from harness import places
from harness.records.journal import number
from harness.secrets import without_tokens
from harness.telemetry.samples import read_lines, why_short

HERTZ = 2.0

END_SECONDS = 1.5
"""How long its end is waited for; more than `harness.telemetry.sampler.PATIENCE_SECONDS`, within which it answers."""

FIRST_SAMPLE_SECONDS = 1.5

_left_behind: list[subprocess.Popen[bytes]] = []
"""Samplers that sleep in the kernel and cannot be killed: nobody waits for them."""


Sampling = Callable[..., contextlib.AbstractContextManager[None]]
"""What takes the arguments of `sampling` and has the same promise: it never fails a launch."""


@contextlib.contextmanager
def sampling(
    exchange: Path,
    *,
    into: Path,
    gpu: str | None,
    is_nvidia: bool,
    quiet_seconds: float,
    is_thorough: bool = False,
    root: Path = Path("/"),
) -> Iterator[None]:
    """Sample while inside. Where a meter of power answers, ``quiet_seconds`` pass before, for the power of an idle host.
    ``is_thorough``: what is slow to read is read at every sample, and not at some.

    A sampler that cannot start, hangs or dies costs its samples and nothing else, and ``into`` says so. ``root`` is where it
    looks for ``/sys`` and ``/proc``.
    """
    # The start of a process is told in ticks after boot, suspended time included (proc_pid_stat(5)).
    since = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
    order = {"hertz": HERTZ, "exchange": str(exchange), "since_ticks": since, "is_thorough": is_thorough, "root": str(root)}
    begun = time.time()
    sampler = _start({**order, "gpu": gpu, "is_nvidia": is_nvidia}, into)
    try:
        if sampler is not None and quiet_seconds:
            _rest(into, quiet_seconds)
        yield
    finally:
        if sampler is not None:
            status, ended = sampler.poll(), time.time()
            _end(sampler)
            lines = read_lines(into)
            if not lines:
                _tell(into, "it ended without a word")
            elif why := why_short(lines, hertz=HERTZ, begun=begun, ended=ended, status=status):
                _tell(into, why)


def _start(order: Mapping[str, object], into: Path) -> subprocess.Popen[bytes] | None:
    """The process with its order; ``None`` where none could be started."""
    python_path = os.pathsep.join([str(places.ROOT), *(each for each in sys.path if each)])
    try:
        sampler = subprocess.Popen(
            (sys.executable, "-S", "-m", "harness.telemetry.sampler", str(into)),
            cwd="/",
            env={**without_tokens(), "PYTHONPATH": python_path},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is for the harness, which then ends it
        )
    except OSError as error:
        _tell(into, f"it could not be started: {error.strerror}")
        return None
    assert sampler.stdin
    with contextlib.suppress(OSError):
        sampler.stdin.write(json.dumps(order).encode() + b"\n")
        sampler.stdin.flush()
    return sampler


def _tell(into: Path, why: str) -> None:
    """Write why nothing was sampled, or nothing more, behind the samples; a folder that is gone has no use for it."""
    line = json.dumps({"hertz": HERTZ, "unavailable": {"sampler": why}})
    with contextlib.suppress(OSError), into.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")  # its last line may be cut short


def _rest(into: Path, seconds: float) -> None:
    """Wait for samples of the idle host, where its power can be read at all."""
    begun = time.monotonic()
    while time.monotonic() - begun < FIRST_SAMPLE_SECONDS:
        lines = read_lines(into)
        if len(lines) > 1:
            values = lines[1].get("values")
            if isinstance(values, dict) and any(
                name.rstrip("_0123456789").endswith(("_watts", "_joules")) and number(value) is not None
                for name, value in values.items()
            ):
                time.sleep(max(0.0, begun + seconds - time.monotonic()))
            return
        time.sleep(0.02)


def _end(sampler: subprocess.Popen[bytes]) -> None:
    """The end of its stdin is its order to stop; one that does not is killed, and one that cannot be is left behind."""
    assert sampler.stdin
    with contextlib.suppress(OSError):
        sampler.stdin.close()
    try:
        sampler.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        sampler.kill()
        try:
            sampler.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            _left_behind.append(sampler)
