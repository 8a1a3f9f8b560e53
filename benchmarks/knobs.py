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
    return done
