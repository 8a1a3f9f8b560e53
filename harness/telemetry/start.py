"""Starts the sampler beside a launch, and ends it. `harness.telemetry.sampler` says why it is a process of its own."""

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
from harness.secrets import without_tokens
from harness.telemetry.samples import read_lines, why_short

HERTZ = 2.0

END_SECONDS = 1.5
"""How long a launch waits for the sampler to end; more than `harness.telemetry.sampler.PATIENCE_SECONDS`, within which it answers."""

FIRST_SAMPLE_SECONDS = 1.5

_abandoned: list[subprocess.Popen[bytes]] = []
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
    end_seconds: float = END_SECONDS,
) -> Iterator[None]:
    """Sample while the block runs. Where a meter of power answers, the block begins after ``quiet_seconds``, so that the samples
    hold the power of an idle host. ``is_thorough``: slow meters are read at every sample, too.

    A sampler that cannot start, hangs or dies costs its samples and nothing else, and ``into`` says so. ``root`` is where it
    looks for ``/sys`` and ``/proc``.
    """
    # The kernel tells when a process started in ticks after boot, suspended time included (proc_pid_stat(5)).
    since = int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))
    order = {"hertz": HERTZ, "exchange": str(exchange), "since_ticks": since, "is_thorough": is_thorough, "root": str(root)}
    begun = time.time()
    sampler = _start({**order, "gpu": gpu, "is_nvidia": is_nvidia}, into)
    try:
        if sampler is not None and quiet_seconds:
            rest(into, quiet_seconds)
        yield
    finally:
        if sampler is not None:
            status, ended = sampler.poll(), time.time()
            if not end_sampler(sampler, end_seconds):
                _abandoned.append(sampler)
            lines = read_lines(into)
            if not lines:
                _tell(into, "it ended without a word")
            elif why := why_short(lines, hertz=HERTZ, begun=begun, ended=ended, status=status):
                _tell(into, why)


def _start(order: Mapping[str, object], into: Path) -> subprocess.Popen[bytes] | None:
    """The process with its order; ``None``: it could not be started."""
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
    """Write why nothing, or nothing more, was sampled after the samples; where the folder is gone, nobody asks."""
    line = json.dumps({"hertz": HERTZ, "unavailable": {"sampler": why}})
    with contextlib.suppress(OSError), into.open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")  # its last line may be cut short


def rest(
    into: Path, seconds: float, *, clock: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep
) -> None:
    """Wait until there are samples of the idle host, where its power can be read at all."""
    begun = clock()
    while clock() - begun < FIRST_SAMPLE_SECONDS:
        lines = read_lines(into)
        if len(lines) > 1:
            values = lines[1].fields("values")
            if any(
                name.rstrip("_0123456789").endswith(("_watts", "_joules")) and values.number(name) is not None
                for name in values
            ):
                wait(max(0.0, begun + seconds - clock()))
            return
        wait(0.02)


def end_sampler(sampler: subprocess.Popen[bytes], seconds: float) -> bool:
    """Tell the sampler to stop, by the end of its stdin, and kill it if it does not; returns whether it is gone."""
    assert sampler.stdin
    with contextlib.suppress(OSError):
        sampler.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        sampler.wait(timeout=seconds)
        return True
    sampler.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        sampler.wait(timeout=seconds)
        return True
    return False
