"""Numbers that tell whether two images compute the same: one made-up chunk of sound through both networks.

Where torch, its thread count and the processor's instruction set are the same, the bits should be; elsewhere the
sampled values say by how much they differ. `harness.analysis.numeric_fingerprints` compares.
"""

from __future__ import annotations

import array
import hashlib
import math
import sys
from typing import Any

SAMPLE_RATE_HERTZ = 16_000
CHUNK_SECONDS = 10
STEP_SAMPLES = 4_000
"""The loudness changes every quarter of a second."""

SAMPLED_VALUES = 64
"""So many of an output's values are kept, evenly spread."""

MASK_FRAMES = 589
"""Frames that segmentation-3.0 gives for a chunk, and so the length of the masks that the embedding gets."""


OUTPUTS = ("segmentation", "embedding")


def take(segmentation: Any, embedding: Any, *, device: str) -> dict[str, Any]:
    """The fingerprint of two loaded networks: how it was computed, and what came out of each.

    Computed with one thread, as sums over several threads have no fixed order; the thread count is put back.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            waveform = torch.frombuffer(chunk(), dtype=torch.float32).reshape(1, 1, -1).to(device)
            mask = torch.tensor([[float(frame // 40 % 3 != 1) for frame in range(MASK_FRAMES)]], device=device)
            outputs = {"segmentation": segmentation(waveform), "embedding": embedding(waveform, weights=mask)}
    finally:
        torch.set_num_threads(threads)
    return {
        "torch": str(torch.__version__),
        "device": device,
        "threads": 1,
        "cpu_capability": _cpu_capability(),
        **{name: describe(array.array("f", output.float().cpu().flatten().tolist())) for name, output in outputs.items()},
    }


def chunk() -> array.array[float]:
    """Ten seconds of noise in eight loudnesses, the same bits everywhere: integers of SHAKE-256, over powers of two."""
    count = SAMPLE_RATE_HERTZ * CHUNK_SECONDS
    noise = hashlib.shake_256(b"strixbench fingerprint").digest(count)
    return array.array("f", ((noise[i] - 128) / 128 * (i // STEP_SAMPLES * 5 % 8) / 8 for i in range(count)))


def describe(values: array.array[float]) -> dict[str, Any]:
    """A network's output (32-bit floats) as JSON can hold it.

    ``sha256`` is of the little-endian bytes; the statistics are ``None`` where a value is not finite, and so is each
    such value of ``sample``. Nine digits give a 32-bit float back exactly.
    """
    finite = [value for value in values if math.isfinite(value)]
    stored = array.array("f", values)
    if sys.byteorder == "big":
        stored.byteswap()
    kept = min(SAMPLED_VALUES, len(values))
    found: dict[str, Any] = {
        "sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
        "values": len(values),
        "not_finite": len(values) - len(finite),
        **dict.fromkeys(("mean", "std", "min", "max", "norm")),
        "sample": [_nine_digits(values[len(values) * i // kept]) for i in range(kept)],
    }
    if finite and len(finite) == len(values):
        mean = math.fsum(values) / len(values)
        statistics = {
            "mean": mean,
            "std": math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values)),
            "min": min(values),
            "max": max(values),
            "norm": math.sqrt(math.fsum(value * value for value in values)),
        }
        found |= {name: _nine_digits(value) for name, value in statistics.items()}
    return found


def _nine_digits(value: float) -> float | None:
    return float(f"{value:.9g}") if math.isfinite(value) else None


def _cpu_capability() -> str | None:
    """The instruction set that torch's own kernels use; ``None`` where this torch does not say."""
    import torch

    try:
        return str(torch.backends.cpu.get_cpu_capability())
    except AttributeError:
        return None
