"""What each step of the probe computes, and how far its result lies from the same computation on the CPU.

Shapes are those of pyannote's networks on 10 s chunks: 160,000 samples, 589 frames of SincNet, 998 frames of 80 mel bands.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import knobs, meter
from benchmarks.wire import Request
from benchmarks.workloads.kernels.work import MEL_BANDS, MEL_FRAMES, SAMPLES, SINCNET_FRAMES

DISTINCT = 2
"""Different items in a batch, which repeats them: so every item is compared, and the CPU computes only two."""

BATCH = 32
"""As in pyannote's published configurations"""

MOST_REPETITIONS = 3
"""How often a computation is timed after its first call; the best time counts."""

LONGEST_REPETITION_SECONDS = 5.0
"""No further call begins after this time: on a slow CPU one is enough."""


@dataclasses.dataclass(frozen=True)
class Computation:
    """A module, or a function of tensors, with its inputs on the CPU."""

    run: Callable[..., Any]
    inputs: tuple[Any, ...]
    tolerance: float
    """The largest difference that counts as right, relative to the largest magnitude of the reference"""
    batch: int = BATCH
    is_module: bool = True
    shape: str = ""


def measure(name: str, request: Request) -> dict[str, Any]:
    """Compute one step on the request's device; returns what the journal should know about it.

    ``difference`` is the largest over all outputs, absolute and relative to the reference's largest magnitude, ``None``
    where an output is not finite; the reference is computed on the CPU in float64.
    """
    import torch

    knobs.compute_as_pyannote(request)
    computation = _BUILDERS[name.removesuffix("-miopen-off").removesuffix("-dropout-0")](request.device)
    switched = [*request.knobs, *(knob for knob in ("lstm-dropout-0", "miopen-off") if name in _STEPS_OF_KNOB[knob])]
    with torch.no_grad():
        modules = (computation.run,) if computation.is_module else ()
        notes = knobs.apply(dict.fromkeys(switched), *modules)
        reference = _reference(computation)
        output, first_seconds, best_seconds = _timed(computation, request.device)
        repeated = torch.cat([reference] * (computation.batch // DISTINCT))
        difference = _difference(output, repeated)
    return {
        "first_seconds": first_seconds,
        "best_seconds": best_seconds,
        "shape": computation.shape,
        "difference": {**difference, "tolerance": computation.tolerance},
        "notes": notes,
    }


_STEPS_OF_KNOB = {"lstm-dropout-0": ("lstm-dropout-0",), "miopen-off": ("lstm-miopen-off", "conv2d-miopen-off")}


def _timed(computation: Computation, device: str) -> tuple[Any, float, float]:
    """The output of the first call on the device, its seconds, and the seconds of the best of a few further calls."""
    import torch

    synchronise = meter.synchroniser(device)
    run = computation.run.to(device) if computation.is_module else computation.run  # type: ignore[attr-defined]
    inputs = [torch.cat([each] * (computation.batch // DISTINCT)).to(device) for each in computation.inputs]
    synchronise()
    seconds: list[float] = []
    output = None
    begun = time.perf_counter()
    while len(seconds) < 2 or (len(seconds) <= MOST_REPETITIONS and time.perf_counter() - begun < LONGEST_REPETITION_SECONDS):
        call_begun = time.perf_counter()
        latest = run(*inputs)
        synchronise()
        seconds.append(time.perf_counter() - call_begun)
        output = latest if output is None else output
    return output, seconds[0], min(seconds[1:])


def _reference(computation: Computation) -> Any:
    """The output on the CPU in float64, for the items that differ."""
    run: Any = computation.run
    if computation.is_module:
        run = copy.deepcopy(run).double()
    return _first(run(*(each.double() for each in computation.inputs)))


def _difference(output: Any, reference: Any) -> dict[str, float | None]:
    """The largest differences; ``None`` where something is not finite."""
    import torch

    output = _first(output).cpu().double()
    if not bool(torch.isfinite(output).all()):
        return {"max_absolute": None, "max_relative": None}
    absolute, scale = float((output - reference).abs().max()), float(reference.abs().max())
    relative = absolute / scale if scale else absolute
    if not math.isfinite(relative):
        return {"max_absolute": None, "max_relative": None}
    return {"max_absolute": absolute, "max_relative": relative}


def _first(output: Any) -> Any:
    """The output itself: an LSTM returns a pair of output and state."""
    return output[0] if isinstance(output, tuple) else output


def _device_op(device: str) -> Computation:
    """Elementwise work and a reduction."""
    import torch

    def compute(values: Any) -> Any:
        waves = (values * 2.0 + 1.0).sin()
        return torch.cat([waves, waves.mean(dim=1, keepdim=True)], dim=1)

    return Computation(compute, (torch.randn(DISTINCT, SAMPLES),), 1e-5, is_module=False, shape=f"{BATCH} x {SAMPLES}")


def _gemm(device: str) -> Computation:
    """The projection into an LSTM layer."""
    import torch

    matrix = torch.randn(256, 512) / 16.0

    def compute(values: Any) -> Any:
        return values @ matrix.to(values.device, values.dtype)

    values = torch.randn(DISTINCT, SINCNET_FRAMES, 256)
    shape = f"{BATCH * SINCNET_FRAMES} x 256 by 256 x 512"
    return Computation(compute, (values,), 1e-4, is_module=False, shape=shape)


def _conv2d(device: str) -> Computation:
    """ResNet34's stem, its way down to 64 channels, and a 3 x 3 of 64 x 64."""
    import torch
    from torch import nn

    module = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, bias=False),
    ).eval()
    batch = _batch(device)
    shape = f"{batch} x 1 x {MEL_BANDS} x {MEL_FRAMES} to {batch} x 64 x {MEL_BANDS // 2} x {MEL_FRAMES // 2}"
    return Computation(module, (torch.randn(DISTINCT, 1, MEL_BANDS, MEL_FRAMES),), 1e-4, batch=batch, shape=shape)


def _lstm(device: str) -> Computation:
    """The LSTM of segmentation-3.0."""
    import torch
    from torch import nn

    module = nn.LSTM(60, 128, num_layers=4, bidirectional=True, dropout=0.5, batch_first=True).eval()
    shape = f"{BATCH} x {SINCNET_FRAMES} x 60, 4 layers of 128, both ways"
    return Computation(module, (torch.randn(DISTINCT, SINCNET_FRAMES, 60),), 1e-3, shape=shape)


def _checkpoint(device: str) -> Computation:
    """segmentation-3.0's network, written as pyannote's training leaves it and read back by pyannote itself.

    Only its SincNet is computed: the layers after it have steps of their own, and their failures would be blamed on the checkpoint.
    """
    import torch

    from benchmarks.workloads.diarization import synthetic

    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        path = Path(folder) / "segmentation.bin"
        synthetic.save_checkpoint(synthetic.build_segmentation(0), path)
        model = synthetic.load_checkpoint(path)
    waveforms = torch.randn(DISTINCT, 1, SAMPLES) * 0.1
    return Computation(model.sincnet, (waveforms,), 1e-3, batch=DISTINCT, shape=f"{DISTINCT} x 1 x {SAMPLES}")


def _segmentation(device: str) -> Computation:
    """segmentation-3.0's network."""
    import torch

    from benchmarks.workloads.diarization import synthetic

    model, batch = synthetic.build_segmentation(0), _batch(device)
    waveforms = torch.randn(DISTINCT, 1, SAMPLES) * 0.1
    return Computation(model, (waveforms,), 1e-3, batch=batch, shape=f"{batch} x 1 x {SAMPLES}")


def _embedding(device: str) -> Computation:
    """WeSpeaker's ResNet34, with its own filter bank, on a mask of speech."""
    import torch

    from benchmarks.workloads.diarization import synthetic

    model, batch = synthetic.build_embedding(0), _batch(device)
    inputs = (torch.randn(DISTINCT, 1, SAMPLES) * 0.1, (torch.rand(DISTINCT, SINCNET_FRAMES) > 0.3).float())
    return Computation(model, inputs, 1e-3, batch=batch, shape=f"{batch} x 1 x {SAMPLES}, weighted")


def _batch(device: str) -> int:
    """The batch of what would take a CPU minutes: there only the items that differ."""
    return DISTINCT if device == "cpu" else BATCH


_BUILDERS: dict[str, Callable[[str], Computation]] = {
    "device-op": _device_op,
    "gemm": _gemm,
    "conv2d": _conv2d,
    "lstm": _lstm,
    "checkpoint": _checkpoint,
    "segmentation": _segmentation,
    "embedding": _embedding,
}
