"""`strixbench bench --pipeline synthetic`: pyannote's own networks for real, with random weights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

import pytest

from harness.analysis.numeric_fingerprints import compare, fingerprint_of
from harness.catalog.load import load_catalog
from harness.engines.local import environment_python
from harness.images.build import recipe_of
from harness.records.journal import Pass
from harness.workloads.diarization import der_of
from tests.commands import REPOSITORY, Workplace

# pyannote's networks in the shapes of 3.1 with the weights of seed 0. Who changes them changes what every stored
# fingerprint was made of.
SEGMENTATION_WEIGHTS = "35bc0e7e5588c6595d0493ab37c38ce5b896a251453e5378fec9eb3bf36cd0fe"
EMBEDDING_WEIGHTS = "4ded1371db473c1ffdbf5d4ed291b63ab383b4ce764b5a7af5324d1b61e420ab"

HASH_THE_WEIGHTS = """
import hashlib
from benchmarks.workloads.diarization import synthetic
for model in (synthetic.build_segmentation(), synthetic.build_embedding()):
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + bytes(str(tuple(tensor.shape)), "ascii") + tensor.numpy().astype(tensor.numpy().dtype.newbyteorder("<")).tobytes())
    print(digest.hexdigest())
"""


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory, cache: Mapping[str, str]) -> Workplace:
    """Two launches of the synthetic pipeline; many tests look at them, none changes them."""
    workplace = Workplace(tmp_path_factory.mktemp("synthetic"), cache)
    options = ("--pipeline", "synthetic", "--launches", "2", "--passes", "1", "--audio-seconds", "10")
    done = workplace.bench("local-cpu", *options)
    assert done.code == 0, done.stderr
    assert "random weights, no accuracy" in done.stdout
    return workplace


def test_it_computes_real_and_finite_output(synthetic: Workplace) -> None:
    for launch in synthetic.stored():
        assert launch.verdict.status == "pass"
        output = launch.said.found("verify")
        assert output.flag("finite")
        assert (output.number("speech_seconds") or 0.0) > 1
        parts = [[each.parts.number(name) or 0.0 for name in ("embeddings", "clustering")] for each in launch.said.of(Pass)]
        assert len(parts) == 2
        assert all(embeddings > clustering > 0 for embeddings, clustering in parts)


def test_two_launches_compute_the_same_bits(synthetic: Workplace) -> None:
    first, second = (fingerprint_of(launch) for launch in synthetic.stored())
    assert first is not None
    assert second is not None
    assert compare(first, second).identical
    assert first.segmentation.values == 589 * 7
    assert first.embedding.values == 256
    assert len(set(first.segmentation.sample)) > 30
    assert len(set(first.embedding.sample)) > 30


def test_it_is_never_scored(synthetic: Workplace) -> None:
    for launch in synthetic.stored():
        assert der_of(launch) is None
        assert launch.plan.workload.truth_sha256 is None
        assert launch.findings == {}
    page = synthetic.page.read_text()
    assert "### synthetic on sample-fitted-10s: 10.0 s of audio; random weights, no accuracy" in page
    assert "that is right" not in page
    assert "## Numeric fingerprint" in page


def test_its_checkpoints_leave_nothing_behind(synthetic: Workplace) -> None:
    assert [path for path in synthetic.results.rglob("*") if path.suffix in (".bin", ".npz")] == []


def test_the_weights_are_those_that_they_always_were(synthetic: Workplace) -> None:
    python = environment_python(recipe_of(load_catalog().images["local-cpu"]))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYANNOTE_METRICS_ENABLED": "0"}
    done = subprocess.run(
        (str(python), "-W", "ignore", "-c", HASH_THE_WEIGHTS),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == [SEGMENTATION_WEIGHTS, EMBEDDING_WEIGHTS]
