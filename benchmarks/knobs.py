"""Work-arounds that are switched inside the process; those that are environment variables need nothing here.

Each gives up speed or nothing, never correctness: that is what makes it safe to try without asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def apply(knobs: Iterable[str], *modules: Any) -> list[str]:
    """Switch these knobs (see `benchmarks.wire.KNOBS`) for this process and these modules; returns what was done, as notes.

    ``lstm-dropout-0`` sets the dropout of each LSTM to 0. Out of training it does nothing, but ROCm 6.x's MIOpen compiles a
    kernel for it that its wheels cannot compile (https://github.com/pyannote/pyannote-audio/issues/1995).
    ``miopen-off`` makes torch use its own kernels instead of MIOpen's, or cuDNN's on NVIDIA.
    ``blas-hipblas`` and ``blas-hipblaslt`` name the library of matrix products by torch's own call: some builds take hipBLASLt
    on their preferred GPUs whatever the variable says (https://github.com/pytorch/pytorch/pull/174377).
    """
    import torch

    done = []
    for knob in knobs:
        if knob == "lstm-dropout-0":
            lstms = [part for module in modules for part in module.modules() if isinstance(part, torch.nn.LSTM)]
            for lstm in lstms:
                lstm.dropout = 0.0
            done.append(f"{knob}: dropout of {len(lstms)} LSTM(s) set to 0")
        elif knob == "miopen-off":
            torch.backends.cudnn.enabled = False
            done.append(f"{knob}: torch.backends.cudnn.enabled is False")
        elif knob in _BLAS:
            done.append(f"{knob}: {_prefer_blas(torch, *_BLAS[knob])}")
    return done


OF_TORCH = ("miopen-off", "blas-hipblas", "blas-hipblaslt")
"""Those that need no module: switched before the device is used first, so that what is said of it is true of what follows."""

_BLAS = {"blas-hipblas": ("hipblas", "cublas"), "blas-hipblaslt": ("hipblaslt", "cublaslt")}
"""Names of the same library, ROCm's first: an older torch knows NVIDIA's alone."""


def _prefer_blas(torch: Any, *names: str) -> str:
    """What became of asking torch for a library; a torch that cannot is no failure, only a knob without effect."""
    prefer = getattr(torch.backends.cuda, "preferred_blas_library", None)
    if prefer is None:
        return "this torch has no preferred_blas_library, so the variable alone was set"
    refusal = ""
    for name in names:
        try:
            return f"preferred_blas_library({name!r}) is {prefer(name)}"
        except Exception as error:  # an unknown name, or a build without that library
            refusal = refusal or " ".join(str(error).split())[:200]
    return f"torch refuses it: {refusal}"
