"""The kernels: what the device can do at all, then the parts of the embedding and the segmentation networks on 10 s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.workloads.kernels import work
from benchmarks.workloads.kernels.suite import GPU_BATCH, Kernel, batch_on, convolution, gemm

COPIED_FLOATS = 64 << 20
"""256 MiB: eight times the last cache of a Strix Halo (32 MiB of MALL)."""

SPEECH_FRAMES = 1000
"""10 s of speech, as `benchmarks.workloads.diarization.embedded` lengthens it for CAM++."""

CAMPPLUS = ("head layer 1", "head end", "time delay", "dense 2 in 12", "dense 2 local")
"""The layers with most of its work, and one of each kind"""


def kernels(device: str) -> tuple[Kernel, ...]:
    """All kernels, in the order in which they are timed."""
    return (*_ceilings(device), *_of_embedding(device), *_of_segmentation())


def bench_kernel(kernel: Kernel, measure: Callable[[Kernel], None]) -> None:
    measure(kernel)


def _ceilings(device: str) -> tuple[Kernel, ...]:
    """A large matrix product, smaller on a CPU, and a copy that no cache holds."""
    size = 1536 if device == "cpu" else 4096
    return (
        gemm("gemm square", size, size, size),
        Kernel("copy", f"{COPIED_FLOATS >> 18} MiB", 0, work.copy_bytes(COPIED_FLOATS), _copy),
    )


def _of_embedding(device: str) -> tuple[Kernel, ...]:
    """The layers of WeSpeaker's ResNet34, some of CAM++'s, and Kaldi's filter bank."""
    batch = batch_on(device)
    resnet = (layer for layer in work.resnet34_layers() if "shortcut" not in layer.name)
    campplus = (layer for layer in work.campplus_layers(SPEECH_FRAMES) if layer.name in CAMPPLUS)
    return (
        *(convolution(f"resnet34 {layer.name}", layer, batch) for layer in resnet),
        *(convolution(f"campplus {layer.name}", layer, batch) for layer in campplus),
        Kernel("fbank", f"1 x {work.SAMPLES} to {work.MEL_FRAMES} x 80", work.fbank_flop(), work.fbank_bytes(), _fbank),
    )


def _of_segmentation() -> tuple[Kernel, ...]:
    """segmentation-3.0 in the order in which a chunk goes through it: SincNet, the product before the LSTM's gates, the LSTM."""
    batch = GPU_BATCH
    shape = f"{batch} x 1 x {work.SAMPLES}"
    return (
        *(convolution(f"sincnet convolution {layer.name}", layer, batch) for layer in work.sincnet_layers()),
        Kernel("sincnet", shape, work.sincnet_flop(batch), work.sincnet_bytes(batch), _sincnet),
        gemm("gemm lstm input", batch * work.SINCNET_FRAMES, 256, 512),
        *(_lstm(batch) for batch in (1, GPU_BATCH)),
    )


def _copy(device: str) -> Callable[[], Any]:
    import torch

    source = torch.ones(COPIED_FLOATS, device=device)
    target = torch.zeros_like(source)

    def copy() -> Any:
        target.copy_(source)
        return target[:1]

    return copy


def _fbank(device: str) -> Callable[[], Any]:
    """torchaudio's filter bank, as pyannote calls it."""
    import torch
    import torchaudio.compliance.kaldi as kaldi

    waveform = (torch.randn(1, work.SAMPLES) * 0.1).to(device)
    return lambda: kaldi.fbank(waveform, num_mel_bins=work.MEL_BANDS, sample_frequency=16_000, dither=0.0)


def _sincnet(device: str) -> Callable[[], Any]:
    """pyannote's own SincNet, with its filters, norms and poolings."""
    import torch

    from benchmarks.workloads.diarization import synthetic

    network = synthetic.build_segmentation(0).sincnet.eval().to(device)
    waveforms = (torch.randn(GPU_BATCH, 1, work.SAMPLES) * 0.1).to(device)
    return lambda: network(waveforms)


def _lstm(batch: int) -> Kernel:
    """The LSTM: four layers of 128, both ways."""

    def make(device: str) -> Callable[[], Any]:
        import torch

        # Without the checkpoint's dropout, which does nothing here and which ROCm 6.x's wheels cannot compile.
        network = torch.nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True).eval().to(device)
        frames = torch.randn(batch, work.SINCNET_FRAMES, 60, device=device)
        return lambda: network(frames)

    return Kernel(
        f"lstm batch {batch}",
        f"{batch} x {work.SINCNET_FRAMES} x 60, 4 layers of 128, both ways",
        work.lstm_flop(batch, work.SINCNET_FRAMES),
        work.lstm_bytes(batch, work.SINCNET_FRAMES),
        make,
    )
