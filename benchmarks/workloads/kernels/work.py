"""How much work pyannote's networks do, counted from their shapes. Pure; only the standard library.

FLOP are floating point operations: a multiplication and an addition are two. Matrix products, convolutions, LSTM gates and
transforms are counted. Normalisation, activation and pooling are under 2% of these networks and are left out, so that a rate
computed from the count is too low rather than too high. Bytes count each input, weight and output once, in float32. Within a
network caches may do better; for one kernel whose tensors do not fit into them nothing can.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

FLOAT_BYTES = 4

SAMPLES = 160_000
"""10 s at 16 kHz, pyannote's chunk."""

SINCNET_FRAMES = 589
MEL_FRAMES = 998
MEL_BANDS = 80
CLASSES = 7
"""Classes of segmentation-3.0: silence, three speakers, three pairs"""

FRAME_SAMPLES = 400
SHIFT_SAMPLES = 160
TRANSFORM_POINTS = 512
"""The frames of Kaldi's filter bank: 25 ms every 10 ms, padded to a power of two"""


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A layer of a network. Sizes are height and width; a one-dimensional layer and its kernel have a height of 1."""

    name: str
    channels: tuple[int, int]
    """In and out"""
    kernel: tuple[int, int]
    given: tuple[int, int]
    made: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    padded: bool = True
    """Whether each edge is padded by half a kernel"""
    times: int = 1
    """How many such layers there are"""

    @property
    def padding(self) -> tuple[int, int]:
        height, width = (self.dilation * (each // 2) if self.padded else 0 for each in self.kernel)
        return height, width

    def flop(self, batch: int = 1) -> int:
        """FLOP of one such layer."""
        return 2 * batch * math.prod(self.channels) * math.prod(self.kernel) * math.prod(self.made)

    def bytes(self, batch: int = 1) -> int:
        """Bytes of one such layer."""
        inputs, outputs = self.channels[0] * math.prod(self.given), self.channels[1] * math.prod(self.made)
        return FLOAT_BYTES * (batch * (inputs + outputs) + math.prod(self.channels) * math.prod(self.kernel))


def gemm_flop(rows: int, inner: int, columns: int) -> int:
    """FLOP of the product of ``rows x inner`` and ``inner x columns``."""
    return 2 * rows * inner * columns


def gemm_bytes(rows: int, inner: int, columns: int) -> int:
    return FLOAT_BYTES * (rows * inner + inner * columns + rows * columns)


def copy_bytes(elements: int) -> int:
    """Bytes of a copy: read once, written once."""
    return 2 * FLOAT_BYTES * elements


def convolved(length: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Frames that a convolution or a pooling gives for ``length`` (https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html)."""
    return (length + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def lstm_flop(batch: int, frames: int, *, inputs: int = 60, hidden: int = 128, layers: int = 4) -> int:
    """FLOP in both directions: four gates, each with one product of the input and one of the previous state."""
    widths = (inputs, *[2 * hidden] * (layers - 1))
    return sum(2 * gemm_flop(batch * frames, width + hidden, 4 * hidden) for width in widths)


def lstm_bytes(batch: int, frames: int, *, inputs: int = 60, hidden: int = 128, layers: int = 4) -> int:
    """Bytes of each layer's input, weights and output, once: a layer's weights (1 MB) stay in a cache from frame to frame."""
    widths = (inputs, *[2 * hidden] * (layers - 1))
    weights = sum(2 * 4 * hidden * (width + hidden + 2) for width in widths)
    return FLOAT_BYTES * (weights + batch * frames * sum(width + 2 * hidden for width in widths))


def sincnet_layers() -> tuple[Convolution, ...]:
    """SincNet's three convolutions; a pooling by 3 follows each."""
    first = convolved(SAMPLES, 251, stride=10)
    second = convolved(first // 3, 5)
    third = convolved(second // 3, 5)
    return (
        Convolution("1", (1, 80), (1, 251), (1, SAMPLES), (1, first), stride=(1, 10), padded=False),
        Convolution("2", (80, 60), (1, 5), (1, first // 3), (1, second), padded=False),
        Convolution("3", (60, 60), (1, 5), (1, second // 3), (1, third), padded=False),
    )


def sincnet_flop(batch: int = 1) -> int:
    return sum(layer.flop(batch) for layer in sincnet_layers())


def sincnet_bytes(batch: int = 1) -> int:
    return sum(layer.bytes(batch) for layer in sincnet_layers())


def segmentation_flop(batch: int = 1) -> int:
    """FLOP of segmentation-3.0 on 10 s: SincNet, the LSTM, two linear layers and the classifier."""
    rows = batch * SINCNET_FRAMES
    linear = gemm_flop(rows, 256, 128) + gemm_flop(rows, 128, 128) + gemm_flop(rows, 128, CLASSES)
    return sincnet_flop(batch) + lstm_flop(batch, SINCNET_FRAMES) + linear


def resnet34_layers() -> Iterator[Convolution]:
    """WeSpeaker's convolutions on 10 s."""
    size = (MEL_BANDS, MEL_FRAMES)
    yield Convolution("stem", (1, 32), (3, 3), size, size)
    yield Convolution("layer 1", (32, 32), (3, 3), size, size, times=6)
    for number, (channels, blocks) in enumerate(((64, 4), (128, 6), (256, 3)), 2):
        given, size = size, (convolved(size[0], 3, stride=2, padding=1), convolved(size[1], 3, stride=2, padding=1))
        widening = (channels // 2, channels)
        yield Convolution(f"layer {number} down", widening, (3, 3), given, size, stride=(2, 2))
        yield Convolution(f"layer {number} shortcut", widening, (1, 1), given, size, stride=(2, 2))
        yield Convolution(f"layer {number}", (channels, channels), (3, 3), size, size, times=2 * blocks - 1)


def resnet34_flop() -> int:
    """FLOP for one waveform of 10 s without its filter bank: the convolutions, and the layer from 5,120 statistics to 256."""
    return sum(layer.times * layer.flop() for layer in resnet34_layers()) + gemm_flop(1, 5120, 256)


def campplus_layers(frames: int) -> Iterator[Convolution]:
    """CAM++'s convolutions: two two-dimensional stages, then a time-delay network at half the frames, whose 52 layers add
    32 channels each (3D-Speaker's campplus, whose code comes with the weights)."""
    size = (MEL_BANDS, frames)
    yield Convolution("head", (1, 32), (3, 3), size, size)
    for number in (1, 2):
        given, size = size, (size[0] // 2, frames)
        yield Convolution(f"head layer {number} down", (32, 32), (3, 3), given, size, stride=(2, 1))
        yield Convolution(f"head layer {number} shortcut", (32, 32), (1, 1), given, size, stride=(2, 1))
        yield Convolution(f"head layer {number}", (32, 32), (3, 3), size, size, times=3)
    given, size = size, (size[0] // 2, frames)
    yield Convolution("head end", (32, 32), (3, 3), given, size, stride=(2, 1))
    line = (1, convolved(frames, 5, stride=2, padding=2))
    yield Convolution("time delay", (32 * size[0], 128), (1, 5), (1, frames), line, stride=(1, 2))
    channels = 128
    for number, (layers, dilation) in enumerate(((12, 1), (24, 2), (16, 2)), 1):
        for layer in range(layers):
            yield Convolution(f"dense {number} in {layer}", (channels + 32 * layer, 128), (1, 1), line, line)
        yield Convolution(f"dense {number} local", (128, 32), (1, 3), line, line, dilation=dilation, times=layers)
        yield Convolution(f"dense {number} context in", (128, 64), (1, 1), line, line, times=layers)
        yield Convolution(f"dense {number} context", (64, 32), (1, 1), line, line, times=layers)
        channels += 32 * layers
        yield Convolution(f"transit {number}", (channels, channels // 2), (1, 1), line, line)
        channels //= 2
    yield Convolution("dense end", (2 * channels, 192), (1, 1), (1, 1), (1, 1))


def campplus_flop(frames: int) -> int:
    """FLOP for one item of speech, without its filter bank."""
    return sum(layer.times * layer.flop() for layer in campplus_layers(frames))


def fbank_flop(samples: int = SAMPLES) -> int:
    """FLOP of Kaldi's filter bank: window and pre-emphasis, a real transform as 2.5 n log2 n, power, and the mel product."""
    frames = (samples - FRAME_SAMPLES) // SHIFT_SAMPLES + 1
    bins = TRANSFORM_POINTS // 2 + 1
    transform = round(2.5 * TRANSFORM_POINTS * math.log2(TRANSFORM_POINTS))
    return frames * (4 * FRAME_SAMPLES + transform + 3 * bins + gemm_flop(1, bins, MEL_BANDS))


def fbank_bytes(samples: int = SAMPLES) -> int:
    frames = (samples - FRAME_SAMPLES) // SHIFT_SAMPLES + 1
    return FLOAT_BYTES * (samples + frames * MEL_BANDS)
