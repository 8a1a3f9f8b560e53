"""What the local engine finds of the environments that it built. No environment is made: files stand for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.engines.local import COMPLETE, Local


def test_an_environment_that_cannot_be_read_hides_no_other_and_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIXBENCH_CACHE", str(tmp_path))
    folders = [tmp_path / "environments" / f"cpu-{digit * 12}" for digit in "012"]
    for folder in folders:
        folder.mkdir(parents=True)
    (folders[0] / COMPLETE).mkdir()  # no user can read it, not even root
    (folders[1] / COMPLETE).write_bytes(b"\xff")
    (folders[2] / COMPLETE).write_text('{"recipe": "22"}')
    assert [(image.name, image.recipe) for image in Local().list_built()] == [("cpu", "22")]
    assert Local().remove_built({"22"}, {"another"}) == ()
    assert all(folder.exists() for folder in folders)
