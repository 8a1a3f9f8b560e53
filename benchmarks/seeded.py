"""Numbers that are made here: the same bits under every version of Python and torch, and on every processor.

They come from SHAKE-256 of a text, through integers and single, correctly rounded float operations. torch's own generators promise
this for no two releases (https://docs.pytorch.org/docs/stable/notes/randomness.html).
"""

from __future__ import annotations

import array
import hashlib
import math
import sys
from typing import Any


def uniform(path: str, *shape: int) -> Any:
    """A float32 tensor of this shape on the CPU, uniformly distributed from -1 to below 1, which depends only on the path.

    A million values take some 10 ms.
    """
    import torch

    integers = torch.frombuffer(_integers(path, math.prod(shape)), dtype=torch.int16)
    return integers.to(torch.float32).reshape(shape) / 32768.0


def _integers(path: str, count: int) -> array.array[int]:
    """Signed 16-bit integers, uniformly distributed, which depend only on the path."""
    integers = array.array("h", hashlib.shake_256(path.encode()).digest(2 * count))
    if sys.byteorder == "big":
        integers.byteswap()
    return integers
