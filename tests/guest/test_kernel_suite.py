"""How a kernel is described and how often it is timed; `tests/local/test_kernels.py` times real ones."""

from __future__ import annotations

import math

import pytest

from benchmarks.workloads.kernels import work
from benchmarks.workloads.kernels.suite import batch_on, convolution, gemm, rounds_within
from harness.workloads.kernels import NAMES


@pytest.mark.parametrize(
    ("budget", "call", "rounds"),
    [(1.0, 0.1, 10), (1.0, 0.3, 4), (1.0, 2.0, 3), (1.0, 0.0001, 200), (1.0, 0.0, 200), (1.0, 6.0, 1), (10.0, 6.0, 3)],
)
def test_a_kernel_is_repeated_while_it_fits_and_three_times_unless_it_is_very_slow(
    budget: float, call: float, rounds: int
) -> None:
    assert rounds_within(budget, call) == rounds


def test_a_kernels_shape_says_what_is_computed_and_its_work_is_counted() -> None:
    product = gemm("g", 2, 3, 5)
    assert (product.shape, product.flop, product.bytes) == ("2 x 3 by 3 x 5", 60, 4 * 31)
    image = convolution("c", next(work.resnet34_layers()), 32)
    assert image.shape == "32 x 1 x 80 x 998 to 32 x 80 x 998, kernel 3 x 3"
    assert image.flop == 32 * 2 * 32 * 9 * 80 * 998
    line = convolution("l", work.sincnet_layers()[1], 32)
    assert line.shape == "32 x 80 x 5325 to 60 x 5321, kernel 5"


def test_a_cpu_computes_fewer_embeddings_at_once() -> None:
    assert batch_on("cuda") == 32
    assert 1 <= batch_on("cpu") < 32


def test_kernels_have_names_of_their_own_and_count_something() -> None:
    from benchmarks.workloads.kernels import bench_kernels

    for device in ("cpu", "cuda"):
        kernels = bench_kernels.kernels(device)
        assert len({kernel.name for kernel in kernels}) == len(kernels) == 23
        assert {kernel.name for kernel in kernels} == set(NAMES), "the command line's --only knows these"
        assert all(kernel.bytes > 0 and kernel.flop >= 0 and math.isfinite(kernel.flop) for kernel in kernels)
        assert [kernel.name for kernel in kernels if not kernel.flop] == ["copy"]
        lstm = {kernel.name: kernel.shape for kernel in kernels if "lstm batch" in kernel.name}
        assert lstm == {
            "lstm batch 1": "1 x 589 x 60, 4 layers of 128, both ways",
            "lstm batch 32": "32 x 589 x 60, 4 layers of 128, both ways",
        }
