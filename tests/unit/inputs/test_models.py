from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.errors import ModelsError, UsageError
from harness.inputs import hub_cache
from harness.inputs.embedded import EMBEDDED
from harness.inputs.models import GATED, fetch, locate_models, models_for

CONTENT = b"weights" * 1000


def hub_folder(cache: Path, repository: str, *, commit: str | None = None) -> Path:
    """A repository's snapshot as huggingface_hub lays it out, with the pinned names and content of nobody's."""
    pin = hub_cache.pins()[repository]
    folder = cache / f"models--{repository.replace('/', '--')}"
    commit = commit or "5" * 40
    for name in pin.files:
        path = folder / "snapshots" / commit / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    return folder / "snapshots" / commit


def test_missing_embedded_models_are_named_with_the_command_that_gets_them() -> None:
    with pytest.raises(
        ModelsError, match=r"segmentation-3\.0\.bin.*campplus\.pt.*run `strixbench models fetch embedded`"
    ) as caught:
        models_for("embedded")
    assert caught.value.exit_code == 3


def test_a_gated_pipeline_whose_models_are_not_in_the_cache_says_what_to_accept(tmp_path: Path) -> None:
    cache = tmp_path / "huggingface" / "hub"
    hub_folder(cache, GATED["3.1"][0])
    with pytest.raises(ModelsError) as caught:
        models_for("3.1")
    assert "pyannote/segmentation-3.0, pyannote/wespeaker-voxceleb-resnet34-LM" in str(caught.value)
    assert "accept the conditions at https://huggingface.co/pyannote/segmentation-3.0, then run" in str(caught.value)
    assert "`strixbench models fetch 3.1`" in str(caught.value)
    assert "speaker-diarization-3.1 in" not in str(caught.value), "what is there is not asked for"


def test_a_gated_pipeline_mounts_the_user_s_cache_under_the_names_of_both_pyannotes(tmp_path: Path) -> None:
    cache = tmp_path / "huggingface" / "hub"
    for name in GATED["3.1"]:
        hub_folder(cache, name)
    found = models_for("3.1")
    assert found.folder == cache
    assert found.environment == ("HF_HUB_CACHE", "PYANNOTE_CACHE")


def test_the_cache_is_looked_for_where_the_hub_s_own_variable_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    hub_folder(tmp_path / "elsewhere", GATED["community-1"][0])
    assert models_for("community-1").folder == tmp_path / "elsewhere"


def test_a_gated_pipeline_s_commits_are_what_the_cache_means_by_the_names(tmp_path: Path) -> None:
    cache = tmp_path / "huggingface" / "hub"
    for name in GATED["3.1"]:
        hub_folder(cache, name)
    assert models_for("3.1").revisions == tuple(f"{name}@{'5' * 40}" for name in GATED["3.1"])


def test_a_name_that_the_cache_cannot_resolve_is_missing(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "huggingface" / "hub", GATED["community-1"][0])
    (folder.parent.parent / "refs" / "main").write_text("../../../etc\n")
    with pytest.raises(ModelsError, match="needs pyannote/speaker-diarization-community-1"):
        models_for("community-1")


def test_a_file_that_the_snapshot_lacks_is_missed_before_a_launch(tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "huggingface" / "hub", GATED["community-1"][0])
    (folder / "plda" / "plda.npz").unlink()
    with pytest.raises(ModelsError, match="run `strixbench models fetch community-1`"):
        models_for("community-1")


def linked(folder: Path, name: str, etag: str) -> Path:
    """The snapshot's file as a link into ``blobs/``; returns the blob."""
    blob = folder.parent.parent / "blobs" / etag
    blob.parent.mkdir(exist_ok=True)
    (folder / name).rename(blob)
    (folder / name).symlink_to(blob)
    return blob


@pytest.mark.parametrize("kind", ["sha256", "git"])
def test_a_blob_whose_content_is_not_its_name_is_found(tmp_path: Path, kind: str) -> None:
    folder = hub_folder(tmp_path / "huggingface" / "hub", GATED["community-1"][0])
    git = hashlib.sha1(f"blob {len(CONTENT)}\0".encode() + CONTENT, usedforsecurity=False)  # what `git hash-object` prints
    blob = linked(folder, "config.yaml", hashlib.sha256(CONTENT).hexdigest() if kind == "sha256" else git.hexdigest())
    assert models_for("community-1").folder == tmp_path / "huggingface" / "hub"
    blob.write_bytes(b"altered" + CONTENT[7:] + b"!")
    with pytest.raises(
        ModelsError, match=r"altered or are not the pinned ones \(pyannote/speaker-diarization-community-1 config"
    ):
        models_for("community-1")


def test_files_under_the_pinned_commit_s_name_must_be_the_pinned_ones(tmp_path: Path) -> None:
    name = GATED["community-1"][0]
    hub_folder(tmp_path / "huggingface" / "hub", name, commit=hub_cache.pins()[name].revision)
    with pytest.raises(ModelsError, match="are not the pinned ones"):
        models_for("community-1")


def test_every_gated_repository_is_pinned_to_a_commit_and_its_weights_by_hash() -> None:
    known = hub_cache.pins()
    assert set(known) == {name for names in GATED.values() for name in names}
    for pin in known.values():
        assert len(pin.revision) == 40
        assert pin.licence
        assert pin.files
        assert all(sha256 for name, sha256 in pin.files.items() if name.endswith((".bin", ".npz")))


def test_the_segmentation_model_of_the_hub_is_the_one_of_the_embedded_profile() -> None:
    (embedded,) = (file for file in EMBEDDED if file.name == "segmentation-3.0.bin")
    assert hub_cache.pins()["pyannote/segmentation-3.0"].files == {"pytorch_model.bin": embedded.sha256}


@pytest.mark.parametrize(
    "text", ["not toml", "a = 1", '["a/b"]\nrevision = "main"', '["pyannote/segmentation-3.0".files]\n"../x" = ""']
)
def test_pins_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "pins.toml").write_text(text)
    monkeypatch.setenv("STRIXBENCH_PINS", str(tmp_path / "pins.toml"))
    with pytest.raises(ModelsError, match="cannot be used"):
        hub_cache.pins()


def test_pins_of_other_repositories_alone_are_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pins.toml").write_text("")
    monkeypatch.setenv("STRIXBENCH_PINS", str(tmp_path / "pins.toml"))
    with pytest.raises(ModelsError, match="lack pyannote/speaker-diarization-community-1"):
        models_for("community-1")


def test_a_profile_that_is_not_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no model profile 'embeded'.*embedded, 3\.1, community-1"):
        fetch("embeded", say=lambda _: None, show=lambda _: None)


def test_the_synthetic_pipeline_needs_no_files() -> None:
    assert models_for("synthetic").folder is None
    assert models_for("synthetic") == locate_models("synthetic")


def test_a_pipeline_that_an_overlay_added_is_refused_and_no_bug() -> None:
    with pytest.raises((ModelsError, UsageError), match="mine"):
        models_for("mine")
