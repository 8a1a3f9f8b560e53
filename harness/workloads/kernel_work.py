"""How much work each kernel of `strixbench kernels` does: the host's own table, against which the guest's counts are checked.

The guest counts the same from the shapes (`work` of `benchmarks.workloads.kernels`), and a test compares both. An image may write any
count, and a ceiling computed from it would be the image's own invention.
"""

from __future__ import annotations

from collections.abc import Mapping

Work = tuple[int, int]
"""FLOP and bytes of one call"""

ON_ANY: Mapping[str, Work] = {
    "copy": (0, 536_870_912),
    "fbank": (54_900_978, 959_360),
    "sincnet convolution 1": (20_529_792_000, 184_144_320),
    "sincnet convolution 2": (8_173_056_000, 95_489_280),
    "sincnet convolution 3": (2_037_888_000, 27_274_560),
    "sincnet": (30_740_736_000, 306_908_160),
    "gemm lstm input": (4_940_890_112, 58_425_344),
    "lstm batch 1": (1_616_404_480, 9_884_720),
    "lstm batch 32": (51_724_943_360, 145_147_392),
}

GEMM_SQUARE: Mapping[str, Work] = {"cpu": (7_247_757_312, 28_311_552), "gpu": (137_438_953_472, 201_326_592)}
"""It is smaller where there is no GPU."""

PER_ITEM: Mapping[str, tuple[int, int, int]] = {
    "resnet34 stem": (45_987_840, 10_538_880, 1_152),
    "resnet34 layer 1": (1_471_610_880, 20_439_040, 36_864),
    "resnet34 layer 2 down": (735_805_440, 15_329_280, 73_728),
    "resnet34 layer 2": (1_471_610_880, 10_219_520, 147_456),
    "resnet34 layer 3 down": (737_280_000, 7_669_760, 294_912),
    "resnet34 layer 3": (1_474_560_000, 5_120_000, 589_824),
    "resnet34 layer 4 down": (737_280_000, 3_840_000, 1_179_648),
    "resnet34 layer 4": (1_474_560_000, 2_560_000, 2_359_296),
    "campplus head layer 1": (737_280_000, 10_240_000, 36_864),
    "campplus head end": (184_320_000, 3_840_000, 36_864),
    "campplus time delay": (204_800_000, 1_536_000, 819_200),
    "campplus dense 2 in 12": (81_920_000, 1_536_000, 327_680),
    "campplus dense 2 local": (12_288_000, 320_000, 49_152),
}
"""FLOP and bytes of each item of a batch, then bytes of the weights, which are moved once: a batch is 2 on a CPU, 32 on a GPU."""

MODELS: Mapping[str, int] = {
    "segmentation_chunk_flop": 2_636_009_024,
    "resnet34_item_flop": 45_283_373_298,
    "campplus_second_flop": 1_125_722_521,
}
"""FLOP of the networks, from which the work of a pipeline's pass is counted"""


def work_on(device: str) -> dict[str, Work]:
    """Each kernel on a device, ``cpu`` or a GPU's, with its FLOP and bytes."""
    batch = 2 if device == "cpu" else 32
    batched = {name: (batch * flop, batch * moved + weights) for name, (flop, moved, weights) in PER_ITEM.items()}
    return {**ON_ANY, "gemm square": GEMM_SQUARE["cpu" if device == "cpu" else "gpu"], **batched}
