"""Workarounds that are switched inside the process; those that are environment variables need nothing here.

Each may cost speed but never correctness, which is why it is safe to try without asking.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks import meter
from benchmarks.wire import Request


def apply(knobs: Iterable[str], *modules: Any) -> list[str]:
    """Switch these knobs (see `benchmarks.wire.KNOBS`) for this process and these modules; returns notes of what was done.

    ``lstm-dropout-0`` sets the dropout of each LSTM to 0. Outside training dropout does nothing, but ROCm 6.x's MIOpen wants a
    kernel for it that its wheels cannot compile (https://github.com/pyannote/pyannote-audio/issues/1995).
    ``miopen-off`` makes torch use its own kernels instead of MIOpen's, or cuDNN's on NVIDIA.
    ``blas-hipblas`` and ``blas-hipblaslt`` choose the library for matrix products by torch's own call: some builds use hipBLASLt
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


def compute_as_pyannote(request: Request) -> None:
    """Give torch its threads and a fixed seed, and no TF32, which pyannote switches off before each call
    (utils/reproducibility.py)."""
    import torch

    torch.set_num_threads(request.threads or meter.usable_processors())
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


OF_TORCH = ("miopen-off", "blas-hipblas", "blas-hipblaslt")
"""Knobs that need no module. They are switched before the device is first used, so that its description stays true."""

_BLAS = {"blas-hipblas": ("hipblas", "cublas"), "blas-hipblaslt": ("hipblaslt", "cublaslt")}
"""Names of the same library, ROCm's first: an older torch knows only NVIDIA's."""


def _prefer_blas(torch: Any, *names: str) -> str:
    """What torch answered when asked for a library. A torch that cannot choose is no failure, but then the knob has no effect."""
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
