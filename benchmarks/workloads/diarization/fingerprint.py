"""Numbers that tell whether two images compute the same: the output of both networks for one made-up chunk of sound.

Where torch, its thread count and the processor's instruction set are the same, the bits should be the same too; elsewhere the
sampled values say by how much they differ. `harness.analysis.numeric_fingerprints` compares them.
"""

from __future__ import annotations

import array
import hashlib
import math
from typing import Any

from benchmarks.workloads.diarization.chunk import CHUNK_SAMPLES, fixed_mask, little_endian

STEP_SAMPLES = 4_000
"""The loudness changes every quarter of a second."""

SAMPLED_VALUES = 64
"""How many of an output's values are kept, evenly spread"""

OUTPUTS = ("segmentation", "embedding")


def take(segmentation: Any, embedding: Any, *, device: str) -> dict[str, Any]:
    """The fingerprint of two loaded networks: how it was computed, and what came out of each.

    It is computed with one thread, since sums over several threads have no fixed order; the thread count is restored.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            waveform = torch.frombuffer(chunk(), dtype=torch.float32).reshape(1, 1, -1).to(device)
            mask = torch.tensor([fixed_mask()], device=device)
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
    """Ten seconds of noise in eight loudnesses, the same bits everywhere: integers from SHAKE-256, divided by powers of two."""
    noise = hashlib.shake_256(b"strixbench fingerprint").digest(CHUNK_SAMPLES)
    return array.array("f", ((noise[i] - 128) / 128 * (i // STEP_SAMPLES * 5 % 8) / 8 for i in range(CHUNK_SAMPLES)))


def describe(values: array.array[float]) -> dict[str, Any]:
    """A network's output (32-bit floats) as JSON can hold it.

    ``sha256`` is the hash of the little-endian bytes. The statistics are ``None`` where a value is not finite, and so is each
    such value in ``sample``. Nine digits give a 32-bit float back exactly.
    """
    finite = [value for value in values if math.isfinite(value)]
    kept = min(SAMPLED_VALUES, len(values))
    found: dict[str, Any] = {
        "sha256": hashlib.sha256(little_endian(values)).hexdigest(),
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
