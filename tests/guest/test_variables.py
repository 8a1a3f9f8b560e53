"""The guest's own variables: which are told, and which are taken away. The packages are stubs."""

from __future__ import annotations

from pathlib import Path

from benchmarks.stack import variables_of
from benchmarks.wire import MOST_VALUE_CHARACTERS, MOST_VARIABLES

from .stubs import Stubs, make_request, run_guest

SEES = 'import os; print("seen:", "HSA_OVERRIDE_GFX_VERSION" in os.environ, "OMP_DYNAMIC" in os.environ, flush=True)'
OF_IMAGE = {"HSA_OVERRIDE_GFX_VERSION": "11.5.0", "OMP_DYNAMIC": "false", "HIP_TOKEN": "hidden", "EDITOR": "vi"}
"""Stands for an image's ENV"""


def test_the_launch_stage_tells_the_variables_that_bear_on_results(tmp_path: Path) -> None:
    ended = run_guest(tmp_path, request=make_request(tmp_path, last_stage="launch"), variables=OF_IMAGE)
    assert ended.end("launch")["variables"] == {"HSA_OVERRIDE_GFX_VERSION": "11.5.0", "OMP_DYNAMIC": "false"}


def test_a_variable_of_the_image_is_taken_away_before_torch_can_read_it(tmp_path: Path) -> None:
    request = make_request(tmp_path, last_stage="import", unset=("HSA_OVERRIDE_GFX_VERSION", "HSA_ABSENT"))
    ended = run_guest(tmp_path, Stubs(misbehave={"import torch": SEES}), request, variables=OF_IMAGE)
    assert ended.end("launch")["variables"] == {"OMP_DYNAMIC": "false"}
    assert "seen: False True" in ended.log


def test_names_that_may_hold_a_secret_are_not_told_and_neither_is_what_bears_on_nothing() -> None:
    secret = dict.fromkeys(("HIP_TOKEN", "TORCH_API_KEY", "AMD_SECRET", "CUDA_PASSWORD", "HIP_auth_token"), "hidden")
    assert variables_of({**secret, "PATH": "/bin", "XHSA_A": "1", "MIOPEN_FIND_MODE": "2"}) == {"MIOPEN_FIND_MODE": "2"}


def test_a_flood_is_cut() -> None:
    told = variables_of({f"HSA_{number:03}": "x" * 300 for number in range(150)})
    assert len(told) == MOST_VARIABLES
    assert {len(value) for value in told.values()} == {MOST_VALUE_CHARACTERS}
    assert variables_of({"HSA_ODD": "\udcff"}) == {"HSA_ODD": "\\udcff"}
