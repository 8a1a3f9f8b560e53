"""What the device can do at all: a large matrix product, and a copy that no cache holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.kernels import work
from benchmarks.kernels.suite import Kernel, gemm

COPIED_FLOATS = 64 << 20
"""256 MiB: eight times the last cache of a Strix Halo (32 MiB of MALL)."""


def kernels(device: str) -> tuple[Kernel, ...]:
    """A square product, smaller on a CPU, and a copy."""
    size = 1536 if device == "cpu" else 4096
    return (
        gemm("gemm square", size, size, size),
        Kernel("copy", f"{COPIED_FLOATS >> 18} MiB", 0, work.copy_bytes(COPIED_FLOATS), _copy),
    )


def bench_ceiling(kernel: Kernel, measure: Callable[[Kernel], None]) -> None:
    measure(kernel)


def _copy(device: str) -> Callable[[], Any]:
    import torch

    source = torch.ones(COPIED_FLOATS, device=device)
    target = torch.zeros_like(source)

    def copy() -> Any:
        target.copy_(source)
        return target[:1]

    return copy
