"""Stacks broken as users break them, made of the local environment and small wheels: the true cause is named for each.

Not one of them may be taken for a mismatch of pyannote and lightning, at whose line most of them surface.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from harness.failures.recognise import recognise
from harness.verdict.explain import Explanation, explain_text
from tests.local.stacks import Failed, lay_over, local_python, produce, site_packages

Layer = Callable[..., Path]
PYANNOTE_3 = ("pyannote.audio==3.4.0", "semver==3.0.4")

IS_OOM_ERROR_LINE = "utilities.memory import is_oom_error"


@pytest.fixture(scope="module")
def python() -> Path:
    """The local environment's interpreter."""
    return local_python()


@pytest.fixture(scope="module")
def layer(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Layer:
    """A folder with some packages, installed once; not to be written to."""
    return cache(lambda *packages: lay_over(python, tmp_path_factory.mktemp("layer"), *packages))


def explained(told: Failed) -> Explanation:
    """What is said of it, the same from the journal and from the pasted text."""
    from_text = explain_text(told.text)
    from_journal = recognise(told.chain, told.text)
    assert from_text.match is not None, told.text
    assert from_journal is from_text.match.signature
    return from_text


def signature_of(told: Failed) -> str:
    match = explained(told).match
    assert match is not None
    return match.signature.id


@pytest.mark.parametrize("version", ["0.28.0", pytest.param("0.20.1", marks=pytest.mark.slow)])
def test_a_torchvision_of_another_build_or_version_is_named_and_not_lightning(
    version: str, python: Path, tmp_path: Path
) -> None:
    over = lay_over(python, tmp_path / "over", f"torchvision=={version}")
    told = produce(python, ["pyannote-import"], over=[over])["pyannote-import"]
    assert IS_OOM_ERROR_LINE in told.text
    assert signature_of(told) == "torchvision-mismatch"


def test_a_sed_that_broke_lightning_is_named(python: Path, layer: Layer, tmp_path: Path) -> None:
    broken = tmp_path / "lightning_fabric"
    shutil.copytree(site_packages(python) / "lightning_fabric", broken)
    source = broken / "utilities" / "cloud_io.py"
    whole = source.read_text()
    # What was meant to turn weights_only off: s/return torch\.load(/return torch.load(weights_only=False, /g
    source.write_text(whole.replace("return torch.load(", "return torch.load(weights_only=False, "))
    assert source.read_text() != whole
    told = produce(python, ["pyannote-import"], over=[tmp_path, layer(*PYANNOTE_3)])["pyannote-import"]
    assert IS_OOM_ERROR_LINE in told.text
    assert signature_of(told) == "lightning-sed"
    assert explained(told).deepest.startswith(f"{source}:")


def test_without_torchvision_lightning_passes_and_a_missing_torchaudio_is_named(python: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in site_packages(python).iterdir():
        if not entry.name.startswith(("torchaudio", "torchvision")):
            (packages / entry.name).symlink_to(entry)
    told = produce(python, ["lightning-import", "pyannote-import"], over=[packages], bare=True)
    assert told["lightning-import"].chain == ()
    assert signature_of(told["pyannote-import"]) == "torchaudio-missing"


def test_a_stubbed_lightning_is_called_damaged_and_no_version_is_blamed(python: Path, tmp_path: Path) -> None:
    told = produce(python, ["lightning-stubbed"])["lightning-stubbed"]
    assert "(unknown location)" in told.text
    match = explained(told).match
    assert match is not None
    assert match.signature.id == "lightning-damaged"
    assert "look for the next exception" in match.signature.explanation


@pytest.mark.parametrize(
    ("packages", "failures"),
    [
        ([("torchaudio==2.8.0",)], {"torchaudio-import": "torchaudio-other-index"}),
        ([("torchcodec==0.17.0",)], {"torchcodec-import": "torchcodec-cuda-build"}),
        ([("lightning==2.1.4",)], {"lightning-import": "pkg-resources-missing"}),
        ([PYANNOTE_3], {"pyannote-import": "torchaudio-audiometadata"}),
        ([("pyannote.audio==3.1.1",)], {"pyannote-import": "torchaudio-set-backend"}),
        ([("pyannote.audio==4.0.5",)], {"torchcodec-audiodecoder": "torchcodec-audiodecoder"}),
        (
            [("huggingface_hub==1.0.1", "httpx==0.28.1", "httpcore==1.0.9", "h11==0.16.0", "anyio==4.9.0", "sniffio==1.3.1")],
            {"hub-use-auth-token": "hub-use-auth-token"},
        ),
        # setuptools 80 still has what this lightning imports.
        ([("lightning==2.1.4",), ("setuptools==80.9.0",)], {"weights-only-argument": "weights-only-argument"}),
        (
            [PYANNOTE_3],
            # The first one first: the hub's address is read once an interpreter.
            {"gated-none": "gated-none", "pipeline-token": "pipeline-token", "plda-argument": "plda-argument"},
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else value[0][0],
)
def test_a_package_of_the_wrong_version_is_named(
    packages: list[tuple[str, ...]], failures: dict[str, str], python: Path, layer: Layer
) -> None:
    told = produce(python, list(failures), over=[layer(*each) for each in packages])
    assert {failure: signature_of(told[failure]) for failure in failures} == failures
