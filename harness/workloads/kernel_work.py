"""How much work each kernel of `strixbench kernels` does: the host's own table, against which the guest's counts are checked.

The guest counts the same from the shapes (`benchmarks.kernels.work`), and a test compares the two. An image may write any count,
and a ceiling computed from it would be the image's own invention.
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

ON_CPU: Mapping[str, Work] = {
    "gemm square": (7_247_757_312, 28_311_552),
    "resnet34 stem": (91_975_680, 21_078_912),
    "resnet34 layer 1": (2_943_221_760, 40_914_944),
    "resnet34 layer 2 down": (1_471_610_880, 30_732_288),
    "resnet34 layer 2": (2_943_221_760, 20_586_496),
    "resnet34 layer 3 down": (1_474_560_000, 15_634_432),
    "resnet34 layer 3": (2_949_120_000, 10_829_824),
    "resnet34 layer 4 down": (1_474_560_000, 8_859_648),
    "resnet34 layer 4": (2_949_120_000, 7_479_296),
    "campplus head layer 1": (1_474_560_000, 20_516_864),
    "campplus head end": (368_640_000, 7_716_864),
    "campplus time delay": (409_600_000, 3_891_200),
    "campplus dense 2 in 12": (163_840_000, 3_399_680),
    "campplus dense 2 local": (24_576_000, 689_152),
}
"""Kernels that are smaller where there is no GPU"""

ON_GPU: Mapping[str, Work] = {
    "gemm square": (137_438_953_472, 201_326_592),
    "resnet34 stem": (1_471_610_880, 337_245_312),
    "resnet34 layer 1": (47_091_548_160, 654_086_144),
    "resnet34 layer 2 down": (23_545_774_080, 490_610_688),
    "resnet34 layer 2": (47_091_548_160, 327_172_096),
    "resnet34 layer 3 down": (23_592_960_000, 245_727_232),
    "resnet34 layer 3": (47_185_920_000, 164_429_824),
    "resnet34 layer 4 down": (23_592_960_000, 124_059_648),
    "resnet34 layer 4": (47_185_920_000, 84_279_296),
    "campplus head layer 1": (23_592_960_000, 327_716_864),
    "campplus head end": (5_898_240_000, 122_916_864),
    "campplus time delay": (6_553_600_000, 49_971_200),
    "campplus dense 2 in 12": (2_621_440_000, 49_479_680),
    "campplus dense 2 local": (393_216_000, 10_289_152),
}

MODELS: Mapping[str, int] = {
    "segmentation_chunk_flop": 2_636_009_024,
    "resnet34_item_flop": 45_283_373_298,
    "campplus_second_flop": 1_125_722_521,
}
"""FLOP of the networks, from which the work of a pipeline's pass is counted"""


def work_on(device: str) -> dict[str, Work]:
    """Each kernel on a device, ``cpu`` or a GPU's, with its FLOP and bytes."""
    return {**ON_ANY, **(ON_CPU if device == "cpu" else ON_GPU)}
