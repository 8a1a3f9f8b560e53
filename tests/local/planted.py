"""Faults planted into torch inside the guest, so that what must catch them can be seen to do so.

These are fakes: a folder with a ``sitecustomize.py`` that a variant of the test's own puts on PYTHONPATH, and that says on
stderr, and so in the launch's log, that it is one. The device is the CPU and is called so; the variant is called ``planted``.
"""

from __future__ import annotations

from pathlib import Path

_HEAD = '''"""A planted fault, written by a test: see tests/local/planted.py."""
import sys
print("planted fault: this is a test's fake, and nothing of it is a measurement", file=sys.stderr)
import torch
'''

LSTM_WITHOUT_BIAS_ABOVE_65535_ROWS = (
    _HEAD
    + '''
_forward = torch.nn.LSTM.forward
def forward(self, batch, *rest):
    """As MIOpen before ROCm 10 on RDNA: batch x frames over 65,535, and the bias is never added, without a word."""
    if batch.shape[0] * batch.shape[1] <= 65_535:
        return _forward(self, batch, *rest)
    biases = [parameter for name, parameter in self.named_parameters() if name.startswith("bias")]
    kept = [bias.data.clone() for bias in biases]
    try:
        for bias in biases:
            bias.data.zero_()
        return _forward(self, batch, *rest)
    finally:
        for bias, value in zip(biases, kept):
            bias.data.copy_(value)
torch.nn.LSTM.forward = forward
'''
)

LSTM_WITHOUT_BIAS = LSTM_WITHOUT_BIAS_ABOVE_65535_ROWS.replace("<= 65_535", "<= 0")
"""At every batch, as what a 10 s recording can show."""

FAILS_AT_BATCH_8 = (
    _HEAD
    + """
_forward = torch.nn.LSTM.forward
def forward(self, batch, *rest):
    if batch.shape[0] == 8:
        raise RuntimeError("planted: no batch of 8")
    return _forward(self, batch, *rest)
torch.nn.LSTM.forward = forward
"""
)

SOFTMAX_OVER_QUERIES = (
    _HEAD
    + """
import math
def attend(query, key, value, *rest, **named):
    # Its weights sum to one over the queries, and not over the keys.
    return torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), dim=-2) @ value
torch.nn.functional.scaled_dot_product_attention = attend
"""
)


def plant(folder: Path, fault: str) -> Path:
    """Write a fault and a catalog overlay with the variant ``planted`` of local-cpu; returns the overlay."""
    (folder / "fault").mkdir()
    (folder / "fault" / "sitecustomize.py").write_text(fault)
    overlay = folder / "planted.toml"
    overlay.write_text(
        f"[variants.planted]\ndescription = 'a fault that a test planted'\nenvironment = {{ PYTHONPATH = '{folder / 'fault'}' }}\n"
        "[images.local-cpu]\nvariants = ['cpu', 'planted']\n"
    )
    return overlay
