"""The workload ``calibrate``: known sizes are allocated on the device, touched, held and freed, so that the host can tell which
memory meters move by what was allocated.

``options`` are ``sizes_bytes`` and ``hold_seconds``. Each size is held for that long, and nothing is held for that long before the
first and between two, so that a sampler that looks twice a second looks often. Its ``result`` events, in order: one of the phase
``baseline``, then for each size one ``held`` and one ``freed``. Each has ``begin`` and ``end`` (Unix seconds) of a time in which
nothing was allocated or freed, and ``meters``, read at its end. ``held`` also has ``asked_bytes`` and ``allocated_bytes``; the
baseline also has ``sources`` and ``unavailable`` of `benchmarks.memory_meters`.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks import memory, meter
from benchmarks.memory_meters import Meters, room_bytes
from benchmarks.wire import Journal, Request
from benchmarks.workloads import Stage

WARM_UP_BYTES = 16 << 20
"""Allocated, touched and freed before the baseline: the first use starts torch's threads and the device's context."""

GRAIN_BYTES = 2 << 20
"""Sizes are rounded up to a multiple of this: a huge page, and the step in which torch's allocator on a GPU reserves large blocks
(https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management)."""

SPARE_BYTES = 256 << 20
"""Must stay free beside a size: a process that takes the last of a machine's memory is killed, and others with it."""

MOST_SIZES = 20

MOST_HOLD_SECONDS = 60.0


NEEDED: tuple[str, ...] = ("torch",)


def stages(request: Request) -> tuple[Stage, ...]:
    """One: all sizes."""
    return (("calibrate", lambda journal: run(request, journal)),)


def run(request: Request, journal: Journal) -> dict[str, Any]:
    """Hold each size; returns the sizes. Raises MemoryError for one that does not fit, before anything large is allocated."""
    import torch

    sizes, hold_seconds = read_options(request.options)
    torch.set_num_threads(request.threads or meter.usable_processors())
    synchronise = meter.synchroniser(request.device)
    refuse_what_does_not_fit(max(sizes), *room_bytes(request.device))

    def release() -> None:
        if request.device != "cpu":
            torch.cuda.empty_cache()
        synchronise()

    def touched(size_bytes: int) -> Any:
        # Not zeros: a system may keep zeros without giving a page to them.
        filled = torch.empty(size_bytes // 4, dtype=torch.float32, device=request.device).fill_(1.0)
        synchronise()
        return filled

    touched(WARM_UP_BYTES)
    release()
    meters = Meters(request.device)
    quiet = _quiet(hold_seconds, meters)
    journal.write("result", phase="baseline", **quiet, sources=meters.sources, unavailable=meters.unavailable)
    for size in sizes:
        allocated = -(-size // GRAIN_BYTES) * GRAIN_BYTES
        refuse_what_does_not_fit(allocated, *room_bytes(request.device))
        held = touched(allocated)
        quiet = _quiet(hold_seconds, meters)
        journal.write("result", phase="held", asked_bytes=size, allocated_bytes=allocated, **quiet)
        del held
        release()
        journal.write("result", phase="freed", **_quiet(hold_seconds, meters))
    return {"sizes_bytes": sizes, "hold_seconds": hold_seconds, "peak_resident_bytes": memory.peak_resident_bytes()}


def _quiet(hold_seconds: float, meters: Meters) -> dict[str, Any]:
    """A time in which nothing moves, so that samplers outside can look, and what the meters say at its end."""
    begin = time.time()
    time.sleep(hold_seconds)  # the samplers report nothing to this process
    end = time.time()
    return {"begin": begin, "end": end, "meters": meters.read()}


def read_options(options: dict[str, Any]) -> tuple[list[int], float]:
    """The sizes, ascending, and how long to hold each; raises ValueError."""
    sizes, hold_seconds = options.get("sizes_bytes"), options.get("hold_seconds")
    if not isinstance(sizes, list) or not 0 < len(sizes) <= MOST_SIZES or not all(type(s) is int and s > 0 for s in sizes):
        raise ValueError(f"sizes_bytes must be 1 to {MOST_SIZES} positive integers, not {sizes!r}")
    if not isinstance(hold_seconds, (int, float)) or not 0 < hold_seconds <= MOST_HOLD_SECONDS:
        raise ValueError(f"hold_seconds must be above 0 and no more than {MOST_HOLD_SECONDS:.0f}, not {hold_seconds!r}")
    # A peak shows a size only where no larger one came before it.
    return sorted(sizes), float(hold_seconds)


def refuse_what_does_not_fit(size_bytes: int, room: int, says: str) -> None:
    """Raise MemoryError for a size that does not fit into the room that the meter ``says``; see `room_bytes`."""
    if size_bytes + SPARE_BYTES > room:
        raise MemoryError(
            f"{size_bytes / 2**30:.2f} GiB, with {SPARE_BYTES / 2**30:.2f} GiB to spare, do not fit: {says} leaves "
            f"{room / 2**30:.2f} GiB; nothing was allocated. Ask for smaller --sizes"
        )
