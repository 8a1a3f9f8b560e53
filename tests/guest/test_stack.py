"""What an image has: the guest's import and device stages over stub packages in every state of disrepair."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import stack

from .stubs import Ended, Stubs, make_request, run_guest


def probed(folder: Path, stubs: Stubs) -> Ended:
    """A guest that was asked only for its imports."""
    return run_guest(folder, stubs, make_request(folder, last_stage="import"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The stubs without any mischief."""
    return probed(tmp_path_factory.mktemp("sound"), Stubs())


def outcomes(ended: Ended) -> Mapping[str, dict[str, Any]]:
    """The last outcome of each import."""
    return {event["name"]: event for event in ended.events("import")}


def test_each_package_is_announced_before_it_is_tried(sound: Ended) -> None:
    events = sound.events("import")
    names = [f"{module}.{attribute}" if attribute else module for module, attribute, _ in stack.STACK]
    assert [event["name"] for event in events[::2]] == [event["name"] for event in events[1::2]] == names
    assert {event["outcome"] for event in events[::2]} == {"trying"}
    assert "trying" not in {event["outcome"] for event in events[1::2]}


def test_torch_and_pyannote_alone_are_needed(sound: Ended) -> None:
    needed = {name for name, event in outcomes(sound).items() if event["needed"]}
    assert needed == {"torch", "pyannote.audio", "pyannote.audio.Pipeline"}


def test_versions_are_told_also_of_what_cannot_be_imported(tmp_path: Path) -> None:
    found = outcomes(probed(tmp_path, Stubs(misbehave={"import lightning": "raise OSError"})))
    assert (found["lightning"]["outcome"], found["lightning"]["version"]) == ("failed", "0.0.0+stub")
    assert (found["torchcodec"]["outcome"], found["torchcodec"]["version"]) == ("absent", None)


@pytest.mark.parametrize(
    "absent", [["pyannote.core"], [f"pyannote.{name}" for name in ("core", "metrics", "pipeline", "database", "audio")]]
)
def test_a_package_of_a_namespace_that_is_not_there_is_absent(tmp_path: Path, absent: list[str]) -> None:
    assert outcomes(probed(tmp_path, Stubs(absent=absent)))["pyannote.core"]["outcome"] == "absent"


def test_a_package_that_lacks_one_of_its_own_is_failed_and_not_absent(tmp_path: Path) -> None:
    found = outcomes(probed(tmp_path, Stubs(misbehave={"import lightning": "import torchmetrics"})))
    assert found["lightning"]["outcome"] == "failed"
    assert found["lightning"]["chain"][-1]["message"] == "No module named 'torchmetrics'"


def test_a_torchaudio_without_its_torch_is_failed_and_not_absent(tmp_path: Path) -> None:
    found = outcomes(probed(tmp_path, Stubs(absent=["torch"])))
    assert found["torch"]["outcome"] == "absent"
    assert found["torchaudio"]["outcome"] == "failed"


def test_a_pyannote_without_a_pipeline_ends_the_launch_at_import(tmp_path: Path) -> None:
    ended = probed(tmp_path, Stubs(files={"pyannote/audio/__init__.py": ""}))
    assert outcomes(ended)["pyannote.audio"]["outcome"] == "ok"
    assert outcomes(ended)["pyannote.audio.Pipeline"]["outcome"] == "failed"
    assert (ended.verdict().stage, ended.verdict().cause) == ("import", "import")


def test_a_leftover_folder_of_torchs_name_is_not_a_torch(tmp_path: Path) -> None:
    ended = probed(tmp_path, Stubs(absent=["torch", "torchaudio"], files={"torch/lib/leftover.so": ""}))
    assert (ended.verdict().stage, ended.verdict().cause) == ("import", "import")


def test_a_file_that_does_not_parse_is_named_with_its_line(tmp_path: Path) -> None:
    ended = probed(tmp_path, Stubs(files={"pyannote/audio/__init__.py": "import sys\ndef broken(:\n"}))
    assert ended.chain()[-1]["type"] == "SyntaxError"
    assert ended.chain()[-1]["where"].endswith("pyannote/audio/__init__.py:2")


def test_the_first_needed_import_that_failed_is_the_reason(tmp_path: Path) -> None:
    broken = {"import torch": "raise OSError('first')", "import pyannote.audio": "raise OSError('second')"}
    assert probed(tmp_path, Stubs(misbehave=broken)).verdict().summary == "OSError: first"


def test_an_import_that_removes_its_own_module_is_recorded(tmp_path: Path) -> None:
    ended = probed(tmp_path, Stubs(misbehave={"import pyannote.audio": "del sys.modules['torch']"}))
    assert ended.verdict().stage == "import"
    assert ended.verdict().status == "fail"


@pytest.mark.parametrize(("hip", "cuda"), [("0.0-stub", None), (None, "0.0-stub"), (None, None)], ids=["rocm", "cuda", "cpu"])
def test_torchs_flavour_is_what_it_was_built_for(tmp_path: Path, hip: str | None, cuda: str | None) -> None:
    found = probed(tmp_path, Stubs(hip=hip, cuda=cuda)).end("import")["torch"]
    assert (found["hip"], found["cuda"]) == (hip, cuda)


def test_the_packages_are_listed_sorted_with_their_versions(sound: Ended) -> None:
    packages = sound.end("import")["packages"]
    assert packages == sorted(packages, key=str.lower)
    assert {"asteroid-filterbanks==0.0.0+stub", "torch==0.0.0+stub"} <= set(packages)


@pytest.mark.parametrize(
    "metadata",
    [
        {"~orch-0.0.0.dist-info/RECORD": ""},
        {"odd-1.dist-info/METADATA": ""},
        {"odd-1.dist-info/METADATA": "Author: \udce9milie\n"},
    ],
    ids=["no metadata", "empty metadata", "not UTF-8"],
)
def test_damaged_metadata_of_one_package_does_not_stop_the_probe(tmp_path: Path, metadata: dict[str, str]) -> None:
    folder = Stubs().write(tmp_path / "stubs")
    for path, text in metadata.items():
        (folder / path).parent.mkdir()
        (folder / path).write_bytes(os.fsencode(text))
    ended = probed(tmp_path, Stubs())
    assert ended.verdict().status == "pass", ended.chain()
    assert "torch==0.0.0+stub" in ended.end("import")["packages"]


def test_the_cpu_is_named_with_its_threads(tmp_path: Path) -> None:
    device = run_guest(tmp_path, request=make_request(tmp_path, last_stage="device")).end("device")
    assert (device["device"], device["threads"]) == ("cpu", 1)
    assert device["name"]


def test_a_cpu_that_multiplies_wrong_is_no_pass(tmp_path: Path) -> None:
    stubs = Stubs(misbehave={"multiply": "tensor.rows[0][0] += 1"})
    verdict = run_guest(tmp_path, stubs, make_request(tmp_path, last_stage="device")).verdict()
    assert (verdict.status, verdict.stage) == ("fail", "device")
    assert "sums to 513.0 on cpu" in verdict.summary


def test_a_release_that_is_malware_is_told_by_its_metadata_and_not_imported(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.1\nName: lightning\nVersion: 2.6.3\n"
    stubs = Stubs(
        files={"lightning-0.0.0+stub.dist-info/METADATA": metadata},
        misbehave={"import lightning": "open(os.path.join(EXCHANGE, 'imported'), 'w')"},
    )
    ended = probed(tmp_path, stubs)
    assert outcomes(ended) == {}
    (failed,) = ended.events("failed")
    assert failed["chain"][0]["message"] == "lightning 2.6.3 is malware (GHSA-w37p-236h-pfx3) and was not imported"
    assert not list(tmp_path.rglob("imported"))


OLD_BLAS = '''"""A torch of which the variable is not heard, and which knows NVIDIA's names alone. A stub: it computes nothing."""
import types
chosen = ["cublaslt"]
def preferred_blas_library(name=None):
    if name not in (None, "cublas", "cublaslt"):
        raise RuntimeError("Unknown input value")
    chosen[:] = [name or chosen[0]]
    return f"stub {chosen[0]}"
cuda = types.SimpleNamespace(preferred_blas_library=preferred_blas_library)
cudnn = types.SimpleNamespace(version=lambda: 0, enabled=True)
'''


@pytest.mark.parametrize(
    ("switched", "library"), [((), "stub cublaslt"), (("blas-hipblas",), "stub cublas"), (("blas-hipblaslt",), "stub cublaslt")]
)
def test_the_library_of_matrix_products_is_switched_before_it_is_journaled(
    tmp_path: Path, switched: tuple[str, ...], library: str
) -> None:
    stubs = Stubs(gpu=True, files={"torch/backends.py": OLD_BLAS}, misbehave={"import lightning": "import torch.backends"})
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, device="cuda", last_stage="device", knobs=switched))
    assert ended.end("device")["preferred_blas"] == library


def test_a_torch_that_cannot_choose_its_library_is_told_and_does_not_fail(tmp_path: Path) -> None:
    stubs = Stubs(files={"torch/backends.py": "cuda = object()\n"}, misbehave={"import lightning": "import torch.backends"})
    ended = run_guest(tmp_path, stubs, make_request(tmp_path, knobs=("blas-hipblas",)))
    assert ended.verdict().status == "pass"
    (note,) = ended.events("note")
    assert note["text"] == "blas-hipblas: this torch has no preferred_blas_library, so the variable alone was set"
