"""Portable builds of the two images that are cheapest to build: TheRock's and the CPU's with pyannote.audio 3. Podman alone:
what differs between the engines is tested with the image `cpu`."""

from __future__ import annotations

import json
import os

import pytest

from benchmarks.wire import STEPS
from harness.engines.container import ContainerEngine
from harness.records.launch import Launch
from harness.workloads.diarization import der_of
from tests.commands import Workplace

ONCE = ("--engine", "podman", "--launches", "1", "--passes", "1", "--json")


@pytest.fixture(autouse=True)
def _podman_alone(engine_name: str) -> None:
    if engine_name != "podman" or os.getuid() != 0:
        pytest.skip("built with rootful Podman alone: the image `cpu` is built with each engine")


@pytest.mark.parametrize(("image", "pyannote"), [("therock", "4.0.7"), ("cpu-pyannote3", "3.4.0")])
def test_a_portable_build_computes_and_diarizes_and_is_no_result_of_its_image(
    workplace: Workplace, engine: ContainerEngine, image: str, pyannote: str
) -> None:
    built = workplace.run("build", "--portable", image, "--engine", "podman", "--json")
    assert built.code == 0, built.stderr
    (row,) = json.loads(built.stdout)
    labels = engine.connection.api.inspect_image(row["id"])["Config"]["Labels"]
    assert labels["io.strixbench.portable-of"] == image
    assert labels["io.strixbench.lock"]
    assert labels["org.opencontainers.image.base.name"]

    probed = workplace.run("probe", "--portable", image, "--engine", "podman", "--json")
    (probe,) = probed.launches
    assert probed.code == 0, probe.verdict
    outcomes = {name: step.outcome for name, step in probe.said.steps.items()}
    assert outcomes.keys() == set(STEPS)
    assert set(outcomes.values()) == {"ok", "skipped"}
    assert {name for name, outcome in outcomes.items() if outcome == "skipped"} == {"lstm-miopen-off", "conv2d-miopen-off"}

    benched = workplace.bench("--portable", image, *ONCE)
    (launch,) = benched.launches
    assert benched.code == 0, launch.verdict
    assert right(launch)
    assert launch.said.imports["pyannote.audio"].version == pyannote
    assert (launch.image, launch.plan.image.portable_of, launch.plan.image.family) == (f"{image}-portable", image, "cpu")
    assert f"| {image} | podman" in workplace.page.read_text().split("## Portable builds")[1]


def right(launch: Launch) -> bool:
    """Two speakers, and no worse than the recording is known to give."""
    return launch.said.found("verify").count("speakers") == 2 and der_of(launch) is not None and der_of(launch) <= 0.08
