"""`strixbench kernels` in real containers, whose images have no pytest."""

from __future__ import annotations

import pytest

from harness.engines.base import BuiltImage
from tests.commands import Workplace


@pytest.mark.once
def test_kernels_are_timed_in_a_container_with_tools_from_outside(
    workplace: Workplace, engine_name: str, cpu_image: BuiltImage
) -> None:
    options = ("--launches", "1", "--seconds", "0.05", "--only", "campplus dense*", "--only", "fbank")
    done = workplace.run("kernels", "cpu", "--engine", engine_name, *options)
    assert done.code == 0, done.stderr
    (launch,) = workplace.stored()
    assert launch.plan.image.id == cpu_image.id
    assert launch.verdict.status == "pass"
    assert "--network=none" in launch.plan.command
    timed = [each.text("kernel") for each in launch.said.results if each.text("outcome") == "ok"]
    assert timed == ["campplus dense 2 in 12", "campplus dense 2 local", "fbank"]
