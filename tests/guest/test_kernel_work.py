"""Counted work of pyannote's networks. The totals are what torch 2.13's FlopCounterMode counts of the real models, which knows
convolutions and products; an LSTM's are counted here by hand."""

from __future__ import annotations

import pytest

from benchmarks.workloads.kernels import work


def test_a_product_is_two_operations_an_element_of_its_volume() -> None:
    assert work.gemm_flop(2, 3, 5) == 60
    assert work.gemm_bytes(2, 3, 5) == 4 * (6 + 15 + 10)
    assert work.copy_bytes(1000) == 8000


def test_a_convolution_is_a_product_at_each_place_of_its_output() -> None:
    layer = work.Convolution("x", (3, 5), (3, 3), (8, 10), (4, 5), stride=(2, 2))
    assert layer.flop() == 2 * 3 * 5 * 9 * 20
    assert layer.flop(7) == 7 * layer.flop()
    assert layer.bytes(2) == 4 * (2 * (3 * 80 + 5 * 20) + 3 * 5 * 9)
    assert layer.padding == (1, 1)
    assert work.Convolution("x", (1, 1), (1, 3), (1, 9), (1, 9), dilation=2).padding == (0, 2)
    assert work.Convolution("x", (1, 1), (1, 5), (1, 9), (1, 5), padded=False).padding == (0, 0)


@pytest.mark.parametrize(
    "layer", [*work.sincnet_layers(), *work.resnet34_layers(), *work.campplus_layers(1000)], ids=lambda layer: layer.name
)
def test_each_layers_output_is_what_its_input_makes(layer: work.Convolution) -> None:
    for given, made, kernel, stride, padding in zip(
        layer.given, layer.made, layer.kernel, layer.stride, layer.padding, strict=True
    ):
        assert work.convolved(given, kernel, stride=stride, padding=padding, dilation=layer.dilation) == made


def test_sincnet_makes_589_frames_of_ten_seconds() -> None:
    assert work.sincnet_layers()[-1].made[1] // 3 == work.SINCNET_FRAMES
    # FlopCounterMode: 1,921,336,000 at batch 2, with 40,000 for the making of the filters.
    assert work.sincnet_flop(2) == 1_921_296_000


def test_an_lstm_is_four_gates_of_two_products_both_ways() -> None:
    assert work.lstm_flop(1, 1, inputs=2, hidden=3, layers=1) == 2 * (2 * (2 + 3) * 12)
    assert work.lstm_flop(1, 1, inputs=2, hidden=3, layers=2) == 2 * (2 * 5 * 12) + 2 * (2 * (6 + 3) * 12)
    assert work.lstm_flop(1, 589) == 1_616_404_480
    assert work.lstm_bytes(1, 1, inputs=2, hidden=3, layers=1) == 4 * (2 * 12 * (2 + 3 + 2) + 2 + 6)


def test_segmentation_is_what_torch_counts_and_the_lstm() -> None:
    # FlopCounterMode: 1,019,644,544 without the LSTM, of which 40,000 are the filters'.
    assert work.segmentation_flop() - work.lstm_flop(1, 589) == 1_019_604_544
    assert work.segmentation_flop(32) == 32 * work.segmentation_flop()


def test_resnet34_is_what_torch_counts() -> None:
    assert work.resnet34_flop() == 45_228_472_320
    assert sum(layer.times for layer in work.resnet34_layers()) == 1 + 2 * (3 + 4 + 6 + 3) + 3


@pytest.mark.parametrize(("frames", "flop"), [(100, 1_126_076_416), (200, 2_251_759_616), (1000, 11_257_225_216)])
def test_campplus_is_what_torch_counts(frames: int, flop: int) -> None:
    assert work.campplus_flop(frames) == flop


def test_a_filter_bank_is_counted_by_its_frames() -> None:
    of_a_frame = 4 * 400 + 11_520 + 3 * 257 + 2 * 257 * 80
    assert work.fbank_flop(400) == of_a_frame
    assert work.fbank_flop() == 998 * of_a_frame
    assert work.fbank_bytes(400) == 4 * (400 + 80)
