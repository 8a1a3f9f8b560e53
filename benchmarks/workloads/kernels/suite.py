"""A kernel as a value, and the pytest plugin that times kernels with pytest-benchmark and journals each."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import meter
from benchmarks.wire import Journal, Request, exception_chain
from benchmarks.workloads.kernels import work

FEWEST_ROUNDS = 3
MOST_ROUNDS = 200

LONGEST_CALL_SECONDS = 5.0
"""A longer call is timed once: on a slow processor one is enough."""

GPU_BATCH = 32
"""As in pyannote's published configurations"""

CPU_BATCH = 2
"""Batch of the embeddings' convolutions on a CPU, which would take minutes otherwise"""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One computation, and how much work it does."""

    name: str
    shape: str
    flop: int
    bytes: int
    make: Callable[[str], Callable[[], Any]]
    """Makes the call to be timed, with its inputs on a device; what the call returns must be finite."""


class NotFinite(Exception):  # noqa: N818 - it tells what came out
    """A kernel's output holds a value that is not finite."""


class Suite:
    """A pytest plugin: its fixture ``measure`` times one kernel."""

    def __init__(self, request: Request, journal: Journal) -> None:
        self._device = request.device
        self._journal = journal
        self._budget_seconds = float(request.options.get("seconds", 1.0))
        self._only = tuple(request.options.get("only", ()))
        self._begun: str | None = None
        self.done: list[str] = []
        self.bad: list[str] = []
        self.why = ""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make one test for each kernel of the module's ``kernels(device)``."""
        if "kernel" in metafunc.fixturenames:
            kernels = [kernel for kernel in metafunc.module.kernels(self._device) if self._is_wanted(kernel.name)]
            metafunc.parametrize("kernel", kernels, ids=[kernel.name for kernel in kernels])

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Drop the placeholder test of a module from which no kernel is wanted."""
        items[:] = [item for item in items if getattr(item, "callspec", None) is not None and "kernel" in item.callspec.params]

    def pytest_benchmark_generate_machine_info(self, config: Any) -> dict[str, Any]:
        """Nothing: the host's record describes the machine, and asking here would start processes."""
        return {}

    def pytest_benchmark_generate_commit_info(self, config: Any) -> dict[str, Any]:
        """Nothing: there is no repository in an image."""
        return {}

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Journal a kernel that raised."""
        if call.excinfo is None or self._begun is None:
            return
        error = call.excinfo.value
        outcome = "wrong" if isinstance(error, NotFinite) else "failed"
        self._journal.write("result", kernel=self._begun, outcome=outcome, chain=exception_chain(error))
        self.bad.append(self._begun)
        self.why = self.why or f"{self._begun}: {type(error).__name__}: {error}"
        self._begun = None

    @pytest.fixture
    def measure(self, benchmark: Any) -> Callable[[Kernel], None]:
        """What times a kernel: its first call by itself, then as many further calls as fit into the time."""
        import torch

        synchronise = meter.synchroniser(self._device)

        def measure(kernel: Kernel) -> None:
            self._journal.write("result", kernel=kernel.name, outcome="trying")
            self._begun = kernel.name
            with torch.no_grad():
                call = kernel.make(self._device)

                def timed() -> Any:
                    output = call()
                    synchronise()
                    return output

                synchronise()
                first_seconds, output = _seconds_of(timed)
                _refuse_what_is_not_finite(output)
                del output
                again_seconds, _ = _seconds_of(timed)
                counted = {"flop": kernel.flop, "bytes": kernel.bytes, "first_seconds": first_seconds}
                benchmark.extra_info.update(shape=kernel.shape, **counted)
                benchmark.pedantic(timed, rounds=rounds_within(self._budget_seconds, again_seconds))
            seconds = [float(value) for value in benchmark.stats.stats.data]
            self._journal.write("result", kernel=kernel.name, outcome="ok", shape=kernel.shape, seconds=seconds, **counted)
            self.done.append(kernel.name)
            self._begun = None

        return measure

    def _is_wanted(self, name: str) -> bool:
        return not self._only or any(fnmatch.fnmatchcase(name, pattern) for pattern in self._only)


def gemm(name: str, rows: int, inner: int, columns: int) -> Kernel:
    """The product of ``rows x inner`` and ``inner x columns``."""

    def make(device: str) -> Callable[[], Any]:
        import torch

        left, right = torch.randn(rows, inner, device=device), torch.randn(inner, columns, device=device)
        return lambda: left @ right

    shape = f"{rows} x {inner} by {inner} x {columns}"
    return Kernel(name, shape, work.gemm_flop(rows, inner, columns), work.gemm_bytes(rows, inner, columns), make)


def convolution(name: str, layer: work.Convolution, batch: int) -> Kernel:
    """One layer by itself. With a height of 1 it is torch's one-dimensional convolution, as in the networks."""
    line = layer.made[0] == 1 and layer.kernel[0] == 1
    first = 1 if line else 0

    def make(device: str) -> Callable[[], Any]:
        import torch

        convolve = torch.nn.functional.conv1d if line else torch.nn.functional.conv2d
        values = torch.randn(batch, layer.channels[0], *layer.given[first:], device=device)
        weights = torch.randn(layer.channels[1], layer.channels[0], *layer.kernel[first:], device=device)
        options = {"stride": layer.stride[first:], "padding": layer.padding[first:], "dilation": layer.dilation}
        return lambda: convolve(values, weights, **options)

    given, made, kernel = (" x ".join(map(str, each[first:])) for each in (layer.given, layer.made, layer.kernel))
    shape = f"{batch} x {layer.channels[0]} x {given} to {layer.channels[1]} x {made}, kernel {kernel}"
    return Kernel(name, shape, layer.flop(batch), layer.bytes(batch), make)


def rounds_within(budget_seconds: float, call_seconds: float) -> int:
    """How many calls are timed: as many as fit, but at least three, unless one takes very long."""
    if call_seconds > max(budget_seconds, LONGEST_CALL_SECONDS):
        return 1
    fitting = math.ceil(budget_seconds / call_seconds) if call_seconds > 0 else MOST_ROUNDS
    return max(FEWEST_ROUNDS, min(MOST_ROUNDS, fitting))


def batch_on(device: str) -> int:
    """The batch of the embedding networks' kernels."""
    return CPU_BATCH if device == "cpu" else GPU_BATCH


def _seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    output = call()
    return time.perf_counter() - begun, output


def _refuse_what_is_not_finite(output: Any) -> None:
    """Raise `NotFinite` where the output is not finite; an LSTM returns a pair of output and state."""
    import torch

    output = output[0] if isinstance(output, tuple) else output
    if not bool(torch.isfinite(output).all()):
        raise NotFinite("its output is not finite, so that its time means nothing")
