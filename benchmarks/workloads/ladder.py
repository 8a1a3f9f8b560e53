"""The workload ``ladder``: both networks of a pipeline at growing batches on the device, each item compared with batch 1 on the CPU.

A stack may be right for one chunk and wrong for many, without a word: MIOpen before ROCm 10 leaves out the bias of an LSTM
whose batch x frames exceed 65,535 (https://github.com/pytorch/pytorch/issues/177834,
https://github.com/ROCm/rocm-libraries/issues/10551). pyannote's chunk of 10 s has 589 frames, so there 111 chunks are right
and 112 are fast and wrong.

``options`` are ``batches``, ``models`` (``segmentation``, ``embedding`` or both) and those of `benchmarks.workloads.diarization`, as are
its ``inputs``. There are two ``result`` events for a rung: one when it begins (``outcome`` is ``trying``) and one when it ends. Both have ``model``
and ``batch``; the second has

======================= ===========================================================================================
``outcome``             ``ok``, ``wrong``, or ``failed`` with its ``chain``: a rung that fails does not end the others
``seconds``             of the first call at this batch; on a GPU it may compile
``finite``              whether all values are finite
``max_difference``      the largest absolute difference from the CPU's, over all items
``relative_difference`` the same as a share of the CPU's largest value
``cosine``              the smallest over all items
``wrong_items``         how many items of the batch are off
``tolerance``           the largest ``relative_difference`` that counts as right
======================= ===========================================================================================

``max_difference``, ``relative_difference`` and ``cosine`` are ``None`` where something is not finite.
"""

from __future__ import annotations

import array
import copy
import time
from collections.abc import Callable
from typing import Any

from benchmarks import knobs, meter
from benchmarks.wire import Journal, Request, exception_chain
from benchmarks.workloads import Stage, diarization
from benchmarks.workloads.diarization.chunk import CHUNK_SAMPLES, SAMPLE_RATE_HERTZ, fixed_mask
from benchmarks.workloads.diarization.diarize import Diarization, read_options

BATCHES = (1, 8, 32, 64, 111, 112, 128)

DISTINCT = 4
"""Different chunks. A batch repeats them: every item is compared, at the cost of computing four at batch 1."""

TOLERANCES = {"segmentation": 1e-3, "embedding": 1e-2}
"""The largest ``relative_difference`` that is right. In half precision an LSTM of these shapes was off by 7e-4 on average
where it was right, and by 1.4e-2 at the first batch that lost its bias (pytorch#177834). Here it is float32, where batch 1 and
32 differ by less than 1e-6 on a CPU. The probe's steps have the same 1e-3. The embedding has some 30 layers of convolutions, each
of which may use another algorithm at another batch, such as Winograd's; `LEAST_COSINE` bounds it as well."""

LEAST_COSINE = 0.999
"""For an embedding, as in `harness.workloads.diarization.agreement`"""


NEEDED = diarization.NEEDED


def stages(request: Request) -> tuple[Stage, ...]:
    """One: all rungs."""
    read_options(request.options)
    return (("ladder", lambda journal: run(request, journal)),)


def run(request: Request, journal: Journal) -> dict[str, Any]:
    """Try each batch of each network; returns the settings that were used."""
    import torch

    workload = Diarization(request, journal)
    loaded = workload.load()
    knobs.compute_as_pyannote(request)  # no pipeline is called here, which would do it
    networks = dict(zip(("segmentation", "embedding"), workload.networks, strict=True))
    batches = [int(batch) for batch in request.options.get("batches", BATCHES)]
    models = [str(name) for name in request.options.get("models", networks)]
    with torch.inference_mode():
        chunks = torch.stack([torch.tensor(chunk) for chunk in chunks_of(workload.samples)])[:, None]
        for name in models:
            _climb(name, networks[name], chunks, batches, request.device, journal)
    return {**loaded, "batches": batches, "models": models, "distinct_chunks": DISTINCT, "device": request.device}


def chunks_of(samples: array.array[float]) -> list[array.array[float]]:
    """`DISTINCT` chunks from the beginning to the end of the recording; a short recording is padded with silence.

    No two are alike, since that would hide an item that took another's place: in a short recording each is rotated by a part.
    """
    latest = max(0, len(samples) - CHUNK_SAMPLES)
    cuts = []
    for number in range(DISTINCT):
        start = latest * number // (DISTINCT - 1)
        cut = samples[start : start + CHUNK_SAMPLES]
        cut += array.array("f", bytes(4 * (CHUNK_SAMPLES - len(cut))))
        turned = 0 if latest >= SAMPLE_RATE_HERTZ else CHUNK_SAMPLES * number // DISTINCT
        cuts.append(cut[turned:] + cut[:turned])
    return cuts


def _climb(name: str, network: Any, chunks: Any, batches: list[int], device: str, journal: Journal) -> None:
    """Journal one network's rungs. Where the CPU itself fails there is nothing to compare with, and the workload ends."""
    import torch

    mask = torch.tensor([fixed_mask()])

    def call(model: Any, waveforms: Any) -> Any:
        if name == "segmentation":
            return model(waveforms)
        return model(waveforms, weights=mask.expand(len(waveforms), -1).to(waveforms.device))

    on_cpu = network if device == "cpu" else copy.deepcopy(network).cpu()
    references = torch.cat([call(on_cpu, chunk[None]).float() for chunk in chunks])
    del on_cpu
    for batch in batches:
        journal.write("result", model=name, batch=batch, outcome="trying")
        journal.write(
            "result", model=name, batch=batch, **_rung(name, lambda x: call(network, x), chunks, references, batch, device)
        )


def _rung(name: str, call: Callable[[Any], Any], chunks: Any, references: Any, batch: int, device: str) -> dict[str, Any]:
    """How one batch did."""
    import torch

    synchronise = meter.synchroniser(device)
    try:
        chosen = torch.arange(batch) % len(chunks)
        waveforms = chunks[chosen].to(device)
        synchronise()
        begun = time.perf_counter()
        output = call(waveforms)
        synchronise()
        seconds = time.perf_counter() - begun
        return {
            "seconds": seconds,
            "frames": _frames(name, output),
            **compare(output.float().cpu(), references, TOLERANCES[name]),
        }
    except Exception as error:  # any library may raise anything; the next rung may still succeed
        return {"outcome": "failed", "chain": exception_chain(error)}


def _frames(name: str, output: Any) -> int | None:
    """How many frames the LSTM had for each item; ``None``: the network has no LSTM."""
    return int(output.shape[1]) if name == "segmentation" else None


def compare(output: Any, references: Any, tolerance: float) -> dict[str, Any]:
    """A batch's output against the CPU's for the same items, which repeat; one item at a time, so that no copy is large."""
    import torch

    scale = float(references.abs().max()) or 1.0
    differences, cosines = [], []
    wrong = 0
    finite = bool(torch.isfinite(output).all())
    if output.shape[1:] != references.shape[1:]:
        raise ValueError(
            f"an item of this batch has the shape {tuple(output.shape[1:])}, alone it has {tuple(references.shape[1:])}"
        )
    for number, item in enumerate(output):
        reference = references[number % len(references)]
        difference = float((item - reference).abs().max())
        cosine = float(torch.nn.functional.cosine_similarity(item.flatten().double(), reference.flatten().double(), dim=0))
        # Written so that NaN is wrong.
        wrong += not (difference / scale <= tolerance and cosine >= LEAST_COSINE)
        differences.append(difference)
        cosines.append(cosine)
    return {
        "outcome": "ok" if finite and not wrong else "wrong",
        "finite": finite,
        "max_difference": max(differences) if finite else None,
        "relative_difference": max(differences) / scale if finite else None,
        "cosine": min(1.0, *cosines) if finite else None,
        "wrong_items": wrong,
        "tolerance": tolerance,
    }
