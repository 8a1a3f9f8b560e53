"""The real exceptions behind the signatures, raised in one interpreter of the local environment."""

from __future__ import annotations

import pytest

from harness.failures.recognise import recognise, recognise_warnings
from harness.failures.signature import signatures
from harness.verdict.explain import explain_text
from tests.local.stacks import Failed, local_python, produce

PLAIN = (
    "torchcodec-warning",  # first: it is given when pyannote.audio is imported
    "diarize-output",
    "disk-full",
    "gated",
    "host-array-too-large",
    "host-out-of-memory",
    "hub-offline",
    "hub-repo-id",
    "hub-token",
    "lightning-damaged",
    "numpy-2-nan",
    "onnxruntime-embedding",
    "pipeline-dependency",
    "pipeline-use-auth-token",
    "pkg-resources-missing",
    "plda-gated",
    "plda-none",
    "revision-in-name",
    "std-of-one-frame",
    "tf32-disabled",
    "torch-without-gpu",
    "torchaudio-audiometadata",
    "torchaudio-backend-common",
    "torchaudio-list-backends",
    "torchaudio-set-backend",
    "torchcodec-unavailable",
    "unknown-specifications",
    "weights-only",
    "tf32-mixed",  # last: it leaves torch's settings in disorder
)
"""Failures that need nothing but the local environment, named for the signature that they must be known by."""

OTHERS = ("batch-size-out-of-memory", "hip-out-of-memory")


@pytest.fixture(scope="module")
def failed() -> dict[str, Failed]:
    """All of them, from one interpreter."""
    return produce(local_python(), (*PLAIN[:-1], *OTHERS, PLAIN[-1]))


@pytest.mark.parametrize("name", PLAIN)
def test_a_real_failure_is_known_in_the_journal_s_form_and_as_a_pasted_text(name: str, failed: dict[str, Failed]) -> None:
    told = failed[name]
    if signatures()[name].severity == "warning":
        assert name in {each.id for each in recognise_warnings(told.text)}
        return
    from_journal = recognise(told.chain, "")
    assert from_journal is not None, told.chain
    explained = explain_text(told.text)
    assert explained.match is not None, told.text
    assert (from_journal.id, explained.match.signature.id) == (name, name)


@pytest.mark.parametrize("name", [name for name in PLAIN if signatures()[name].severity == "failure"])
def test_a_pasted_traceback_reads_as_what_the_guest_would_have_journaled(name: str, failed: dict[str, Failed]) -> None:
    told = failed[name]
    read = explain_text(told.text).chain
    assert [(each.type, each.where) for each in read] == [(each.type, each.where) for each in told.chain]


def test_pyannote_s_word_on_the_batch_size_does_not_hide_that_the_host_ran_out(failed: dict[str, Failed]) -> None:
    chain = failed["batch-size-out-of-memory"].chain
    assert "batch_size" in chain[0].message
    found = recognise(chain, "")
    assert found is not None
    assert found.id == "host-out-of-memory"


def test_lightning_does_not_see_that_hip_is_out_of_memory_and_we_do(failed: dict[str, Failed]) -> None:
    told = failed["hip-out-of-memory"]
    found = recognise(told.chain, "")
    assert found is not None
    assert found.id == "gpu-out-of-memory"
    assert "is_oom_error says False" in told.chain[0].message
