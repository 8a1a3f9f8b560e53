"""The last events of steps of the probe, as a guest journals them. They are made up."""

from __future__ import annotations

from tests.unit.samples import a_link

MIOPEN = {
    "outcome": "failed",
    "exit_code": 1,
    "chain": [a_link("builtins.RuntimeError", "miopenStatusUnknownError")],
    "tail": "MIOpen(HIP): Error: 'rocrand/rocrand_xorwow.h' file not found",
}
SEGFAULT = {"outcome": "crashed", "exit_code": 139, "signal": "SIGSEGV", "tail": "Fatal Python error: Segmentation fault\n"}
FAR = {"outcome": "wrong", "difference": {"max_absolute": 0.2, "max_relative": 0.31, "tolerance": 0.001}}
NAN = {"outcome": "wrong", "difference": {"max_absolute": None, "max_relative": None, "tolerance": 0.001}}
TIMEOUT = {"outcome": "timeout", "exit_code": 137, "tail": ""}
SKIPPED = {"outcome": "skipped", "reason": "no MIOpen on a CPU"}
