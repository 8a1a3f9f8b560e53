"""The passes of the workload ``vit``: see `benchmarks.workloads.vit`."""

from __future__ import annotations

import array
import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks import knobs, meter
from benchmarks.wire import Journal, Request
from benchmarks.workloads.diarization.chunk import describe, little_endian
from benchmarks.workloads.vit import Options, network

SAMPLED_VALUES = 768
"""How many logits are kept at most, evenly spread over the images and their classes"""


class PrecisionMissing(Exception):  # noqa: N818 - the name is what a person reads in the report
    """The device cannot compute in the precision that was asked for."""


class Classification:
    """A network that classifies the same images in each pass."""

    def __init__(self, request: Request, journal: Journal, options: Options) -> None:
        self._request = request
        self._journal = journal
        self._options = options
        self._synchronise = meter.synchroniser(request.device)
        self._weights: network.Weights = {}
        self._images: Any = None
        self._input_sha256 = ""
        self._passes: list[Any] = []

    def load(self) -> dict[str, Any]:
        """Make the weights and the images, cast them and move them to the device."""
        device, precision = self._request.device, self._options.precision
        knobs.compute_as_pyannote(self._request)
        for note in knobs.apply(self._request.knobs):
            self._journal.write("note", text=note)
        refuse_missing(device, precision)
        watch = meter.Stopwatch(self._synchronise)
        weights = {name: network.make_weight(name, shape) for name, shape in network.shapes().items()}
        images = network.make_images(self._options.distinct)
        self._input_sha256 = network.hash_of({**weights, "images": images})
        watch.border("models")
        dtype = getattr(torch, precision)
        for name in weights:  # one after the other, so that no second copy of all is held
            weights[name] = weights[name].to(device, dtype)
        # Longer by a batch, so that a batch may begin at any image.
        longer = torch.arange(self._options.distinct + self._options.batch_size) % self._options.distinct
        self._weights, self._images = weights, images[longer].to(device, dtype)
        watch.border("to device")
        return {"parts": watch.parts, "processor_parts": watch.processor_parts, "threads": torch.get_num_threads()}

    def run(self) -> dict[str, Any]:
        """One pass, which has no parts."""
        size = self._options.batch_size
        with torch.inference_mode():
            watch = meter.Stopwatch(self._synchronise)
            logits = [network.classify(self._weights, self._images[first : first + size]) for first in self._options.firsts]
            timed = watch.stop()
        self._passes.append(torch.cat(logits))
        return timed

    def verify(self) -> dict[str, Any]:
        """What the logits of all passes tell."""
        return {**describe_passes(self._passes, self._options), "input_sha256": self._input_sha256}


def describe_passes(passes: Sequence[Any], options: Options) -> dict[str, Any]:
    """What `benchmarks.workloads.vit` says of the logits of all passes, each in the order in which it went through the images."""
    values = [logits.float().cpu() for logits in passes]
    of_images, last = values[0][: options.distinct], values[-1][: options.distinct]
    not_finite = sum(int((~torch.isfinite(each)).sum()) for each in values)
    spread = max(float((each - of_images[options.order]).abs().max()) for each in values)
    return {
        "precision": str(passes[-1].dtype).removeprefix("torch."),
        "finite": not not_finite,
        "distinct_outputs": len({_bits(each) for each in values}),
        "logits": {
            **describe([last.flatten().tolist()], keep=SAMPLED_VALUES),
            "not_finite": not_finite,
            "spread": None if not_finite else spread,
        },
        "top": last.argmax(1).tolist(),
    }


def _bits(values: Any) -> str:
    """A hash of each bit of float32 values on the CPU."""
    return hashlib.sha256(little_endian(array.array("f", values.flatten().tolist()))).hexdigest()


def refuse_missing(device: str, precision: str) -> None:
    """Raise `PrecisionMissing` where the device cannot compute in a precision by itself.

    A CPU then emulates it. With oneDNN held to AVX2 an image took 0.4 processor seconds in float32; in float16 or bfloat16 2 with
    torch 2.13.0, and in bfloat16 9 with 2.5.1.
    """
    name = {"float16": "fp16", "bfloat16": "bf16"}.get(precision)
    if name is None:
        return
    try:
        if device == "cpu":
            has = getattr(torch.ops.mkldnn, f"_is_mkldnn_{name}_supported")()
        else:
            has = name == "fp16" or torch.cuda.is_bf16_supported(including_emulation=False)
    except Exception:  # a torch that cannot tell is no failure
        return
    if not has:
        what = "CPU" if device == "cpu" else "GPU"
        raise PrecisionMissing(f"this {what} has no instructions for {precision}: torch would emulate it, many times slower")
