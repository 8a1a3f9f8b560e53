"""The workload ``vit``: a ViT-B/16 with random weights classifies images, batch by batch. It needs torch and no file.

``options`` are ``batch_size``, ``images`` (how many a pass goes through, a multiple of the batch size) and ``precision`` (one of
`PRECISIONS`: weights and images are of that type, and so is each result; nothing is cast in between). It has no ``inputs``.

Only the network is timed: the images lie on the device before, and the logits stay there. A pass goes through `DISTINCT` images
again and again, each time in other places of its batches. The end of ``load`` also tells ``threads``. The end of ``verify`` tells

==================== ==============================================================================================
``precision``        the logits' own type
``finite``           whether all logits of all passes are
``distinct_outputs`` how many different logits the passes gave, by their bits
``logits``           those of each distinct image in the last pass, in order, as in `benchmarks.workloads.diarization.chunk.describe`.
                     ``spread`` is the largest difference between two logits of the same image and class, in whichever pass and place
``top``              the class with the largest logit of each distinct image in the last pass
``input_sha256``     a hash over weights and images as they were made, before they were cast
==================== ==============================================================================================
"""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks import measured
from benchmarks.measured import Measured
from benchmarks.wire import Journal, ProtocolError, Request
from benchmarks.workloads import Stage, positive_integers

NEEDED: tuple[str, ...] = ("torch",)

PRECISIONS = ("float32", "float16", "bfloat16")

DISTINCT = 32
"""The largest number of different images in a pass"""

SHIFT = 5
"""Each time that a pass goes through the images it begins this many further on, so that they change their places in the batches."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What a request may choose."""

    batch_size: int
    images: int
    precision: str

    @property
    def distinct(self) -> int:
        """How many different images a pass goes through."""
        return min(DISTINCT, self.images)

    @property
    def firsts(self) -> list[int]:
        """The image with which each batch of a pass begins."""
        begins = range(0, self.images, self.batch_size)
        return [(begin + begin // self.distinct * SHIFT) % self.distinct for begin in begins]

    @property
    def order(self) -> list[int]:
        """The number of the image at each place of a pass."""
        return [(first + place) % self.distinct for first in self.firsts for place in range(self.batch_size)]


def read_options(options: dict[str, Any]) -> Options:
    """The options of a request; raises `ProtocolError`."""
    precision = options.get("precision")
    if precision not in PRECISIONS:
        raise ProtocolError(f"no precision {precision!r}: there are {', '.join(PRECISIONS)}")
    read = Options(**positive_integers(options, "batch_size", "images"), precision=precision)
    if read.images % read.batch_size:
        raise ProtocolError(f"{read.images} images are no whole number of batches of {read.batch_size}")
    return read


def stages(request: Request) -> tuple[Stage, ...]:
    """Load, cold, warm and verify."""
    read_options(request.options)
    return measured.stages(request, _make)


def _make(request: Request, journal: Journal) -> Measured:
    from benchmarks.workloads.vit.classification import Classification  # imports torch

    return Classification(request, journal, read_options(request.options))
