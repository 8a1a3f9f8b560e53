"""segmentation-3.0: SincNet and its convolutions on 10 s, the LSTM on 589 frames, and the product before its gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks import torchaudio_names
from benchmarks.kernels import work
from benchmarks.kernels.suite import GPU_BATCH, Kernel, convolution, gemm

BATCH = GPU_BATCH
LSTM_BATCHES = (1, GPU_BATCH)


def kernels(device: str) -> tuple[Kernel, ...]:
    """The kernels in the order in which a chunk goes through them."""
    return (
        *(convolution(f"sincnet convolution {layer.name}", layer, BATCH) for layer in work.sincnet_layers()),
        Kernel(
            "sincnet",
            f"{BATCH} x 1 x {work.SAMPLES}",
            work.sincnet_flop(BATCH),
            work.sincnet_bytes(BATCH),
            _sincnet,
        ),
        gemm("gemm lstm input", BATCH * work.SINCNET_FRAMES, 256, 512),
        *(_lstm(batch) for batch in LSTM_BATCHES),
    )


def bench_segmentation(kernel: Kernel, measure: Callable[[Kernel], None]) -> None:
    measure(kernel)


def _sincnet(device: str) -> Callable[[], Any]:
    """pyannote's own SincNet, with its filters, norms and poolings."""
    import torch

    network = torchaudio_names.synthetic_networks().build_segmentation(0).sincnet.eval().to(device)
    waveforms = (torch.randn(BATCH, 1, work.SAMPLES) * 0.1).to(device)
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
