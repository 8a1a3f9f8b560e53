"""The sampler's process: ``python -S -m harness.telemetry.sampler FILE`` reads the host's meters some times a second until told to stop.

It is a process of its own because a read of a sick GPU's file may sleep in the kernel for ever, deaf to every signal (as amd-smi
did, vllm-omni#6704): the harness can abandon a process, but not a thread. Inside it one thread reads and another watches, so that
such a file costs its own meter and no other.

The order comes as one line of JSON on stdin. The end of stdin is the order to stop: it also comes when the harness is killed. What
was read goes into FILE, one line for each sample, so that nothing is lost with this process. It needs the standard library alone,
so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import json
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from harness.telemetry.nvidia import Nvidia
from harness.telemetry.processes import LaunchProcesses
from harness.telemetry.sensors import Abandoned, Files, Meminfo, Rapl, Readings, Sensor, amd_gpus_below

PATIENCE_SECONDS = 1.0
"""A file that has not answered within this time is left out."""

SAMPLES_BEFORE_SLOWER = 3600
"""Half an hour at 2 Hz. After each so many samples, the time between two doubles: a launch of a day leaves a record of some 20,000
samples and not of 170,000."""


def sensors_of(order: dict[str, Any]) -> tuple[Sensor, ...]:
    """The sensors of an order, which holds ``exchange``, ``since_ticks``, ``gpu`` (PCI address, number or null), ``is_nvidia``,
    ``is_thorough`` (whether slow meters are read at every sample, too) and ``root``."""
    root = Path(order["root"])
    gpus: tuple[Sensor, ...] = (Nvidia(order["gpu"]),) if order["is_nvidia"] else amd_gpus_below(root, order["gpu"])
    processes = LaunchProcesses(order["exchange"], order["since_ticks"], root, is_thorough=order["is_thorough"])
    return (*(gpus or (_NoGpu(root, order["gpu"]),)), Rapl(root), Meminfo(root), processes)


class _NoGpu:
    """In place of a GPU: says for each of its meters why there is none."""

    meters = ("vram_used_bytes", "gtt_used_bytes", "gpu_power_watts", "gfx_clock_hertz", "gfx_temperature_celsius")

    def __init__(self, root: Path, pci: str | None) -> None:
        self._reason = f"{root / 'sys/class/drm'} has no card of amdgpu" + (f" at {pci}" if pci else "")

    def read(self, files: Files, found: Readings) -> None:
        found.failures.update(dict.fromkeys(self.meters, self._reason))


class Sampler:
    """Takes samples with a thread that may have to be abandoned."""

    def __init__(self, sensors: Sequence[Sensor], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._sensors = sensors
        self._patience = patience_seconds
        self._files = Files()
        self._current: int | None = None
        self._given_up: dict[int, threading.Thread] = {}
        self._orders: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Readings] = queue.SimpleQueue()
        self._start_reader()

    def sample(self, is_over: Callable[[], bool] = lambda: False) -> Readings | None:
        """One reading of everything; waits for nothing longer than the patience. ``None``: ``is_over`` said, before it was complete,
        that nobody wants it any more."""
        self._orders.put(True)
        while True:
            try:
                return self._answers.get(timeout=self._patience)
            except queue.Empty:
                if is_over():
                    return None
                if not self._files.give_up(self._patience) and (number := self._current) is not None:
                    self._given_up[number] = self._reader
                self._start_reader()
                self._orders.put(True)

    def close(self) -> None:
        """End the reading thread, if it still listens."""
        self._orders.put(False)

    def _start_reader(self) -> None:
        # Queues of its own: nobody hears what an abandoned thread still finds.
        self._orders, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(self._orders, self._answers), daemon=True)
        self._files.belong_to(self._reader)
        self._reader.start()

    def _read(self, orders: queue.SimpleQueue[bool], answers: queue.SimpleQueue[Readings]) -> None:
        try:
            while orders.get():
                found = Readings()
                for number, sensor in enumerate(self._sensors):
                    self._read_one(number, sensor, found)
                answers.put(found)
        except Abandoned:
            return

    def _read_one(self, number: int, sensor: Sensor, found: Readings) -> None:
        """Read one sensor, which may raise anything. One that hangs elsewhere than in a file is left out until it comes back."""
        if self._files.is_abandoned():
            raise Abandoned
        if number in self._given_up:
            found.fail(sensor.meters, f"reading it did not end within {self._patience:g} s")
            return
        self._current = number
        try:
            found.attempt(sensor.meters, lambda: sensor.read(self._files, found))
        finally:
            if self._given_up.get(number) is threading.current_thread():
                del self._given_up[number]
        if self._files.is_abandoned():
            raise Abandoned
        self._current = None


def write_samples(
    sampler: Sampler,
    write: Callable[[dict[str, Any]], None],
    *,
    hertz: float,
    wait: Callable[[float], bool],
    samples_before_slower: int = SAMPLES_BEFORE_SLOWER,
) -> None:
    """Sample until ``wait``, which is given the seconds until the next sample, says that it is enough. A source or a reason is
    written when it is new."""
    known: dict[str, dict[str, str]] = {"sources": {}, "unavailable": {}}
    write({"hertz": hertz})
    due, taken = time.monotonic(), 0
    while True:
        at = time.time()
        found = sampler.sample(lambda: wait(0.0))
        if found is None:
            break
        line: dict[str, Any] = {"at": round(at, 3), "values": found.values}
        for name, now in (("sources", found.sources), ("unavailable", found.failures)):
            new = {meter: text for meter, text in now.items() if known[name].get(meter) != text}
            if new:
                known[name].update(new)
                line[name] = new
        write({**line, "cost_seconds": round(time.process_time(), 4)})
        taken += 1
        due = max(due + 2 ** (taken // samples_before_slower) / hertz, time.monotonic())
        if wait(due - time.monotonic()):
            break
    write({"cost_seconds": round(time.process_time(), 4)})
    sampler.close()


def main(path: Path, stdin: IO[str]) -> None:
    """Serve one order; the process ends with it, however many threads hang."""
    order = json.loads(stdin.readline())

    def is_over(seconds: float) -> bool:
        return bool(select.select([stdin], [], [], max(0.0, seconds))[0])

    with path.open("w", encoding="utf-8") as stream:

        def write(line: dict[str, Any]) -> None:
            stream.write(json.dumps(line, separators=(",", ":")) + "\n")
            stream.flush()

        try:
            write_samples(Sampler(sensors_of(order)), write, hertz=order["hertz"], wait=is_over)
        except Exception as error:  # nobody reads stderr; samples that are written already are kept
            write({"hertz": order["hertz"], "unavailable": {"sampler": f"it failed: {type(error).__name__}: {error}"}})


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.stdin)
    finally:
        os._exit(0)  # a thread that sleeps in the kernel would keep the interpreter from ending
