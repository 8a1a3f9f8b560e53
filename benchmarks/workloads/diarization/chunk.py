"""The output of a pipeline's two networks for one chunk of the recording, small enough to be kept with every launch.

`harness.workloads.diarization.agreement` compares it with the output of the CPU run of the same image for the same chunk. Turns can
agree where numbers do not, and differ where numbers agree: turns say whether the result is right, numbers say why.
"""

from __future__ import annotations

import array
import base64
import hashlib
import math
import sys
from typing import Any

SAMPLE_RATE_HERTZ = 16_000
CHUNK_SECONDS = 10
CHUNK_SAMPLES = SAMPLE_RATE_HERTZ * CHUNK_SECONDS
STEP_SECONDS = 1
"""pyannote's window moves by a tenth of its length."""

SPEAKERS_A_CHUNK = 3
"""The speakers that segmentation-3.0 tells apart, and so the embeddings that pyannote computes for each chunk."""

MASK_FRAMES = 589
"""The frames that segmentation-3.0 gives for a chunk, and so the length of the embedding's masks."""

SAMPLED_VALUES = {"segmentation": 128, "embedding": 512}
"""How many of an output's values are kept at most, evenly spread: all of an embedding, every 32nd of a segmentation's 4,123."""


def take(
    segmentation: Any, embedding: Any, samples: array.array[float], *, device: str, batches: tuple[int, int]
) -> dict[str, Any]:
    """Both networks' outputs for the chunk in the middle of the recording, computed on the device.

    On a GPU the chunk is repeated to the batch sizes that the passes had, since what is right alone may be wrong in a batch; on
    a CPU it is computed once. The last item of a batch is kept, and how far the others lie from it (``spread``).
    """
    import torch

    cut, start = middle_of(samples)
    sizes = (1, 1) if device == "cpu" else as_in_the_passes(len(samples), batches)
    mask = fixed_mask()
    with torch.inference_mode():
        waveform = torch.frombuffer(cut, dtype=torch.float32)[None, None]
        masks = torch.tensor([mask])
        outputs = {
            "segmentation": segmentation(waveform.repeat(sizes[0], 1, 1).to(device)),
            "embedding": embedding(waveform.repeat(sizes[1], 1, 1).to(device), weights=masks.repeat(sizes[1], 1).to(device)),
        }
        items = {name: output.float().cpu().flatten(1).tolist() for name, output in outputs.items()}
    return {
        "input_sha256": hashlib.sha256(little_endian(cut) + little_endian(array.array("f", mask))).hexdigest(),
        "start_seconds": start / SAMPLE_RATE_HERTZ,
        "batches": list(sizes),
        **{name: describe(values, keep=SAMPLED_VALUES[name]) for name, values in items.items()},
    }


def middle_of(samples: array.array[float]) -> tuple[array.array[float], int]:
    """Ten seconds from the middle, and the number of their first sample; a shorter recording is taken whole and padded with
    silence."""
    start = max(0, len(samples) - CHUNK_SAMPLES) // 2
    cut = samples[start : start + CHUNK_SAMPLES]
    return cut + array.array("f", bytes(4 * (CHUNK_SAMPLES - len(cut)))), start


def as_in_the_passes(samples: int, batches: tuple[int, int]) -> tuple[int, int]:
    """The largest batches of segmentation and embedding that a pass over this many samples fills. A short recording has fewer
    chunks than a batch takes, and a larger batch here might need memory that the passes did not."""
    chunks = 1 + max(0, samples - CHUNK_SAMPLES) // (STEP_SECONDS * SAMPLE_RATE_HERTZ)
    return min(batches[0], chunks), min(batches[1], chunks * SPEAKERS_A_CHUNK)


def fixed_mask() -> list[float]:
    """The mask of the chunk's frames that an embedding is made of: two thirds of them, always the same."""
    return [float(frame // 40 % 3 != 1) for frame in range(MASK_FRAMES)]


def describe(items: list[list[float]], *, keep: int) -> dict[str, Any]:
    """A network's output, one list for each item of the batch, in a few values that JSON can hold.

    ``sampled`` is base64 of little-endian 32-bit floats: value ``values * i // kept`` of the last item for each i. ``spread``
    is the largest difference between an item and the last; ``None`` where something is not finite.
    """
    last = items[-1]
    kept = min(keep, len(last))
    not_finite = sum(not math.isfinite(value) for item in items for value in item)
    gaps = (abs(a - b) for item in items[:-1] for a, b in zip(item, last, strict=True))
    spread = None if not_finite else max(gaps, default=0.0)
    sampled = array.array("f", (last[len(last) * i // kept] for i in range(kept)))
    return {
        "values": len(last),
        "not_finite": not_finite,
        "spread": spread,
        "sampled": base64.b64encode(little_endian(sampled)).decode(),
    }


def little_endian(values: array.array[float]) -> bytes:
    """The bytes of 32-bit floats, the same on every processor."""
    stored = array.array("f", values)
    if sys.byteorder == "big":
        stored.byteswap()
    return stored.tobytes()
