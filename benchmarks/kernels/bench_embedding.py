"""The embeddings: convolutions of WeSpeaker's ResNet34 and of CAM++, and Kaldi's filter bank, on 10 s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.kernels import work
from benchmarks.kernels.suite import Kernel, batch_on, convolution

SPEECH_FRAMES = 1000
"""10 s of speech, as `benchmarks.embedded` lengthens it for CAM++."""

CAMPPLUS = ("head layer 1", "head end", "time delay", "dense 2 in 12", "dense 2 local")
"""The layers with most of its work, and one of each kind"""


def kernels(device: str) -> tuple[Kernel, ...]:
    """ResNet34's layers, some of CAM++'s, and the filter bank."""
    batch = batch_on(device)
    resnet = (layer for layer in work.resnet34_layers() if "shortcut" not in layer.name)
    campplus = (layer for layer in work.campplus_layers(SPEECH_FRAMES) if layer.name in CAMPPLUS)
    return (
        *(convolution(f"resnet34 {layer.name}", layer, batch) for layer in resnet),
        *(convolution(f"campplus {layer.name}", layer, batch) for layer in campplus),
        Kernel("fbank", f"1 x {work.SAMPLES} to {work.MEL_FRAMES} x 80", work.fbank_flop(), work.fbank_bytes(), _fbank),
    )


def bench_embedding(kernel: Kernel, measure: Callable[[Kernel], None]) -> None:
    measure(kernel)


def _fbank(device: str) -> Callable[[], Any]:
    """torchaudio's filter bank, as pyannote calls it."""
    import torch
    import torchaudio.compliance.kaldi as kaldi

    waveform = (torch.randn(1, work.SAMPLES) * 0.1).to(device)
    return lambda: kaldi.fbank(waveform, num_mel_bins=work.MEL_BANDS, sample_frequency=16_000, dither=0.0)
